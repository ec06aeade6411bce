"""What a roll-up writes: entries that are absent, and changes of others, each where the entries of its period are.

Where the score of an entry is another, the same write says so for the period's histogram (`histograms`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import Int64
from pymongo.database import Database

from lbmigrate.board.histogram import moved_from
from lbmigrate.board.profiles import ZONE
from lbmigrate.ledger.entries import COUNTED_EVENTS, DERIVED, Present
from lbmigrate.ledger.entry_writes import Idle, change_entries, insert_entries
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.listing import listing
from lbmigrate.ledger.partitions import open_partitions
from lbmigrate.ledger.revisions import WHOLE, Update, can_swap, swap, this
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.schema import REACHED
from lbmigrate.schema.layout import Layout

FIRST_REVISION = Int64(1)
ABSENT = object()  # the value of a field that is to go


@dataclass(slots=True)
class Changes:
    """What is to be written to one collection: entries that are absent, and others as found with the fields to set."""

    absent: list[Document] = field(default_factory=list)
    changed: list[tuple[Document, Document]] = field(default_factory=list)


@dataclass(slots=True)
class Differences:
    """All that is to be written, by the collections."""

    now: Any
    marked: Container[str]  # the periods in which a change of a score has to be marked
    orders: Sequence[str] = ()  # of entries of one score: which indexes a new collection gets
    homes: dict[str, Changes] = field(default_factory=lambda: defaultdict(Changes))

    @property
    def periods(self) -> set[str]:
        """Those of the entries that are to be written."""
        absent = {entry["period"] for each in self.homes.values() for entry in each.absent}
        return absent | {_period(*change) for each in self.homes.values() for change in each.changed}

    @property
    def users(self) -> list[Any]:
        absent = [entry["userId"] for each in self.homes.values() for entry in each.absent]
        return [*absent, *(kept["userId"] for each in self.homes.values() for kept, _ in each.changed)]

    @property
    def inserted(self) -> int:
        return sum(len(each.absent) for each in self.homes.values())

    @property
    def changed(self) -> int:
        return sum(len(each.changed) for each in self.homes.values())

    def write(self, database: Database[Any], histograms: Histograms, idle: Idle | None = None) -> dict[Any, None]:
        """Write all of it, with the help of threads that are `idle`; the users for whom somebody else was faster."""
        plainly = is_fake(database)
        open_partitions(database, [name for name, each in self.homes.items() if each.absent], self.orders)
        contested: dict[Any, None] = {}
        for name, each in self.homes.items():
            entries = database[name]
            contested |= dict.fromkeys(insert_entries(entries, each.absent, histograms.void))
            moving = [found for found, changed in each.changed if "score" in changed]
            with listing(histograms, moving, self.marked) as listed:
                updates = [update(*change, self.now, self.marked, listed.names, plainly) for change in each.changed]
                users = [found["userId"] for found, _ in each.changed]
                lost = change_entries(entries, updates, users, idle)
                listed.now = None if lost else {found["_id"]: fields.get("score") for found, fields in each.changed}
            contested |= dict.fromkeys(lost)
        return contested


def born(now: Any) -> Document:
    """What an entry has when it is written for the first time."""
    return {"lastUpdated": now, "createdAt": now, "updatedAt": now, "rev": FIRST_REVISION}


def differences(
    layout: Layout, present: Present, wanted: Sequence[Document], marked: Container[str], now: Any
) -> Differences:
    """The entries that are absent, and those that are not as they should be."""
    first = born(now)
    found = Differences(now, marked, layout.orders)
    for entry in wanted:
        period = entry["period"]
        kept = present.get((entry["userId"], period))
        if kept is None:
            entry.update(first)
            if period in marked:
                entry["moved"] = moved_from(None, period)
            found.homes[layout.home(period)].absent.append(entry)
        elif changed := changed_fields(kept, entry):
            found.homes[layout.home(period)].changed.append((kept, changed))
    return found


def changed_fields(kept: Document, entry: Document) -> Document:
    """The fields that are to be set, ABSENT where one is to go.

    An entry also counts the events that it is made of, so that an older computation never wins a race.
    """
    changed = {name: entry[name] for name in DERIVED if not _has(kept, name, entry[name])}
    for name in (ZONE, COUNTED_EVENTS, REACHED):
        if kept.get(name, ABSENT) != (value := entry.get(name, ABSENT)):
            changed[name] = value
    return changed


def _has(kept: Document, name: str, value: Any) -> bool:
    """Whether an entry has this value; a score of 10.0 is none of 10, and no long."""
    return name in kept and kept[name] == value and (type(value) is not Int64 or type(kept[name]) is Int64)


def _period(kept: Document, changed: Document) -> str:
    return str(changed.get("period") or kept["period"])


def update(
    found: Document,
    changed: Document,
    now: Any,
    marked: Container[str],
    listed: Container[str],
    plainly: bool = False,
) -> Update:
    """Compare-and-set: it changes only the very revision that was read. Where the score is another, `moved` says so.

    `plainly` is for the fake, which knows no conditions in changes.
    """
    rev = found.get("rev", 0)
    stamps = {"updatedAt": now, "rev": Int64(rev + 1) if type(rev) in WHOLE and 0 <= rev < 2**62 else FIRST_REVISION}
    gone = [name for name, value in changed.items() if value is ABSENT]
    setting = {**{name: value for name, value in changed.items() if value is not ABSENT}, **stamps}
    if "score" in changed:
        setting["lastUpdated"] = now
        period = _period(found, changed)
        if found["_id"] in listed:
            gone += ["moved"] if "moved" in found else []
        elif period in marked and not isinstance(found.get("moved"), dict):
            setting["moved"] = moved_from(found, period)
    if can_swap(found) and not gone and not plainly:
        return swap(found, setting)
    return this(found), {"$set": setting, **({"$unset": dict.fromkeys(gone, "")} if gone else {})}
