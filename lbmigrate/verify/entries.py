"""Entries against the ledger and the users, every field of them, for some users at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lbmigrate.ledger.leavers import Leavers
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import AVATAR_LENGTH, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS, REACHED
from lbmigrate.schema.layout import Layout, everywhere
from lbmigrate.state import layouts
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import id_type, plain_id
from lbmigrate.values.limits import SMALL, names_a_user, short
from lbmigrate.verify.expected import Entry, Ledger, is_a_period
from lbmigrate.verify.judge_entry import extra, is_named, is_plain, judged, missing, second
from lbmigrate.verify.people import AVATAR, NAME, OPT_OUT, ZONE, shown
from lbmigrate.verify.result import Mismatch
from lbmigrate.verify.zones import Clocks, are_several, by_entries, misfits

FIELDS = dict.fromkeys(
    (
        "userId", "period", "score", "events", "counted", "lastEventAt", REACHED, "streak", "rev", NAME, AVATAR,
        OPT_OUT, ZONE,
    ), 1,
)  # fmt: skip
READ = {"_id": 0, "userId": 1, "points": 1, "createdAt": 1, "meta.reason": 1}
Periods = dict[str, Document]  # the entries of a user
NOBODY: Document = {}


@dataclass(slots=True)
class Sums:
    """What entries and events of a period add up to."""

    entries: int = 0
    points: int = 0
    events: int = 0
    ledger_points: int = 0
    ledger_events: int = 0

    def add(self, other: Sums) -> None:
        """Take in what another part of the period came to."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def count(self, row: Document | None, entry: Entry | None) -> None:
        """Take in an entry, and what the ledger says of it."""
        if row is not None:
            self.entries += 1
            self.points += _whole(row.get("score"))
            self.events += _whole(row.get("counted", row.get("events")))
        if entry is not None:
            self.ledger_points += entry.score
            self.ledger_events += entry.events


@dataclass(slots=True)
class Compared:
    """What comparing some users came to."""

    users: int = 0
    entries: int = 0
    events: int = 0
    wrong: list[Mismatch] = field(default_factory=list)
    periods: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))

    def add(self, user: Any, there: Periods, wanted: Mapping[str, Entry], person: Mapping[str, Any] | None) -> None:
        """Compare what a user has with what the ledger says; takes out of `there` what it has seen."""
        text = id_text(user)
        for period, entry in wanted.items():
            row = there.pop(period, None)
            self.periods[period].count(row, entry)
            if row is None:
                self.wrong.append(missing((user, period), entry))
            elif not is_plain(f"{period}:{text}", row, entry, person):
                self.wrong += judged((user, period), row, entry, person)

    def add_zones(self, user: Any, there: Periods, zones: Mapping[Any, Any], person: Mapping[str, Any] | None) -> None:
        """Compare the zones by which entries were computed, where users have zones of their own."""
        for period, row in there.items() if user in zones else ():
            self.wrong += misfits((user, period), row, zones[user], person)

    def spare(self, user: Any, there: Periods, kind: str | None) -> None:
        """Entries of which the ledger knows nothing."""
        for period, row in there.items():
            self.periods[period].count(row, None)
            self.wrong.append(extra(row, (user, period), kind))


def compare(
    context: Context, users: Sequence[Any], kind: str | None, rows: Iterable[Document] | None = None
) -> Compared:
    """Every entry of these users beside what the ledger says. `kind` is the type of the ledger's user ids.

    `rows` are their entries, where somebody has read them already.
    """
    layout = layouts.layout(context.state)
    there, spare = stored(context, users, rows)  # before the events
    zones = by_entries(context.config, there)
    ledger = Ledger(Clocks(context.config, zones).of, moments=bool(layout.orders))
    asked = {"userId": {"$in": list(users)}, **COUNTED}
    read = ledger.add(lenient(context.target)[EVENTS].find(asked, READ))
    leavers = Leavers(context.state)
    people = shown(context, [user for user in users if user not in leavers])
    found = Compared(len(users), sum(map(len, there.values())), read, spare)
    for user, wanted in ledger.entries(context.config.periods):
        if user not in leavers:
            due = {period: entry for period, entry in wanted.items() if period not in layout.archived}
            if kind is not None and id_type(user) != kind:  # a backfill leaves out one of another type
                due = {period: entry for period, entry in due.items() if period in there.get(user, {})}
            theirs = there.get(user, {})
            if zones and people.get(user, NOBODY) is None and are_several(theirs.values()):
                theirs.clear()  # whoever moves to another zone is in between until the next backfill
                continue
            found.add_zones(user, theirs, zones, people.get(user))
            found.add(user, theirs, due, people.get(user))
    for user in users:
        found.spare(user, there.get(user, {}), kind)
    return found


def stored(
    context: Context, users: Sequence[Any], rows: Iterable[Document] | None = None
) -> tuple[dict[Any, Periods], list[Mismatch]]:
    """The entries by user and period, of the kinds of periods that there are, and those that are one too many."""
    found: dict[Any, Periods] = defaultdict(dict)
    spare: list[Mismatch] = []
    has_period, layout = is_a_period(context.config.periods), layouts.layout(context.state)
    for row in _read(context, layout, users) if rows is None else rows:
        period = _period(row)
        if not has_period(period) or not names_a_user(row["userId"]) or period in layout.archived:
            continue
        user, held = plain_id(row["userId"]), _held(row)
        first = found[user].setdefault(period, held)
        if first is not held:
            right, other = (first, held) if is_named(first, period) else (held, first)
            found[user][period] = right
            spare.append(second(other, (user, period)))
    return dict(found), spare


def _read(context: Context, layout: Layout, users: Sequence[Any]) -> Iterable[Document]:
    asked = {"userId": {"$in": list(users)}, "rev": {"$exists": True}}
    return everywhere(lenient(context.target), layout, asked, FIELDS)


def _held(row: Document) -> Document:
    """No more of an entry than can be right, so that what nobody should have put there costs no memory."""
    for name, value in row.items():
        kind = type(value)
        if kind not in SMALL and (kind is not str or len(value) > AVATAR_LENGTH) and name not in ("_id", "userId"):
            row[name] = short(value, AVATAR_LENGTH)
    return row


def _period(row: Document) -> str:
    """The period of an entry; of one that has lost it, that of its `_id`."""
    period = row.get("period")
    return period if type(period) is str else str(row["_id"]).removesuffix(f":{id_text(row['userId'])}")


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
