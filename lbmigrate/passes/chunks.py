"""Cutting a source into chunks: key ranges of a bounded number of documents, their bounds frozen before work starts.

A pass walks a source once. It is a list of spans, each a range of one key in which all values have one BSON type,
because a range query silently skips values of other types. A span is cut with index hops (`skip(n).limit(1)` on a
covered query), never by skipping through the documents themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from bson import json_util
from bson.binary import UuidRepresentation
from pymongo.collection import Collection

from lbmigrate.errors import Refused
from lbmigrate.records import Document
from lbmigrate.state.forms import chunk_problem
from lbmigrate.values.bounds import LONG_BINARY, above, below, is_long_binary
from lbmigrate.values.brackets import TYPES, bracket_of, is_nan, rank
from lbmigrate.values.limits import NO_TEXT, TEXT, is_lost

# What no range holds. Documents with such ids are few: each kind of them is one chunk.
NO_RANGE: Document = {"$type": ["minKey", "maxKey", "javascript", "javascriptWithScope", "symbol", "dbPointer"]}
UNORDERED = [NO_TEXT, LONG_BINARY, NO_RANGE]
_IDS = json_util.JSONOptions(uuid_representation=UuidRepresentation.STANDARD)
NUMBERS: Document = {"$gte": float("-inf")}  # but for NaN, which a range holds only by itself


@dataclass(frozen=True, slots=True)
class Span:
    """Documents whose `key` lies in [low, high] and that meet `extra`; without bounds, all that meet `extra`.

    One that is `open` ends before `high`. Spans of one `lane` are read one after another, and lanes in turns.
    """

    key: str
    low: Any = None
    high: Any = None
    extra: Document = field(default_factory=dict)
    open: bool = False
    lane: str = ""

    def within(self) -> Document:
        """Its bounds as a filter on the key."""
        return {"$gte": self.low, self.end: self.high}

    @property
    def end(self) -> str:
        return "$lt" if self.open else "$lte"

    def row(self) -> Document:
        """As the state keeps it: a filter's `$` names may not be stored, so it is kept as Extended JSON."""
        return {
            "key": self.key,
            "low": self.low,
            "high": self.high,
            "extra": json_util.dumps(self.extra, json_options=_IDS),
            **({"open": self.open, "lane": self.lane} if self.lane else {}),
        }

    @classmethod
    def from_row(cls, row: Document) -> Span:
        extra = json_util.loads(row["extra"], json_options=_IDS)
        return cls(row["key"], row["low"], row["high"], extra, row.get("open") is True, str(row.get("lane") or ""))


@dataclass(frozen=True, slots=True)
class Bounds:
    """One chunk's documents: `key` from `low` to `high` (itself included when `closed`) that meet `extra`.

    Those whose ids are UNORDERED have no bounds: they are all that meet `extra`.
    """

    key: str
    low: Any
    high: Any
    closed: bool
    extra: Document = field(default_factory=dict)

    @property
    def unordered(self) -> Document:
        """Which of the UNORDERED the ids are; empty where they have an order."""
        last = self.extra.get("$and", [{}])[-1].get("_id")
        return last if last in UNORDERED else {}

    def condition(self) -> Document:
        """The chunk as a filter."""
        if self.unordered:
            return self.extra
        within = {self.key: {"$gte": self.low, "$lte" if self.closed else "$lt": self.high}}
        return {"$and": [within, self.extra]} if self.extra else within

    def row(self) -> Document:
        return {
            "key": self.key, "low": self.low, "high": self.high, "closed": self.closed,
            "extra": json_util.dumps(self.extra, json_options=_IDS),
        }  # fmt: skip

    @classmethod
    def from_row(cls, row: Document) -> Bounds:
        """Raises Refused for a row that lost its bounds: guessing them could lose documents."""
        if problem := chunk_problem(row):
            hint = "lbmigrate backfill --full reads everything again; events that are there stay as they are"
            raise Refused(f"{row.get('_id', 'a chunk')} in the state has no usable bounds ({problem})", hint)
        return cls(row["key"], row["low"], row["high"], row["closed"], json_util.loads(row["extra"], json_options=_IDS))


def value_at(document: Document, path: str) -> Any:
    """The value at a dotted path of a projected document."""
    for part in path.split("."):
        document = document.get(part, {})
    return document


Size = Callable[[], int]


