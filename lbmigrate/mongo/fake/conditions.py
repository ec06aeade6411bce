"""Filters as functions: whether a document meets one, decided as a server decides it.

What is understood here is faithful, for every type of value: tests compare it with a server. All else is Unfaithful.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bson import DBRef, Int64, Regex

from lbmigrate.mongo.fake.comparison import EMPTY, MAX, MIN, NAN, NULL, NUMBER, STRING, Place, place
from lbmigrate.mongo.fake.elements import MISSING, values
from lbmigrate.mongo.fake.patterns import searching
from lbmigrate.mongo.fake.types import type_test
from lbmigrate.mongo.fake.unfaithful import Unfaithful
from lbmigrate.records import Document

Predicate = Callable[[Any], bool]  # of a document
Test = Callable[[Any], bool]  # of a value, MISSING where there is none

COMPARISONS = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
OR_EQUAL = ("$gte", "$lte")
NEGATED = {"$ne": "$eq", "$nin": "$in"}
OPTIONS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}
LONG = range(-(2**63), 2**63)


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
    return asked if _has_operators(asked) else {"$eq": asked}


def _has_operators(asked: Any) -> bool:
    """The first name decides; `$ref` begins a reference to a document."""
    return isinstance(asked, Mapping) and next(iter(asked), "")[:1] == "$" and next(iter(asked)) != "$ref"


def _operators(path: tuple[str, ...], asked: Mapping[str, Any]) -> Predicate:
    return _all([_operator(path, name, operand, asked) for name, operand in asked.items()])


def _operator(path: tuple[str, ...], name: str, operand: Any, beside: Mapping[str, Any]) -> Predicate:
    if name in NEGATED:
        return _none([_operator(path, NEGATED[name], operand, beside)])
    if name == "$not" and (_has_operators(operand) or isinstance(operand, Regex)):
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
    asked = [each if _has_operators(each) else {"$eq": each} for each in operand]
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
    if name in COMPARISONS:
        return _compared(name, _place(name, operand))
    if name == "$regex":
        return _matched(operand, beside.get("$options", ""))
    if name == "$options" and "$regex" in beside:
        return lambda _: True
    if name not in _TESTS:
        raise Unfaithful(name)
    return _TESTS[name](operand)


def _place(name: str, operand: Any) -> Place:
    if isinstance(operand, Regex):
        raise Unfaithful(f"{name} with a pattern")
    try:
        return place(operand)
    except TypeError as error:
        raise Unfaithful(f"{name} with a value that is {error}") from error


def _equal(operand: Any) -> Test:
    return _among([operand], "$eq")


def _among(operand: Any, name: str = "$in") -> Test:
    if not isinstance(operand, list | tuple):
        raise Unfaithful(f"{name} without a list")
    if any(map(_has_operators, operand)):
        raise Unfaithful(f"{name} with operators inside")
    wanted = {_place(name, each) for each in operand}
    nothing = (NULL,) in wanted
    return lambda value: nothing if value is MISSING else place(value) in wanted


def _compared(name: str, bound: Place) -> Test:
    compare, kind = COMPARISONS[name], bound[0]
    if kind in (MIN, MAX):
        return lambda value: compare((EMPTY,) if value is MISSING else place(value), bound)
    if kind == NULL or bound == NAN:  # nothing is above or below these
        equal = name in OR_EQUAL
        return lambda value: equal and (kind == NULL if value is MISSING else place(value) == bound)
    return partial(_within, compare, bound)


def _within(compare: Callable[[Any, Any], bool], bound: Place, value: Any) -> bool:
    """A range holds values of the bound's own kind only."""
    if value is MISSING:
        return False
    known = place(value)
    return known[0] == bound[0] and known != NAN and compare(known, bound)


def _matched(pattern: Any, options: Any) -> Test:
    if type(pattern) is not str or type(options) is not str:
        raise Unfaithful("$regex that is no text")
    search = searching(pattern, options)
    flags = Regex(pattern, options).flags

    def test(value: Any) -> bool:
        known = (NULL,) if value is MISSING else place(value)
        return search(known[1]) if known[0] == STRING else isinstance(value, Regex) and known[1:] == (pattern, flags)

    return test


def _of_type(operand: Any) -> Test:
    kinds = [type_test(each) for each in (operand if isinstance(operand, list) and operand else [operand])]
    return lambda value: value is not MISSING and any(kind(value) for kind in kinds)


def _remainder(operand: Any) -> Test:
    fine = isinstance(operand, list) and len(operand) == 2 and {*map(type, operand)} <= {int, Int64} and operand[0]
    if not fine or not all(int(number) in LONG for number in operand):
        raise Unfaithful("$mod with other than two whole numbers, the first not 0")
    divisor, rest = map(int, operand)

    def test(value: Any) -> bool:
        number = None if value is MISSING else _whole(value)
        return number is not None and (abs(number) % abs(divisor)) * (-1 if number < 0 else 1) == rest

    return test


def _whole(value: Any) -> int | None:
    known = place(value)
    if known[0] != NUMBER or known == NAN or known[2] in (math.inf, -math.inf):
        return None
    return int(known[2]) if int(known[2]) in LONG else None


def _sized(operand: Any) -> Test:
    if type(operand) not in (int, Int64) or operand < 0:
        raise Unfaithful("$size with other than a whole number")
    return lambda value: isinstance(value, list) and len(value) == operand


def _of_an_element(operand: Any) -> Test:
    """Of an array: whether one element meets everything, as a value or as a document."""
    if not isinstance(operand, Mapping) or isinstance(operand, DBRef):
        raise Unfaithful("$elemMatch without a filter")
    if _has_operators(operand) and not operand.keys() & {*_JOINED, "$expr"}:
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
    if name == "$not" and _has_operators(operand):
        return _none([_all([_single(each, inner, operand) for each, inner in operand.items()])])
    if name in ("$exists", "$all"):
        raise Unfaithful(f"{name} for an element itself")
    return _test(name, operand, beside)


_TESTS: dict[str, Callable[[Any], Test]] = {
    "$eq": _equal,
    "$in": _among,
    "$type": _of_type,
    "$mod": _remainder,
    "$size": _sized,
    "$elemMatch": _of_an_element,
}
_OF_ARRAYS = ("$size", "$elemMatch")
