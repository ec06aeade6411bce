"""The ends of a source's ids: what was inserted behind them is new, whatever time it bears.

A pass remembers the highest `_id` of each type that was there when it began. Most ids grow, so a document behind that
has come in since: the next pass reads it even where its time is older than the watermark, and until then nobody can
ask the ledger for its event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.collection import Collection

from lbmigrate.config.model import Source
from lbmigrate.passes.chunks import NUMBERS, Span, value_at
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.values.bounds import BINARY, below, is_long_binary, is_of_many
from lbmigrate.values.brackets import TYPES, is_nan, rank
from lbmigrate.values.limits import TEXT, is_lost

ENDS = "ends"  # on a watermark row, and on the pass that it keeps


def end(collection: Collection[Any], key: str, condition: Document, way: int) -> Any:
    """The first value from one end that can be a bound: text that is UTF-8, a number that is one, no long binary data.

    It may be large (`values.bounds`).
    """
    found = collection.find_one(condition, {key: 1}, sort=[(key, way)])
    value = value_at(found, key) if found else None
    usual = TEXT if is_lost(value) else NUMBERS if is_nan(value) else BINARY if is_long_binary(value) else None
    if usual:
        found = collection.find_one({"$and": [condition, {key: usual}]}, {key: 1}, sort=[(key, way)])
    return value_at(found, key) if found else None


def ends(collection: Collection[Any]) -> list[Any]:
    """The highest `_id` of each type that the collection has ids of: two looks into the index for each."""
    found: list[Any] = []
    left = len(TYPES)  # so many of them are still to be looked for
    while left:
        types = [{"_id": {"$type": name}} for name in TYPES[:left]]
        if found and not collection.find_one({"$or": types}, {"_id": 1}):
            break  # as in most collections, whose ids are of one type
        highest = end(collection, "_id", {"$or": types}, -1)
        if highest is not None:
            found.append(below(highest))
            left = rank(highest)
        else:
            # others may stand below long binary data, and numbers below texts that are no UTF-8
            left = TYPES.index("binData") if left > TYPES.index("binData") else min(left - 1, 1)
    return found


def ends_of(collection: Collection[Any], spans: Sequence[Span]) -> list[Any]:
    """The ends of the ids where a pass walks all of them."""
    found = [span.high for span in spans if not span.extra]
    return ends(collection) if any(map(is_of_many, found)) else found


def behind(kept: Sequence[Any]) -> Document:
    """The condition for ids behind these ends. Of a type that had none that is every one."""
    known = {rank(each) for each in kept}
    others = [{"_id": {"$type": name}} for place, name in enumerate(TYPES) if place not in known]
    return {"$or": [*({"_id": {"$gt": each}} for each in kept), *others]}


def came_behind(context: Context, source: Source, read: Sequence[Document]) -> list[Span]:
    """What has come in behind the ends of the last pass, without what meets one of `read`, for that is read anyhow.

    Nothing where the last pass remembers no ends: one of an earlier version did not.
    """
    kept = context.state.watermark(source.name).get(ENDS)
    if kept is None:
        return []
    wanted: Document = {"$and": [behind(kept), {"$nor": list(read)}]}
    there = context.sources[source.collection].find_one(wanted, {"_id": 1})
    return [Span("_id", extra=wanted)] if there else []
