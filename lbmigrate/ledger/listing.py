"""The entries of a roll-up listed in the histograms while they change: so none needs a mark that has to be settled.

It takes the three steps of `histograms`, the second of which are the roll-up's own writes. The writers of one process
share a list: who begins adds his entries to it, and who ends last has it settled. Where somebody else has a list in the
row, or an entry is in the list already, entries are marked.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from pymongo.collection import Collection

from lbmigrate.board.histogram import ROW, Histogram, Listed
from lbmigrate.ledger.histograms import COUNTED_AS, Histograms, as_listed, first_of, is_ours
from lbmigrate.records import Document
from lbmigrate.values.ids import ONE_REPLY

MOST = 2_000  # entries of a list; each one is read for every rank while it is there

Now = dict[str, int | None]  # as which scores entries are counted from now on, by their ids


@dataclass(slots=True)
class Listing:
    """The entries that a writer has listed; and, once all of them are written, as which scores."""

    names: set[str] = field(default_factory=set)
    now: Now | None = None


@dataclass(slots=True)
class _Shared:
    """The list in the `row` of a period, by whom it is shared, and what has come of those who have ended."""

    row: Document
    writers: int = 0
    now: Now | None = field(default_factory=dict)  # None where somebody does not know

    @property
    def entries(self) -> list[Document]:
        return list(self.row.get("changing", {}).get("entries", ()))


_Key = tuple[Collection[Document], str]
_open: dict[_Key, _Shared] = {}
_change = threading.Condition()  # of `_open` and all that is in it


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
    with ExitStack() as lists:
        for period, entries in sorted(by_period.items()):  # in one order: nobody waits for who waits for him
            key = histograms.rows, period
            if shared := _joined(histograms, found, key, first_of(entries, MOST)):
                lists.push(partial(_left, histograms, found, key, shared))
        yield found


def _joined(histograms: Histograms, found: Listing, key: _Key, entries: Sequence[Document]) -> _Shared | None:
    """List these entries with those of others; None where none are listed."""
    with _change:
        _change.wait_for(lambda: key not in _open or len(_open[key].entries) + len(entries) <= MOST)
        shared = _open.get(key)
        row = shared.row if shared else _free(histograms, key[1])
        if row is None:
            return None
        shared = shared or _Shared(row)
        before = shared.entries
        same = _as_read(histograms, key[1], entries, {each["entry"] for each in before})
        opened = histograms.write(row, {"changing": Listed(True, [*before, *map(as_listed, same)]).row()})
        if opened is None:  # somebody else has ended the list that was there
            _open.pop(key, None)
            _change.notify_all()
            return None
        shared.row, shared.writers = opened, shared.writers + 1
        _open[key] = shared
        found.names.update(entry["_id"] for entry in same)
        return shared


def _free(histograms: Histograms, period: str) -> Document | None:
    row = histograms.rows.find_one({"_id": f"{ROW}:{period}", "counts": {"$exists": True}})
    return None if row is None or "changing" in row else row


def _as_read(
    histograms: Histograms, period: str, entries: Sequence[Document], listed: Container[str]
) -> list[Document]:
    """Entries as they are, once more after the row: as which score one is counted is known only of the row's version.

    Without those that are others by now, or in a list.
    """
    revisions = {entry["_id"]: entry["rev"] for entry in entries if entry["_id"] not in listed}
    now = histograms.home(period).find({"_id": {"$in": list(revisions)}}, COUNTED_AS, batch_size=ONE_REPLY)
    return [entry for entry in now if entry.get("rev") == revisions[entry["_id"]]]


def _left(
    histograms: Histograms, found: Listing, key: _Key, shared: _Shared, failed: type[BaseException] | None, *_: object
) -> None:
    """Leave a list to those who are still at work; the last one ends it, unless he has `failed`."""
    with _change:
        now = None if failed or found.now is None else {n: s for n, s in found.now.items() if n in found.names}
        shared.writers -= 1
        shared.now = None if shared.now is None or now is None else shared.now | now
        if shared.writers or _open.get(key) is not shared:
            return
        del _open[key]
        _change.notify_all()
        if failed:
            return
        histogram = Histogram.of(shared.row)
        if shared.now is None or histogram is None:
            histograms.close(shared.row)
        else:
            histograms.write(shared.row, histogram.settled(shared.now).row(), "changing")
