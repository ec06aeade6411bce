"""A points formula computed row by row in plain Python: a second reading, which shares no code with the scoring."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

NAN, INFINITE = float("nan"), float("inf")
Formula = Callable[[Mapping[str, float]], float]


def compiled(text: str) -> Formula:
    """The formula as a function of its names. It has been judged when the configuration was read."""
    return _built(ast.parse(" ".join(text.split()), mode="eval").body)


def _quiet(compute: Callable[..., float]) -> Callable[..., float]:
    """What has no value is no number, and what is too large is infinite: neither can be points."""

    def computed(*given: float) -> float:
        try:
            found = compute(*given)
        except ValueError:
            return NAN
        except OverflowError:
            return INFINITE
        return found if isinstance(found, int | float) else NAN  # a root of what is below zero is complex

    return computed


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    return NAN if not left or math.isnan(left) else math.copysign(INFINITE, left) * math.copysign(1, right)


def _whole(compute: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: float(compute(value)) if math.isfinite(value) else value


def _least(left: float, right: float) -> float:
    return NAN if math.isnan(left) or math.isnan(right) else min(left, right)


def _most(left: float, right: float) -> float:
    return NAN if math.isnan(left) or math.isnan(right) else max(left, right)


def _logarithm(compute: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: compute(value) if value else -INFINITE


OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: _divided,
    ast.FloorDiv: lambda left, right: left // right if right else _divided(left, right),
    ast.Mod: lambda left, right: left % right if right else NAN,
    ast.Pow: _quiet(lambda left, right: INFINITE if not left and right < 0 else left**right),
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.Invert: operator.not_,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., float]] = {
    "where": lambda asked, yes, no: yes if asked else no, "minimum": _least, "maximum": _most,
    "floor": _whole(math.floor), "ceil": _whole(math.ceil), "round": _whole(round), "trunc": _whole(math.trunc),
    "abs": abs, "sqrt": _quiet(math.sqrt), "exp": _quiet(math.exp), "log": _quiet(_logarithm(math.log)),
    "log10": _quiet(_logarithm(math.log10)),
}  # fmt: skip


def _built(node: ast.expr) -> Formula:
    """A tree of small functions, one for each place of the formula."""
    match node:
        case ast.Constant(value=int() | float() as value):
            constant = float(value)
            return lambda names: constant
        case ast.Name(id=name):
            return operator.itemgetter(name)
        case ast.UnaryOp(op=sign, operand=operand):
            return _applied(OPERATORS[type(sign)], [operand])
        case ast.BinOp(left=left, op=joint, right=right):
            return _applied(OPERATORS[type(joint)], [left, right])
        case ast.Compare(left=left, ops=[joint], comparators=[right]):
            return _applied(OPERATORS[type(joint)], [left, right])
        case ast.Call(func=ast.Name(id=name), args=given):
            return _applied(FUNCTIONS[name], given)
    raise ValueError(f"`{ast.unparse(node)}` is not a part of a formula")


def _applied(compute: Callable[..., float], given: list[ast.expr]) -> Formula:
    if len(given) == 1:
        only = _built(given[0])
        return lambda names: compute(only(names))
    if len(given) == 2:
        left, right = map(_built, given)
        return lambda names: compute(left(names), right(names))
    parts = [_built(each) for each in given]
    return lambda names: compute(*(part(names) for part in parts))
