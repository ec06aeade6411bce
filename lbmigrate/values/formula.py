"""Points formulas: what may be written, computing it over whole columns, and the way out to a Python function.

A formula is parsed and judged before anything is computed, so that no text from a configuration is ever evaluated as
Python; what is computed is rebuilt from the judged tree (`arithmetic`, imported where something is computed).
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbmigrate.errors import ConfigError
from lbmigrate.records import amount
from lbmigrate.values.certain import is_certain
from lbmigrate.values.functions import FUNCTIONS

if TYPE_CHECKING:
    from lbmigrate.values.arithmetic import Arithmetic, Floats

ALLOWING = "LBMIGRATE_ALLOW_FUNCTIONS"  # the variable with the modules that functions may be from
LONGEST = 2000  # characters of a formula
SHOWN = 60  # of them in a message
_is_whole = re.compile(r"-?[0-9]{1,16}").fullmatch
PREFIX = "let_"  # keeps the names of `let` apart from numexpr's own, such as sum and real
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_INSTEAD: dict[type[ast.AST], str] = {
    ast.BoolOp: "write & and | between comparisons in parentheses instead of `and` and `or`",
    ast.Not: "write ~(CONDITION) instead of `not`",
    ast.IfExp: "write where(condition, then, otherwise) instead of `if`",
}


class _NotAllowed(Exception):
    """Why the formula is refused, as a sentence."""


def check(formula: str, names: Collection[str]) -> str | None:
    """None if `formula` can be computed from columns called `names`, else a sentence that says why not.

    Allowed: numbers, names, + - * / // % **, comparisons, & | ~ between comparisons, and `FUNCTIONS`.
    """
    return _verdict(formula, frozenset(names))


def evaluate(formula: str, columns: Mapping[str, Floats], length: int) -> Floats:
    """`formula` over float64 columns of `length` rows, as float64 of `length`; a constant is repeated.

    As Python computes it with floats, so that whole numbers up to 2**53 are exact; but a row that divides by zero or
    takes the root of -1 is inf or NaN, and NaN goes through minimum() and maximum(). A comparison used as a number is 1
    or 0. Safe to call from several threads, since numexpr keeps its compiled expressions per thread. Raises ConfigError
    for a formula that `check` refuses.
    """
    from lbmigrate.values import arithmetic  # noqa: PLC0415  numpy: whoever only reads a configuration does without

    if _is_whole(formula):
        return arithmetic.repeated(float(formula), length)
    names = frozenset(columns)
    refusal = _verdict(formula, names)
    if refusal:
        raise ConfigError(f"points: {refusal}", hint="lbmigrate config check")
    computed = _rebuilt(formula, names).compute({PREFIX + name: column for name, column in columns.items()})
    return computed if computed.shape == (length,) else arithmetic.repeated(computed.item(), length)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Within the block numexpr uses one thread: chunks are small and share the cores among worker threads already."""
    numexpr = sys.modules.get("numexpr")  # where it was never needed for a formula, it is not for a run either
    usual = numexpr.set_num_threads(1) if numexpr else 1
    try:
        yield
    finally:
        if numexpr:
            numexpr.set_num_threads(usual)


def is_function(points: str) -> bool:
    """Whether `points` names a Python function (`package.module:function`) rather than being a formula."""
    return re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", points.strip()) is not None


def module_of(reference: str) -> str:
    """The module that `package.module:function` names."""
    return reference.strip().partition(":")[0]


def refusal(module: str) -> str:
    """Why a function from `module` is not used, and what allows it."""
    return (
        f"functions from {module} are not allowed; if you trust that module, say --allow-functions {module} "
        f"(or {ALLOWING}={module})"
    )


def load_function(reference: str, allowed: Container[str]) -> Callable[..., Any]:
    """The function behind `package.module:function`; the working directory is importable, after everything else.

    It must be defined in that module or below it: what a module has imported from elsewhere is not for a configuration
    to call. Raises ConfigError if the module is not in `allowed`, in which case nothing is imported, or if the module
    or the function is missing or cannot be loaded.
    """
    module_name, _, name = reference.strip().partition(":")
    if module_name not in allowed:
        raise ConfigError(f"points: {reference}: {refusal(module_name)}", hint="lbmigrate config check")
    function = _imported(module_name, name, reference)
    home = str(getattr(function, "__module__", None))
    if not callable(function):
        raise ConfigError(f"points: {reference} is not a function", hint=f"define {name} in {module_name}")
    if not f"{home}.".startswith(f"{module_name}."):
        raise ConfigError(f"points: {reference} is from {home}", hint=f"define a function of its own in {module_name}")
    return function  # type: ignore[no-any-return]


def _imported(module_name: str, name: str, reference: str) -> Any:
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"points: {reference}: there is no module {error.name!r}",
            hint=f"run lbmigrate where {module_name} can be imported, or install it",
        ) from error
    except AttributeError as error:
        raise ConfigError(f"points: {reference}: {error}", hint=f"define {name} in {module_name}") from error
    except Exception as error:
        raise ConfigError(f"points: {reference}: importing {module_name} failed: {error!r}") from error


