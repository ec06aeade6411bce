"""Filters as functions: whether a document meets one, decided as a server decides it.

What is understood here is faithful, for every type of value: tests compare it with a server. All else is Unfaithful.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bson import DBRef, Regex

from lbmigrate.mongo.fake import value_tests
from lbmigrate.mongo.fake.elements import MISSING, values
from lbmigrate.mongo.fake.unfaithful import Unfaithful
from lbmigrate.mongo.fake.value_tests import Test, has_operators
from lbmigrate.records import Document

Predicate = Callable[[Any], bool]  # of a document

NEGATED = {"$ne": "$eq", "$nin": "$in"}
OPTIONS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}


def query(condition: Mapping[str, Any]) -> Predicate:
    """Whether a document meets a filter. Raises Unfaithful."""
    parts = [_part(key, asked) for key, asked in condition.items()]
    return lambda document: all(part(document) for part in parts)


def unfaithful(condition: Document) -> list[str]:
    """What of a filter may mean something else on a server, each once, in its order; empty for a faithful filter."""
    found: dict[str, None] = {}
    for key, asked in condition.items():
        inner = asked if key in _JOINED and isinstance(asked, list) else ()
        if inner and all(isinstance(each, dict) for each in inner):
            found |= dict.fromkeys(what for each in inner for what in unfaithful(each))
            continue
        try:
            _part(key, asked)
        except Unfaithful as error:
            found[str(error)] = None
    return list(found)


def _part(key: str, asked: Any) -> Predicate:
    if key in _JOINED:
        if not isinstance(asked, list | tuple) or not asked or not all(isinstance(each, Mapping) for each in asked):
            raise Unfaithful(f"{key} without filters")
        return _JOINED[key]([query(each) for each in asked])
    if key == "$comment":
        return lambda _: True
    if key.startswith("$"):
        raise Unfaithful(key)
    return field(key, asked)


def _all(parts: list[Predicate]) -> Predicate:
    return lambda document: all(part(document) for part in parts)


def _any(parts: list[Predicate]) -> Predicate:
    return lambda document: any(part(document) for part in parts)


def _none(parts: list[Predicate]) -> Predicate:
    return lambda document: not any(part(document) for part in parts)


_JOINED: dict[str, Callable[[list[Predicate]], Predicate]] = {"$and": _all, "$or": _any, "$nor": _none}


def field(path: str, asked: Any) -> Predicate:
    """Whether what a document has at a path is what is asked for. Raises Unfaithful."""
    if not all(path.split(".")):
        raise Unfaithful(f"the path {path!r}")
    return _operators(tuple(path.split(".")), _as_operators(asked))


def _as_operators(asked: Any) -> Mapping[str, Any]:
    """A value is asked for by itself, a pattern by being met."""
    if isinstance(asked, Regex):
        options = "".join(letter for letter, flag in OPTIONS.items() if asked.flags & flag)
        return {"$regex": asked.pattern, "$options": options}
    return asked if has_operators(asked) else {"$eq": asked}


def _operators(path: tuple[str, ...], asked: Mapping[str, Any]) -> Predicate:
    return _all([_operator(path, name, operand, asked) for name, operand in asked.items()])


def _operator(path: tuple[str, ...], name: str, operand: Any, beside: Mapping[str, Any]) -> Predicate:
    if name in NEGATED:
        return _none([_operator(path, NEGATED[name], operand, beside)])
    if name == "$not" and (has_operators(operand) or isinstance(operand, Regex)):
        return _none([_operators(path, _as_operators(operand))])
    if name == "$all":
        return _every(path, operand)
    if name == "$exists":
        return _exists(path, operand)
    test, inside = _test(name, operand, beside), name not in _OF_ARRAYS
    return lambda document: any(map(test, values(document, path, inside)))


def _every(path: tuple[str, ...], operand: Any) -> Predicate:
    if not isinstance(operand, list):
        raise Unfaithful("$all without a list")
    if not operand:
        return lambda _: False
    asked = [each if has_operators(each) else {"$eq": each} for each in operand]
    if any(len(each) > 1 or not each.keys() & {"$eq", "$elemMatch"} for each in asked):
        raise Unfaithful("$all with operators")
    return _all([_operators(path, each) for each in asked])


def _exists(path: tuple[str, ...], operand: Any) -> Predicate:
    if not isinstance(operand, bool | int | float):
        raise Unfaithful("$exists with what is neither true nor false")
    wanted = bool(operand)
    return lambda document: any(value is not MISSING for value in values(document, path)) is wanted


# --- of one value -----------------------------------------------------------------------------------------------------


def _test(name: str, operand: Any, beside: Mapping[str, Any]) -> Test:
    """How one operator judges one value. Raises Unfaithful."""
    if name in value_tests.COMPARISONS:
        return value_tests.compared(name, operand)
    if name == "$regex":
        return value_tests.matched(operand, beside.get("$options", ""))
    if name == "$options" and "$regex" in beside:
        return lambda _: True
    if name not in _TESTS:
        raise Unfaithful(name)
    return _TESTS[name](operand)


def _of_an_element(operand: Any) -> Test:
    """Of an array: whether one element meets everything, as a value or as a document."""
    if not isinstance(operand, Mapping) or isinstance(operand, DBRef):
        raise Unfaithful("$elemMatch without a filter")
    if has_operators(operand) and not operand.keys() & {*_JOINED, "$expr"}:
        meets: Test = _all([_single(name, each, operand) for name, each in operand.items()])
        return lambda value: isinstance(value, list) and any(map(meets, value))
    asked = query(operand)
    return lambda value: (
        isinstance(value, list) and any(asked(_as_document(each)) for each in value if isinstance(each, dict | list))
    )


def _as_document(element: Any) -> Any:
    """An array in an array is a document with numbers for names."""
    return {str(index): each for index, each in enumerate(element)} if isinstance(element, list) else element


def _single(name: str, operand: Any, beside: Mapping[str, Any]) -> Test:
    if name in NEGATED:
        return _none([_single(NEGATED[name], operand, beside)])
    if name == "$not" and has_operators(operand):
        return _none([_all([_single(each, inner, operand) for each, inner in operand.items()])])
    if name in ("$exists", "$all"):
        raise Unfaithful(f"{name} for an element itself")
    return _test(name, operand, beside)


_TESTS: dict[str, Callable[[Any], Test]] = {
    "$eq": value_tests.equal,
    "$in": value_tests.among,
    "$type": value_tests.of_type,
    "$mod": value_tests.remainder,
    "$size": value_tests.sized,
    "$elemMatch": _of_an_element,
}
_OF_ARRAYS = ("$size", "$elemMatch")