def cut(collection: Collection[Any], span: Span, size: Size, last: Bounds | None) -> Iterator[Bounds]:
    """The chunks of a span, each at most `size()` documents, going on after `last` if that was cut before."""
    if span.extra:
        yield from _cut_listed(collection, span.extra, size, last)
        return
    low = span.low
    if last is not None and last.unordered:
        yield from _cut_listed(collection, last.extra["$and"][0], size, last)
        low = _above(collection, span, last.extra["$and"][0][span.key])
    elif last is not None and last.extra:  # stopped inside a run of equal keys
        tie = last.extra[span.key]
        yield from _cut_listed(collection, {span.key: tie}, size, last)
        low = _above(collection, span, tie)
    elif last is not None:
        low = None if last.closed or (span.open and last.high == span.high) else last.high
    while low is not None:
        low = yield from _cut_one(collection, span, low, size)


def _cut_one(collection: Collection[Any], span: Span, low: Any, size: Size) -> Generator[Bounds, None, Any]:
    """One chunk from `low` on, or the several that a run of equal keys needs; returns where the next begins."""
    found = _hop(collection, span, {"$gte": low}, size())
    beyond = above(found)  # where that is large, the chunk has all ids that begin like it
    if beyond is None or (beyond is not found and beyond == span.high):
        yield Bounds(span.key, low, span.high, closed=not span.open)
        return None
    if beyond != low:
        yield Bounds(span.key, low, beyond, closed=False)
        return beyond
    yield from _cut_listed(collection, {span.key: low}, size, None)
    return _above(collection, span, low)


def _hop(collection: Collection[Any], span: Span, start: Document, skip: int) -> Any:
    asked = {span.key: {**start, span.end: span.high}}
    projection = {span.key: 1} if span.key == "_id" else {span.key: 1, "_id": 0}  # covered by the key's index
    found = list(collection.find(asked, projection).sort(span.key, 1).skip(skip).limit(1))
    value = value_at(found[0], span.key) if found else None
    if is_lost(value) and TEXT.items().isdisjoint(start.items()):
        return _hop(collection, span, {**start, **TEXT}, skip)
    return None if is_long_binary(value) else value  # the span has no other behind it


def first_from(collection: Collection[Any], span: Span, value: Any) -> Any:
    """The first key of a span from a value on, or what is short and not above it; None where there is none."""
    return below(_hop(collection, span, {"$gte": value}, 0))


def _above(collection: Collection[Any], span: Span, value: Any) -> Any:
    return _hop(collection, span, {"$gt": value}, 0)


def _cut_listed(collection: Collection[Any], extra: Document, size: Size, last: Bounds | None) -> Iterator[Bounds]:
    """Chunks of the documents that meet `extra`, by streaming their ids in order and keeping only every bound.

    It goes on after `last`. What has no order comes at the end, one chunk for each kind.
    """
    if last is None or not last.unordered:
        yield from _cut_ordered(collection, extra, size, last)
    rest = UNORDERED[UNORDERED.index(last.unordered) + 1 :] if last and last.unordered else UNORDERED
    for kind in rest:
        apart = {"$and": [extra, {"_id": kind}]}
        if collection.find_one(apart, {"_id": 1}):
            yield Bounds("_id", None, None, closed=True, extra=apart)


def _cut_ordered(collection: Collection[Any], extra: Document, size: Size, last: Bounds | None) -> Iterator[Bounds]:
    low = high = None
    count = 0
    wanted = extra if last is None else {"$and": [extra, _beyond(last.high)]}
    for row in collection.find(wanted, {"_id": 1}).sort("_id", 1):
        each = row["_id"]
        if is_lost(each) or is_long_binary(each) or (each is not None and rank(each) == len(TYPES)):
            continue
        top = above(each)
        if top is not each and top == high:  # the chunk before has all ids that begin like it
            continue
        if count >= size() or (count and bracket_of(each) != bracket_of(high)):
            yield Bounds("_id", low, high, closed=True, extra=extra)
            count = 0
        low, high, count = (low if count else below(each)), top, count + 1
    if count:
        yield Bounds("_id", low, high, closed=True, extra=extra)


def _beyond(mark: Any) -> Document:
    """Ids after this one in the server's order, which has its own rules for collations and for binary data."""
    following: Document = {"_id": NUMBERS if is_nan(mark) else {"$gt": mark}}
    later = [{"_id": {"$type": name}} for name in TYPES[rank(mark) + 1 :]] if mark is not None else []
    return {"$or": [following, *later]} if mark is not None else {"_id": {"$ne": None}}