@lru_cache(maxsize=256)
def _verdict(formula: str, names: frozenset[str]) -> str | None:
    try:
        if not is_certain(_judged(formula, names)):
            _rebuilt(formula, names).judge(PREFIX + name for name in names)
    except _NotAllowed as refusal:
        return str(refusal)
    except ZeroDivisionError:
        return "the formula divides by zero"
    except Exception as error:  # numexpr raises half a dozen classes for what it cannot compile
        return f"the formula cannot be computed: {error}"
    return None


@lru_cache(maxsize=256)
def _rebuilt(formula: str, names: frozenset[str]) -> Arithmetic:
    """The formula as it is computed."""
    from lbmigrate.values.arithmetic import Arithmetic  # noqa: PLC0415  as above

    with _read(formula):
        return Arithmetic.of(_judged(formula, names))


def _judged(formula: str, names: frozenset[str]) -> ast.expr:
    """The formula's tree. Line breaks are spaces: YAML folds long formulas."""
    if len(formula) > LONGEST:
        raise _NotAllowed(f"the formula has {amount(len(formula), 'character')}; {LONGEST:,} are the most")
    with _read(formula):
        return _number(ast.parse(" ".join(formula.split()), mode="eval").body, names)


@contextmanager
def _read(formula: str) -> Iterator[None]:
    try:
        yield
    except SyntaxError as error:
        raise _NotAllowed(f"{formula[:SHOWN]!r} is not a formula: {error.msg[:SHOWN]}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise _NotAllowed(f"the formula cannot be read: {error}") from error


def _number(node: ast.expr, names: frozenset[str]) -> ast.expr:
    """The judged node as a number: constants become floats (numexpr's ints are 32 bits wide), truths 1 or 0."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _constant(value)
        case ast.Name(id=name):
            return _known(name, names)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            return ast.UnaryOp(sign, _number(operand, names))
        case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, _ARITHMETIC):
            return ast.BinOp(_number(left, names), operator, _number(right, names))
        case ast.Call():
            return _call(node, names)
        case ast.Compare() | ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.UnaryOp(op=ast.Invert()):
            return ast.Call(ast.Name("where"), [_truth(node, names), ast.Constant(1.0), ast.Constant(0.0)], [])
    raise _NotAllowed(_INSTEAD.get(_kind(node), f"`{ast.unparse(node)}` is not allowed in a formula"))


def _truth(node: ast.expr, names: frozenset[str]) -> ast.expr:
    """The judged node as a condition; numexpr would also take a number for one and then fail to compile it."""
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if isinstance(operator, _COMPARISONS):
            return ast.Compare(_number(left, names), [operator], [_number(right, names)])
        case ast.Compare(ops=[_, _, *_]):
            raise _NotAllowed(f"`{ast.unparse(node)}`: write a chain of comparisons as (a < b) & (b < c)")
        case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() as joint, right=right):
            return ast.BinOp(_truth(left, names), joint, _truth(right, names))
        case ast.UnaryOp(op=ast.Invert() as inversion, operand=operand):
            return ast.UnaryOp(inversion, _truth(operand, names))
    raise _NotAllowed(_INSTEAD.get(_kind(node), f"`{ast.unparse(node)}` stands where a comparison belongs"))


def _kind(node: ast.expr) -> type[ast.AST]:
    return type(node.op) if isinstance(node, ast.UnaryOp) else type(node)


def _constant(value: float) -> ast.expr:
    if abs(value) > sys.float_info.max:
        raise _NotAllowed("a number in the formula is too large")
    return ast.Constant(float(value))


def _known(name: str, names: frozenset[str]) -> ast.expr:
    if name in FUNCTIONS:
        raise _NotAllowed(f"{name} is a function: write {name}(VALUE)")
    if name not in names:
        raise _NotAllowed(f"the formula uses {name}, which `let` does not define{_nearest(name, names)}")
    return ast.Name(PREFIX + name)


def _call(node: ast.Call, names: frozenset[str]) -> ast.expr:
    if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
        called = ast.unparse(node.func)
        close = get_close_matches(called[:SHOWN], FUNCTIONS, n=1)
        meant = f"; did you mean {close[0]}? Functions" if close else "; functions"
        raise _NotAllowed(f"{called[:SHOWN]}() cannot be called in a formula{meant}: {', '.join(FUNCTIONS)}")
    name, wanted = node.func.id, FUNCTIONS[node.func.id].arguments
    if node.keywords or len(node.args) != wanted:
        raise _NotAllowed(f"{name}() takes {wanted} argument{'s' if wanted > 1 else ''}, in order")
    judges = [_truth, _number, _number] if name == "where" else [_number] * wanted
    return ast.Call(node.func, [judge(given, names) for judge, given in zip(judges, node.args, strict=True)], [])


def _nearest(name: str, names: Collection[str]) -> str:
    close = get_close_matches(name[:SHOWN], sorted(names), n=1)
    return f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(names)[:20]) or 'none'}"
