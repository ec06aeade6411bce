"""What an operator of a filter says of one value, MISSING where there is none: what a server says of it.

Each function takes the operator's operand and returns a test of values. Raises Unfaithful for an operand that is not
understood, or that a server refuses.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bson import Int64, Regex

from lbmigrate.mongo.fake.comparison import EMPTY, MAX, MIN, NAN, NULL, NUMBER, STRING, Place, place
from lbmigrate.mongo.fake.elements import MISSING
from lbmigrate.mongo.fake.patterns import searching
from lbmigrate.mongo.fake.types import type_test
from lbmigrate.mongo.fake.unfaithful import Unfaithful

Test = Callable[[Any], bool]

COMPARISONS = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
OR_EQUAL = ("$gte", "$lte")
LONG = range(-(2**63), 2**63)


def has_operators(asked: Any) -> bool:
    """Whether a value asks for something; the first name decides, and `$ref` begins a reference to a document."""
    return isinstance(asked, Mapping) and next(iter(asked), "")[:1] == "$" and next(iter(asked)) != "$ref"


def _place(name: str, operand: Any) -> Place:
    if isinstance(operand, Regex):
        raise Unfaithful(f"{name} with a pattern")
    try:
        return place(operand)
    except TypeError as error:
        raise Unfaithful(f"{name} with a value that is {error}") from error


def equal(operand: Any) -> Test:
    """The same value, type for type, but for numbers."""
    return among([operand], "$eq")


def among(operand: Any, name: str = "$in") -> Test:
    """One of several values; null is also none."""
    if not isinstance(operand, list | tuple):
        raise Unfaithful(f"{name} without a list")
    if any(map(has_operators, operand)):
        raise Unfaithful(f"{name} with operators inside")
    wanted = {_place(name, each) for each in operand}
    nothing = (NULL,) in wanted
    return lambda value: nothing if value is MISSING else place(value) in wanted


def compared(name: str, operand: Any) -> Test:
    """Before or after a value of the same kind."""
    bound = _place(name, operand)
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


def matched(pattern: Any, options: Any) -> Test:
    """A text that a pattern describes, or that pattern itself."""
    if type(pattern) is not str or type(options) is not str:
        raise Unfaithful("$regex that is no text")
    search = searching(pattern, options)
    flags = Regex(pattern, options).flags

    def test(value: Any) -> bool:
        known = (NULL,) if value is MISSING else place(value)
        return search(known[1]) if known[0] == STRING else isinstance(value, Regex) and known[1:] == (pattern, flags)

    return test


def of_type(operand: Any) -> Test:
    """Of a type, or of one of several."""
    kinds = [type_test(each) for each in (operand if isinstance(operand, list) and operand else [operand])]
    return lambda value: value is not MISSING and any(kind(value) for kind in kinds)


def remainder(operand: Any) -> Test:
    """A number that leaves a remainder, which has the sign of the number."""
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


def sized(operand: Any) -> Test:
    """An array of so many elements."""
    if type(operand) not in (int, Int64) or operand < 0:
        raise Unfaithful("$size with other than a whole number")
    return lambda value: isinstance(value, list) and len(value) == operand
