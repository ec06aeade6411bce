"""The entries of a roll-up listed in the histograms while they change: so none needs a mark that has to be settled.

It takes the three steps of `histograms`, the second of which are the roll-up's own writes. Where somebody else has a
list in the row, entries are marked.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lbmigrate.board.histogram import ROW, Histogram, Listed
from lbmigrate.ledger.histograms import COUNTED_AS, Histograms, as_listed, first_of, is_ours
from lbmigrate.records import Document

MOST = 2_000  # entries of a list; each one is read for every rank while it is there
_ONE_LIST = threading.Lock()  # whose threads wait for one another has one list at a time


@dataclass(slots=True)
class Listing:
    """The entries that are listed, by the rows of their periods; and, once all of them are written, as which scores."""

    rows: dict[str, Document] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    now: dict[str, int | None] | None = None


@contextmanager
def listing(histograms: Histograms, moving: Sequence[Document], marked: Container[str]) -> Iterator[Listing]:
    """List entries as they were read whose scores are to change, until the changes are written.

    Nothing is listed where not even the periods are known that have a histogram: few entries change then.
    If that fails, the lists stay, and whoever writes the row next ends it.
    """
    found = Listing()
    by_period: dict[str, list[Document]] = {}
    for entry in moving if isinstance(marked, frozenset) else ():
        if is_ours(entry) and entry["period"] in marked:
            by_period.setdefault(entry["period"], []).append(entry)
    if not by_period:
        yield found
        return
    with _ONE_LIST:
        for period, entries in by_period.items():
            _list(histograms, found, period, first_of(entries, MOST))
        yield found
        for row in found.rows.values():
            histogram = Histogram.of(row)
            if found.now is None or histogram is None:
                histograms.close(row)
            else:
                histograms.write(row, histogram.settled(found.now).row(), "changing")


def _list(histograms: Histograms, found: Listing, period: str, entries: Sequence[Document]) -> None:
    row = histograms.rows.find_one({"_id": f"{ROW}:{period}", "counts": {"$exists": True}})
    if row is None or "changing" in row:
        return
    revisions = {entry["_id"]: entry["rev"] for entry in entries}
    # Once more, after the row: as which score an entry is counted is known only of the row's version.
    now = histograms.home(period).find({"_id": {"$in": list(revisions)}}, COUNTED_AS)
    same = [entry for entry in now if entry.get("rev") == revisions[entry["_id"]]]
    opened = histograms.write(row, {"changing": Listed(True, list(map(as_listed, same))).row()})
    if opened:
        found.rows[period] = opened
        found.names.update(entry["_id"] for entry in same)
