"""Documents in the order of their values: sorted when asked for, or kept sorted where the same is asked again."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, compress
from typing import Any

from bson import Int64, ObjectId

from lbmigrate.mongo.fake.comparison import EMPTY as EMPTY_PLACE
from lbmigrate.mongo.fake.comparison import Place, place
from lbmigrate.mongo.fake.elements import EMPTY, sorted_by
from lbmigrate.mongo.fake.matching import Column, column, judged
from lbmigrate.records import Document

# The values that compare as they are: a float may be a NaN, which has no place, and Python takes True for 1.
RANK = {type(None): 5, int: 10, Int64: 10, str: 15, ObjectId: 35, dt.datetime: 45}

Order = Sequence[tuple[str, int]]


def is_plain(order: Any) -> bool:
    """Whether this is about fields only; `$natural` is not."""
    return all(isinstance(each, list | tuple) and len(each) == 2 and each[0][:1] not in ("", "$") for each in order)


def in_order(documents: list[Document], order: Order, most: int | None = None) -> list[Document]:
    """Sorted by (path, direction) pairs, the first foremost; only the first `most`, without sorting the others."""
    for path, way in reversed(order[1:]):
        documents = _sorted(documents, path, way, None)
    return _sorted(documents, *order[0], most)


def _sorted(documents: list[Document], path: str, way: int, most: int | None) -> list[Document]:
    places = _places(column(path, documents)) or [_place(document, path.split("."), way) for document in documents]
    first = heapq.nlargest if way < 0 else heapq.nsmallest  # both as stable as `sorted`
    return [documents[row] for row in first(most or len(places), range(len(places)), key=places.__getitem__)]


def _place(document: Document, path: Sequence[str], way: int) -> Place:
    """Of what an array holds the least counts, or the greatest when the order is from above."""
    places = [(EMPTY_PLACE,) if value is EMPTY else place(value) for value in sorted_by(document, path)]
    return max(places) if way < 0 else min(places)


def _places(values: Column | None) -> list[Place] | None:
    """For each value something that compares as a server orders them; None where only the original can."""
    if values is None or not RANK.keys() >= set(map(type, values)):
        return None
    return [(RANK[type(value)], value.binary if type(value) is ObjectId else value) for value in values]


class Index:
    """Where the documents with each value of a field are, the field being absent or a scalar in all of them."""

    @classmethod
    def of(cls, path: str, documents: list[Document]) -> Index | None:
        """None if some document has a value there that is not to be sorted here."""
        values = column(path, documents)
        places = _places(values)
        return None if values is None or places is None else cls(values, places, documents)

    def __init__(self, values: Column, places: list[Any], documents: list[Document]) -> None:
        self._documents = documents
        self._place = dict(zip(values, places, strict=True)).__getitem__
        self._rows: dict[Any, list[int]] = {}
        for row, value in enumerate(values):
            self._rows.setdefault(value, []).append(row)

    @cached_property
    def _ascending(self) -> Column:
        return sorted(self._rows, key=self._place)

    @cached_property
    def _kinds(self) -> dict[type, Any]:
        """An example of each type."""
        return {type(value): value for value in self._rows}

    def holding(self, values: Sequence[Any]) -> list[Document]:
        """The documents with any of these values (None is also no value), in the order of insertion."""
        rows = chain.from_iterable(self._rows.get(value, ()) for value in set(values))
        return [self._documents[row] for row in sorted(rows)]

    def walk(self, way: int, asked: Any) -> Iterator[Document]:
        """In order of their values, at least the documents that meet the condition `asked` on the field."""
        values = self._perhaps(asked)
        rows = chain.from_iterable(map(self._rows.__getitem__, values if way > 0 else reversed(values)))
        return map(self._documents.__getitem__, rows)

    def _perhaps(self, asked: Any) -> Column:
        """The values that may meet a condition, ascending."""
        if isinstance(asked, dict) and "$type" in asked:
            return self._ascending if self._may_be_of(asked["$type"]) else []
        verdicts = judged(asked, self._ascending)
        return self._ascending if verdicts is None else list(compress(self._ascending, verdicts))

    def _may_be_of(self, asked: Any) -> bool:
        if int in self._kinds or Int64 in self._kinds:
            return True  # equal numbers are one value here, and yet may be both ints and longs
        verdicts = judged({"$type": asked}, list(self._kinds.values()))
        return verdicts is None or any(verdicts)
