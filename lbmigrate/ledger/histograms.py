"""The histograms from which a board's ranks come (`board.histogram`): made, settled, and left before an entry goes.

Every writer of entries says in the write itself that an entry has moved; that is all it has to do. What an entry is
counted as changes in one way only, in three steps, each a write to one document, so that no transaction is needed:

1. The row of the period lists the entries, each with its revision and the score as which it is counted.
2. Those of them that still have that revision get the next one, and no `moved` any more (they count as they are), or
   one that says that they are not counted.
3. The histogram takes over what they say now, and the list goes, in one write of the row.

The row is written only by who has its last `version`, and that is read before the entries. Killed after the first or
the second step, the list stays, and counts; whoever writes the row next takes these steps again. Since a revision never
comes back, as an entry that goes and is made again has another `createdAt`, a process that slept meanwhile changes
nothing with its second step, nor with its third, the version being another. What an entry is counted as does not depend
on when it is looked at, so making a histogram is one look at every entry in the order of `_id`, which never changes; if
the version is another afterwards, it is made again.

Two rules make that hold for all entries. Who removes one that is counted first has it not counted. And where the period
has no histogram yet, only who holds the lease, as who makes one does, writes entries without a mark, or removes them. A
run that lost the lease may do so late: but whoever is touched by what it had not finished its successor rolls up before
it makes a histogram. That entry exists then, with another revision if its ledger has grown, so the late write finds no
match. (A removal that comes so late voids the histogram afterwards; killed before that, it leaves it one too high.)

A histogram is about the collection that holds the entries of its period. A run that moves entries to others first
writes each row again, without counts, and nobody makes a histogram until it is done: so ranks are counted meanwhile,
and whoever has begun a step before finds another version. A copy has the marks of what it was copied from.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from bson import Int64, ObjectId
from pymongo import UpdateMany
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from lbmigrate.board.histogram import ROW, Histogram, Listed, counted_as, listed_of, moved_from
from lbmigrate.ledger.binding import identities
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema.layout import Layout
from lbmigrate.state import layouts
from lbmigrate.state.fenced import LAYOUT
from lbmigrate.values.ids import portions, room

MOST_MOVED = 1_000  # entries; each one is read for every rank, so a roll-up settles them when there are more
ATTEMPTS = 5
COUNTED_AS: Document = {"rev": 1, "createdAt": 1, "score": 1, "moved": 1}
MOST_REVISIONS = 2**62


class Always(Container[str]):
    """Every period."""

    def __contains__(self, period: object) -> bool:
        return True


class Histograms:
    """The histograms of one leaderboard. Any number of processes may work on them at once."""

    def __init__(self, context: Context) -> None:
        self.target, self.state, self.rows = context.target, context.state, context.state.rows

    def entries(self, name: str) -> Collection[Any]:
        """One of the collections of entries."""
        return lenient(self.target)[name]

    def home(self, period: str) -> Collection[Any]:
        """The one with the entries of a period."""
        return self.entries(layouts.layout(self.state).home(period))

    def marked(self, redone: bool) -> Container[str]:
        """The periods in which a change of a score has to be marked; `redone` as in `rollup.roll_up`."""
        if is_fake(self.target):
            return frozenset()
        return self.periods() if redone else Always()

    def periods(self, counted: bool = True) -> frozenset[str]:
        """The periods that have a histogram; with `counted` false, also those that only have a row for one."""
        rows = self.rows.find({**_ANY, **({"counts": {"$exists": True}} if counted else {})}, {"_id": 1})
        return frozenset(map(_period, rows))

    # --- settling --------------------------------------------------------------------------------------------------

    def settle(self, more_than: int, periods: Container[str] = Always()) -> None:
        """Take into the histograms of these periods what has moved since, where that is more than so many entries."""
        layout = layouts.layout(self.state) if (kept := self.periods()) else Layout()
        by_home: dict[str, list[str]] = {}
        for period in sorted(kept):
            if period in periods:
                by_home.setdefault(layout.home(period), []).append(period)
        for name, some in by_home.items():
            moved = {"$match": {"moved.period": {"$in": some}}}
            for group in self.entries(name).aggregate([moved, {"$sortByCount": "$moved.period"}]):
                if group["count"] > more_than:
                    for _ in range(group["count"] // MOST_MOVED + 1):
                        self.settle_some(group["_id"], {"moved.period": group["_id"]}, counted=True)

    def settle_some(self, period: str, which: Document, counted: bool) -> bool:
        """The three steps for the entries of a period that meet a condition, or as many of them as a list has room for.

        False where somebody else wrote the row meanwhile.
        """
        row = self.free(period)
        found = self.home(period).find(which, COUNTED_AS).limit(MOST_MOVED)
        some = first_of(entry for entry in found if type(entry["_id"]) is str and _is_revision(entry.get("rev")))
        if not some:
            return True
        opened = self.write(row, {"changing": Listed(counted, list(map(as_listed, some))).row()})
        return opened is not None and self.close(opened) is not None

    def close(self, row: Document) -> Document | None:
        """The second and third step; None where somebody else has taken the third."""
        listed = listed_of(row)
        if listed is None:  # it was edited: nobody knows what the histogram counts
            return self.write(row, {}, "changing", "bounds", "counts")
        period = _period(row)
        mark = {"$unset": {"moved": ""}} if listed.counted else {"$set": {"moved": moved_from(None, period)}}
        change = {**mark, "$inc": {"rev": Int64(1)}}
        entries = self.home(period)
        if steps := [UpdateMany(condition, change) for condition in _as_they_were(listed.entries)]:
            entries.bulk_write(steps, ordered=False)
        found = entries.find({"_id": {"$in": [each["entry"] for each in listed.entries]}}, COUNTED_AS)
        now = {entry["_id"]: counted_as(entry) for entry in found}
        histogram = Histogram.of(row)
        return self.write(row, histogram.settled(now).row() if histogram else {}, "changing")

    # --- rows ------------------------------------------------------------------------------------------------------

    def free(self, period: str) -> Document:
        """The row of a period, with nothing that has been begun; one without counts if there was none."""
        name = f"{ROW}:{period}"
        while True:
            row = self.rows.find_one({"_id": name})
            if row is None or not isinstance(row.get("version"), ObjectId):
                self._begin(name)
            elif "changing" not in row:
                return row
            else:
                self.close(row)

    def _begin(self, name: str) -> None:
        row = {"_id": name, "kind": ROW, "layout": LAYOUT, "fence": 0, "version": ObjectId()}
        try:
            self.rows.delete_one({"_id": name, "version": {"$not": {"$type": "objectId"}}})
            self.rows.insert_one(row)
        except DuplicateKeyError:
            pass  # somebody else was faster

    def write(self, row: Document, fields: Mapping[str, Any], *without: str) -> Document | None:
        """Write a row as it was read; None where it has another version by now."""
        fields = {**fields, "version": ObjectId()}
        left = {"$unset": dict.fromkeys(without, "")} if without else {}
        asked = {"_id": row["_id"], "version": row["version"]}
        if not self.rows.update_one(asked, {"$set": fields, **left}).matched_count:
            return None
        return {**{name: value for name, value in row.items() if name not in without}, **fields}

    def void(self, periods: Container[Any] = Always()) -> None:
        """Have ranks counted until the next run: of something that goes it is not known how it is counted.

        Nobody completes a histogram either who has begun to make it.
        """
        for period in self.periods(counted=False):
            if period in periods:
                while self.write(self.free(period), {}, "bounds", "counts") is None:
                    pass

    def forget_others(self) -> None:
        """Remove rows about a collection of entries that is not there any more, or is not where their entries are."""
        if is_fake(self.target):
            return
        kept, layout = self.rows.find({**_ANY, "of": {"$exists": True}}, {"of": 1}).to_list(), layouts.now(self.state)
        homes = {row["_id"]: layout.home(_period(row)) for row in kept}
        here = identities(self.target, set(homes.values())) if kept else {}
        gone = [row["_id"] for row in kept if row["of"] != here.get(homes[row["_id"]])]
        if gone:
            self.rows.delete_many({"_id": {"$in": [*gone, ROW]}})  # and what says that all periods were looked at


_ANY: Document = {"_id": {"$gte": f"{ROW}:", "$lt": f"{ROW};"}}


def _period(row: Document) -> str:
    return str(row["_id"].partition(":")[2])


def first_of(entries: Iterable[Document], most: int = MOST_MOVED) -> list[Document]:
    """As many of these entries as a list has room for."""
    return next(portions(entries, lambda entry: room(entry["_id"]), most), [])


def as_listed(entry: Document) -> Document:
    """An entry as a list has it."""
    made = entry.get("createdAt") if isinstance(entry.get("createdAt"), dt.datetime) else None
    return {"entry": entry["_id"], "rev": entry["rev"], "made": made, "from": counted_as(entry)}


def _as_they_were(entries: Iterable[Document]) -> Iterator[Document]:
    """The conditions for listed entries that still have their revision: one for all that have the same one."""
    groups: dict[tuple[int, bool], list[Document]] = {}
    for each in entries:
        groups.setdefault((each["rev"], isinstance(each.get("made"), dt.datetime)), []).append(each)
    for (rev, dated), some in groups.items():
        # An entry that was made again meanwhile has a later date than any that was listed.
        made = {"createdAt": {"$in": list({each["made"] for each in some})}} if dated else {}
        yield {"_id": {"$in": [each["entry"] for each in some]}, "rev": rev, **made}


def is_ours(entry: Document) -> bool:
    """Whether an entry is one that a histogram can count."""
    return type(entry["_id"]) is str and type(entry.get("period")) is str and _is_revision(entry.get("rev"))


def _is_revision(rev: Any) -> bool:
    return isinstance(rev, int) and not isinstance(rev, bool) and 0 <= rev < MOST_REVISIONS
