"""Documents in the order of their values: sorted when asked for, or kept sorted where the same is asked again."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, compress
from typing import Any

from bson import Int64, ObjectId
from mongomock_ng.filtering import resolve_sort_key

from lbmigrate.fake.matching import Column, column, judged
from lbmigrate.models import Document

# https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/. Left to the original: a float may be a NaN,
# which has no place, and Python takes True for 1.
RANK = {type(None): 5, int: 10, Int64: 10, str: 15, ObjectId: 35, dt.datetime: 45}

Order = Sequence[tuple[str, int]]


def in_order(documents: list[Document], order: Order, most: int | None = None) -> list[Document]:
    """Sorted by (path, direction) pairs, the first foremost; only the first `most`, without sorting the others."""
    for path, way in reversed(order[1:]):
        documents = _sorted(documents, path, way, None)
    return _sorted(documents, *order[0], most)


def _sorted(documents: list[Document], path: str, way: int, most: int | None) -> list[Document]:
    places = _places(column(path, documents))
    if places is None:
        return sorted(documents, key=lambda each: resolve_sort_key(path, each), reverse=way < 0)[:most]
    first = heapq.nlargest if way < 0 else heapq.nsmallest  # both as stable as `sorted`
    return [documents[row] for row in first(most or len(places), range(len(places)), key=places.__getitem__)]


def _places(values: Column | None) -> list[tuple[int, Any]] | None:
    """For each value something that compares as a server orders them; None where only the original can."""
    if values is None or not RANK.keys() >= set(map(type, values)):
        return None
    return [(RANK[type(value)], value.binary if type(value) is ObjectId else value) for value in values]


class Index:
    """Documents by the scalar that they have at a path: under each value in the order of insertion."""

    @classmethod
    def of(cls, path: str, documents: list[Document]) -> Index | None:
        """None if some document has a value there that is not to be sorted here."""
        values = column(path, documents)
        places = _places(values)
        return None if values is None or places is None else cls(values, places, documents)

    def __init__(self, values: Column, places: list[Any], documents: list[Document]) -> None:
        self._groups: dict[Any, list[Document]] = {}
        for value, document in zip(values, documents, strict=True):
            self._groups.setdefault(value, []).append(document)
        self._place = dict(zip(values, places, strict=True)).__getitem__

    @cached_property
    def _values(self) -> Column:
        return sorted(self._groups, key=self._place)

    def equal(self, value: Any) -> list[Document]:
        """Those with this value; for None also those without the field."""
        return self._groups.get(value, [])

    def walk(self, way: int, asked: Any) -> Iterator[Document]:
        """In order of their values; at least those that meet the condition on the field which is `asked`."""
        judgeable = not isinstance(asked, dict) or "$type" not in asked  # one group may hold 1 as int and as long
        verdicts = judged(asked, self._values) if judgeable else None
        values = self._values if verdicts is None else list(compress(self._values, verdicts))
        return chain.from_iterable(map(self._groups.__getitem__, values if way > 0 else reversed(values)))
