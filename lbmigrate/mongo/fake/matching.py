"""Which documents meet a filter: a column of values at a time where that is plain, else one after the other.

A condition is plain when every document has a scalar (or nothing) at its path, and when it compares with scalars. Left
to the original is what `conditions` does not understand; it decides in its own way, which may not be a server's.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, reduce
from itertools import compress, islice
from typing import Any

from bson import Int64, ObjectId
from mongomock_ng.filtering import filter_applies

from lbmigrate.mongo.fake import conditions
from lbmigrate.mongo.fake.types import TYPES
from lbmigrate.mongo.fake.unfaithful import Unfaithful
from lbmigrate.records import Document

FIRST_BATCH = 100

Column = list[Any]
Test = Callable[[Column], Iterable[bool]]

NUMBERS = frozenset({int, Int64, float})
SCALARS = NUMBERS | {type(None), bool, str, ObjectId, dt.datetime}
SOUGHT = SCALARS - {float}  # a NaN equals itself in a query, but not in Python
COMPARABLE = {kind: NUMBERS if kind in NUMBERS else {kind} for kind in (*NUMBERS, str, ObjectId, dt.datetime)}
COMPARISONS = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def streamed(condition: Document, documents: Iterable[Document]) -> Iterator[Document]:
    """Those that meet a filter, tried in growing batches: whoever asks for one document does not wait for all."""
    rest, size = iter(documents), FIRST_BATCH
    while batch := list(islice(rest, size)):
        yield from matching(condition, batch)
        size *= 2


def matching(condition: Document, documents: list[Document]) -> list[Document]:
    """Those that meet a filter, in their order."""
    for key, asked in condition.items():
        if key == "$and" and asked and all(isinstance(part, dict) for part in asked):
            documents = reduce(lambda rest, part: matching(part, rest), asked, documents)
            continue
        if key in ("$or", "$nor") and asked and all(isinstance(part, dict) for part in asked):
            met = {id(document) for part in asked for document in matching(part, documents)}
            documents = [document for document in documents if (id(document) in met) is (key == "$or")]
            continue
        values = None if key.startswith("$") else column(key, documents)
        verdicts = None if values is None else judged(asked, values)
        if verdicts is None:
            verdicts = map(predicate(key, asked), documents)
        documents = list(compress(documents, verdicts))
    return documents


def predicate(key: str, asked: Any) -> Callable[[Document], bool]:
    """Whether a document meets one condition of a filter."""
    try:
        return conditions.query({key: asked})
    except Unfaithful:
        return partial(filter_applies, {key: asked})


def column(path: str, documents: list[Document]) -> Column | None:
    """What each document has at `path`, None where it has nothing; None if a value is no scalar or lies in an array."""
    *heads, last = path.split(".")
    for head in heads:
        documents = [document.get(head, {}) for document in documents]
        if any(type(document) is not dict for document in documents):
            return None
    values = [document.get(last) for document in documents]
    return values if last and SCALARS.issuperset(map(type, values)) else None


def judged(asked: Any, values: Column) -> Iterable[bool] | None:
    """Whether each scalar is what a field's condition asks for; None if only the original can tell."""
    by_operator = asked if isinstance(asked, dict) else {"$eq": asked}
    tests = [test for each in by_operator.items() if (test := _test(*each))]
    if not tests or len(tests) < len(by_operator):
        return None
    return reduce(partial(map, operator.and_), [test(values) for test in tests])


def sought(asked: Any) -> Sequence[Any] | None:
    """The scalars of which a document must have one; None if a condition does not name them."""
    values: Any = asked.get("$in") if isinstance(asked, dict) else [asked]
    return values if _is_plain_list(values) else None


def _is_plain_list(values: Any) -> bool:
    return isinstance(values, list | tuple) and SOUGHT.issuperset(map(type, values)) and all(map(_is_rounded, values))


def _is_rounded(value: Any) -> bool:
    """Whether a value is as the database keeps it, and not a time that is cut to milliseconds first, or a NaN."""
    return value == value and (type(value) is not dt.datetime or (not value.tzinfo and value.microsecond % 1000 == 0))  # noqa: PLR0124


def _test(name: str, operand: Any) -> Test | None:
    """How one operator judges a column of scalars, if that is plain."""
    if name in ("$eq", "$ne"):
        return _test("$in" if name == "$eq" else "$nin", [operand])
    if name in ("$in", "$nin") and _is_plain_list(operand):
        return partial(_among, frozenset(operand), name == "$in")
    if name in COMPARISONS and type(operand) in COMPARABLE and _is_rounded(operand):
        return partial(_beyond, COMPARISONS[name], operand)
    if name == "$not" and isinstance(operand, dict):
        return partial(_other_than, operand) if judged(operand, []) is not None else None
    if name == "$type" and isinstance(operand, str) and operand in TYPES:
        return partial(map, TYPES[operand])
    return None


def _among(wanted: frozenset[Any], inside: bool, values: Column) -> Iterable[bool]:
    bools = {value for value in wanted if type(value) is bool}  # which are numbers to Python
    others = [value for value in wanted if type(value) is not bool]
    if bools or bool in set(map(type, values)):
        rest = frozenset(others)
        return [(value in (bools if type(value) is bool else rest)) is inside for value in values]
    return [(value in wanted) is inside for value in values]


def _other_than(asked: Document, values: Column) -> Iterable[bool]:
    return map(operator.not_, judged(asked, values) or ())


def _beyond(compare: Callable[[Any, Any], bool], bound: Any, values: Column) -> Iterable[bool]:
    """A range holds values of the bound's own kind only."""
    kind = COMPARABLE[type(bound)]
    return [type(value) in kind and compare(value, bound) for value in values]
