"""Entries that go: their histograms have them counted no more before that (`histograms`)."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from bson import Int64

from lbmigrate.board.histogram import moved_from
from lbmigrate.ledger.histograms import ATTEMPTS, COUNTED_AS, MOST_MOVED, Histograms, is_ours
from lbmigrate.ledger.revisions import this
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.schema.layout import is_home
from lbmigrate.state import layouts
from lbmigrate.values.ids import in_parts


def remove(histograms: Histograms, name: str, theirs: Document) -> int:
    """Remove the entries in a collection that meet a condition; how many went. One written meanwhile stays."""
    entries = histograms.entries(name)
    if is_fake(histograms.target):
        return entries.delete_many(theirs).deleted_count
    before, layout = histograms.periods(counted=False), layouts.layout(histograms.state)
    found = list(entries.find(theirs, {**COUNTED_AS, "period": 1}))
    counted = [e for e in found if is_ours(e) and e["period"] in before and is_home(layout, name, e)]
    removed = sum(entries.delete_one(which).deleted_count for which in _uncounted(histograms, counted))
    if len(counted) < len(found):
        histograms.void([entry.get("period") for entry in found if not is_ours(entry)])
        others = {**theirs, "_id": {"$nin": [entry["_id"] for entry in counted]}}
        removed += entries.delete_many(others).deleted_count
        histograms.void(histograms.periods(counted=False) - before)  # made by a run that took over in between
    return removed


def leaving(
    histograms: Histograms, marked: Container[str], stale: Sequence[tuple[str, Document]]
) -> Iterator[tuple[str, Document]]:
    """Entries with their periods: the conditions under which they can go, where they are counted no more by then.

    That is so in the periods that are `marked`.
    """
    counted = [entry for _, entry in stale if is_ours(entry) and entry["period"] in marked]
    if odd := {period for period, entry in stale if not is_ours(entry)}:
        histograms.void(odd)
    names = {entry["_id"] for entry in counted}
    yield from ((period, this(entry)) for period, entry in stale if entry["_id"] not in names)
    yield from ((which["moved"]["period"], which) for which in _uncounted(histograms, counted))


def _uncounted(histograms: Histograms, entries: Sequence[Document]) -> list[Document]:
    """Have entries counted no more, so that they can go; returns conditions that they meet until they count again.

    Of an entry that somebody else has changed, or whose row is written all the time, there is none.
    """
    periods: dict[str, list[str]] = {}
    for entry in entries:
        periods.setdefault(entry["period"], []).append(entry["_id"])
    for period, ids in periods.items():
        for part in in_parts(ids, MOST_MOVED):
            any(histograms.settle_some(period, {"_id": {"$in": part}}, counted=False) for _ in range(ATTEMPTS))
    return [{**this({**e, "rev": Int64(e["rev"] + 1)}), "moved": moved_from(None, e["period"])} for e in entries]
