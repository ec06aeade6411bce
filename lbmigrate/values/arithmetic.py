"""A judged formula over whole columns, computed as Python would compute it row by row in floats.

numexpr does nearly all of it, but two things otherwise: left to itself it turns a division by a constant into a product
with the constant's reciprocal, by which 49 / 49 is less than 1; and it has // and % from a rounded quotient. So it
optimises nothing here, and what // and % stand between is computed by numpy, which has them as Python has.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BY_NUMPY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {ast.FloorDiv: np.floor_divide, ast.Mod: np.mod}


@dataclass(frozen=True, slots=True)
class _Part:
    """One // or %: the name of its result, which what follows may use, and the texts of what stands on both sides."""

    name: str
    operation: Callable[[Any, Any], Any]
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """An expression: the parts to compute before the text, in order."""

    parts: tuple[_Part, ...]
    text: str

    @classmethod
    def of(cls, expression: ast.expr) -> Arithmetic:
        """Of a tree of what numexpr knows, // and %. Raises RecursionError for one that is too deep."""
        parts: list[_Part] = []
        rest = _Parted(parts).visit(expression)
        return cls(tuple(parts), ast.unparse(rest))

    def compute(self, columns: Mapping[str, Any]) -> Floats:
        """The expression over float64 columns; of no dimension where it uses none."""
        return self._compute(columns, "none")

    def judge(self, names: Iterable[str]) -> None:
        """Raises ZeroDivisionError for a division by a constant 0, and what numexpr raises for what it cannot do."""
        columns = {name: np.ones(1) for name in names}
        self._compute(columns, "aggressive")  # which divides 1 by every constant divisor
        for part in self.parts:
            if _is_constant(part.right) and not _evaluated(part.right, {}, "none").any():
                raise ZeroDivisionError
        self.compute(columns)

    def _compute(self, columns: Mapping[str, Any], optimization: str) -> Floats:
        given = dict(columns)
        with np.errstate(all="ignore"):  # numexpr folds constants with numpy, which would warn about sqrt(-1)
            for part in self.parts:
                sides = (_evaluated(text, given, optimization) for text in (part.left, part.right))
                given[part.name] = part.operation(*sides)
            return _evaluated(self.text, given, optimization)


def repeated(value: float, length: int) -> Floats:
    """A column in which every row has the same value."""
    return np.full(length, value)


class _Parted(ast.NodeTransformer):
    """Replaces each // and % by the name of a part."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        operation = _BY_NUMPY.get(type(node.op))
        if operation is None:
            return node
        name = f"part_{len(self._parts)}"
        self._parts.append(_Part(name, operation, ast.unparse(node.left), ast.unparse(node.right)))
        return ast.Name(name)


def _is_constant(text: str) -> bool:
    """Whether an expression uses no column; its functions are names as well."""
    nodes = list(ast.walk(ast.parse(text)))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    return all(id(node) in called for node in nodes if isinstance(node, ast.Name))


def _evaluated(text: str, given: Mapping[str, Any], optimization: str) -> Floats:
    import numexpr  # noqa: PLC0415  a quarter of a second that constant points do not pay

    # its own check of the text is the weaker one, and refuses every name with two underscores
    computed = numexpr.evaluate(
        text, local_dict=given, global_dict={}, truediv=True, sanitize=False, optimization=optimization
    )
    return np.asarray(computed, dtype=np.float64)
