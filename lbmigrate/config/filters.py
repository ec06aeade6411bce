"""What is wrong with a source's filter, told before any server is asked: operators that MongoDB does not have.

A mistyped operator is an error of the server in the middle of a run, or worse, a filter that matches nothing. Only the
operators are judged, and of their values only the shape; `$expr` and `$jsonSchema` have languages of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from lbmigrate.config.yaml_tree import dotted
from lbmigrate.errors import Problem

LOGICAL = frozenset({"$and", "$or", "$nor"})
OPAQUE = frozenset({"$expr", "$jsonSchema", "$comment", "$text"})  # beside LOGICAL, where fields are named
LISTS = frozenset({"$in", "$nin", "$all"})
OPERATORS = frozenset({
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$not", "$exists", "$type", "$mod", "$regex", "$options",
    "$all", "$elemMatch", "$size", "$bitsAllClear", "$bitsAllSet", "$bitsAnyClear", "$bitsAnySet", "$geoIntersects",
    "$geoWithin",
})  # fmt: skip
WRAPPED = frozenset({
    "$oid", "$date", "$numberInt", "$numberLong", "$numberDouble", "$numberDecimal", "$binary", "$uuid", "$timestamp",
})  # fmt: skip
LENGTH = 40  # of a mistyped word that is quoted
INSTEAD = {
    "$near": "documents are counted, which $near does not allow; write $geoWithin",
    "$nearSphere": "documents are counted, which $nearSphere does not allow; write $geoWithin",
    "$sampleRate": "$sampleRate chooses other documents each time; write a filter that always means the same",
}
# `yaml_tree` has told of these where they stand
TOLD = frozenset({"$where", "$function", "$accumulator"})


def problems_of(where: Any, path: str) -> Iterator[Problem]:
    """Every problem of a filter that stands at `path`."""
    if isinstance(where, dict):
        yield from _query(where, path)


def _query(query: dict[Any, Any], path: str) -> Iterator[Problem]:
    """Fields, and operators that join such filters."""
    for key, value in query.items():
        place = dotted(path, key)
        if key in LOGICAL:
            yield from _list_of(value, place, "filters", _query)
        elif str(key).startswith("$"):
            yield from _unknown(key, place, LOGICAL | OPAQUE)
        elif "\0" in str(key):
            yield Problem(path, "no field has a NUL in its name")
        else:
            yield from _value(value, place)


def _value(value: Any, path: str) -> Iterator[Problem]:
    """What a field is compared with: a value, or operators."""
    if not isinstance(value, dict) or not _has_operators(value):
        yield from _literal(value, path)
        return
    for operator, operand in value.items():
        yield from _operator(operator, operand, dotted(path, operator))


def _operator(operator: Any, operand: Any, path: str) -> Iterator[Problem]:
    if operator not in OPERATORS:
        yield from _unknown(operator, path, OPERATORS | WRAPPED)
    elif operator in LISTS:
        yield from _list_of(operand, path, "values", _value if operator == "$all" else _literal)
    elif operator == "$not" and isinstance(operand, dict):
        yield from _value(operand, path)
    elif operator == "$elemMatch":
        yield from _element(operand, path)
    elif operator in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte"):
        yield from _literal(operand, path)


def _element(operand: Any, path: str) -> Iterator[Problem]:
    """Operators for an element that is a value, or a filter for one that is a document."""
    if not isinstance(operand, dict):
        yield Problem(path, "must be a mapping (`key: value`)")
    elif _has_operators(operand) and not (LOGICAL | OPAQUE) & operand.keys():
        yield from _value(operand, path)
    else:
        yield from _query(operand, path)


def _literal(value: Any, path: str) -> Iterator[Problem]:
    """A value is compared as it is, so an operator inside it is no operator any more, and matches nothing."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _literal(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if str(key).startswith("$"):
                yield from _stray(key, dotted(path, key))
            else:
                yield from _literal(item, dotted(path, key))


def _stray(operator: Any, path: str) -> Iterator[Problem]:
    if operator in OPERATORS | LOGICAL:
        yield Problem(path, f"{operator} stands inside a value; give the whole path: `a.b: {{{operator}: VALUE}}`")
    else:
        yield from _unknown(operator, path, WRAPPED)


def _list_of(items: Any, path: str, what: str, judge: Callable[[Any, str], Iterator[Problem]]) -> Iterator[Problem]:
    if not isinstance(items, list) or (what == "filters" and not items):
        yield Problem(path, f"must be a list of {what}")
        return
    for index, item in enumerate(items):
        if what == "filters" and not isinstance(item, dict):
            yield Problem(f"{path}[{index}]", "must be a filter (`field: value`)")
        else:
            yield from judge(item, f"{path}[{index}]")


def _has_operators(value: dict[Any, Any]) -> bool:
    return any(str(key).startswith("$") for key in value)


def _unknown(key: Any, path: str, known: Iterable[str]) -> Iterator[Problem]:
    if key in OPAQUE & set(known) or key in TOLD:
        return
    word = str(key)[:LENGTH]
    if key in OPERATORS:
        yield Problem(path, f"{word} is for a field: `field: {{{word}: VALUE}}`")
    elif key in LOGICAL | OPAQUE:
        yield Problem(path, f"{word} is for a whole filter; it stands beside fields, not under one")
    elif not word.startswith("$"):
        yield Problem(path, f"{word!r} stands among operators; give the whole path: `a.b: VALUE`")
    else:
        near = get_close_matches(word, sorted(known), n=1)
        yield Problem(path, INSTEAD.get(word) or f"MongoDB has no operator {word}" + _did_you_mean(near))


def _did_you_mean(near: list[str]) -> str:
    return f"; did you mean {near[0]}?" if near else ""
