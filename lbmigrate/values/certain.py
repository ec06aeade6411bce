"""Which judged formulas can certainly be computed: those of everyday size, about which numexpr need not be asked.

Importing it and compiling one formula takes longer than all else that most verbs do. It refuses what is too large, and
what its folding of constants cannot do; a formula in which there is none of this is certain.
"""

from __future__ import annotations

import ast

MOST_NODES = 120
MOST_NAMES = 12
LARGEST_POWER = 8
_DIVISIONS = (ast.Div, ast.FloorDiv, ast.Mod)
_FOLDED = (ast.BinOp, ast.Call, ast.Compare)  # where nothing but constants is in it; a sign before one is none


def is_certain(formula: ast.expr) -> bool:
    """Whether a formula can be computed whatever its columns hold; False says nothing. It is of what `check` allows."""
    nodes = list(ast.walk(formula))
    if len(nodes) > MOST_NODES or len(_names(formula)) > MOST_NAMES:
        return False
    if any(isinstance(node, _FOLDED) and not _names(node) for node in nodes):
        return False
    return all(_is_certain_operation(node) for node in nodes if isinstance(node, ast.BinOp))


def _is_certain_operation(node: ast.BinOp) -> bool:
    """Not one that divides by a constant 0, or raises to a power other than a few whole ones."""
    if isinstance(node.op, _DIVISIONS):
        return bool(_names(node.right)) or _value(node.right) != 0
    return not isinstance(node.op, ast.Pow) or _value(node.right) in range(LARGEST_POWER + 1)


def _value(node: ast.expr) -> float | None:
    """Of a constant, with signs or without; None for what is none."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        inner = _value(node.operand)
        return -inner if inner is not None and isinstance(node.op, ast.USub) else inner
    return float(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, float) else None


def _names(node: ast.AST) -> set[str]:
    """The columns in it; a function that is called is a name as well."""
    called = {id(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and id(each) not in called}
