"""Which ranges of a source are read: one after the other to its end, or a few ranges of it at random."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection

from lbmigrate.passes import chunks
from lbmigrate.passes.chunks import Bounds, Span

WINDOWS, WINDOW = 4, 100  # ranges at random, and documents in each


def with_ends(found: Iterator[Bounds], fresh: bool) -> Iterator[tuple[Bounds, bool, bool]]:
    """Each range with whether it is the first of its span, and whether it is the last; `fresh` where none was read."""
    first, bounds = fresh, next(found, None)
    while bounds is not None:
        following = next(found, None)
        yield bounds, first, following is None
        first, bounds = False, following


def ranges(collection: Collection[Any], span: Span, generator: random.Random) -> Iterator[Bounds]:
    """Ranges of WINDOW documents: one from either end, and the others from places between by lot."""
    yield from islice(chunks.cut(collection, span, lambda: WINDOW, None), 1)
    whole = {span.key: {"$gte": span.low, "$lte": span.high}}
    rows = list(collection.find(whole, {"_id": 1}).sort("_id", -1).limit(WINDOW))
    if rows:
        yield Bounds(span.key, rows[-1]["_id"], rows[0]["_id"], closed=True)
    for _ in range(WINDOWS):
        low = _between(span.low, span.high, generator)
        if low is None:
            return
        asked = {span.key: {"$gte": low, "$lte": span.high}}
        rows = list(collection.find(asked, {"_id": 1}).sort("_id", 1).limit(WINDOW))
        if rows:
            yield Bounds(span.key, rows[0]["_id"], rows[-1]["_id"], closed=True)


def _between(low: Any, high: Any, generator: random.Random) -> Any:
    """A place between two ids by lot; None for ids that have no middle."""
    if isinstance(low, ObjectId) and isinstance(high, ObjectId):
        first, last = (int.from_bytes(each.binary) for each in (low, high))
        return ObjectId(generator.randint(first, last).to_bytes(12))
    whole = isinstance(low, int) and isinstance(high, int) and not isinstance(low, bool)
    return generator.randint(low, high) if whole else None
