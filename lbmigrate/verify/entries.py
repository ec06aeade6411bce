"""Entries against the ledger and the users, every field of them, for some users at a time."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bson import Int64

from lbmigrate.ledger.leavers import Leavers
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import AVATAR_LENGTH, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, ENTRIES, EVENTS
from lbmigrate.schema.layout import everywhere
from lbmigrate.state import layouts
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.id_text import exact_text, id_text
from lbmigrate.values.ids import id_type, plain_id
from lbmigrate.values.limits import SMALL, short
from lbmigrate.verify.expected import Entry, Ledger, is_a_period
from lbmigrate.verify.kinds import Heal, Kind
from lbmigrate.verify.people import AVATAR, NAME, OPT_OUT, TELLS, shown
from lbmigrate.verify.result import Mismatch
from lbmigrate.verify.values import local_day

FIELDS = dict.fromkeys(
    ("userId", "period", "score", "events", "lastEventAt", "streak", "rev", NAME, AVATAR, OPT_OUT), 1
)
READ = {"_id": 0, "userId": 1, "points": 1, "createdAt": 1, "meta.reason": 1}
SNAPSHOTS = ((OPT_OUT, "opt-out"), (NAME, "name"), (AVATAR, "avatar"))
Key = tuple[Any, str]


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


@dataclass(slots=True)
class Compared:
    """What comparing some users came to."""

    users: int = 0
    entries: int = 0
    events: int = 0
    wrong: list[Mismatch] = field(default_factory=list)
    periods: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))


def compare(context: Context, users: Sequence[Any], kind: str | None) -> Compared:
    """Every entry of these users beside what the ledger says. `kind` is the type of the ledger's user ids."""
    there, spare = stored(context, users)
    ledger = Ledger(local_day(context.config.timezone))
    asked = {"userId": {"$in": list(users)}, **COUNTED}
    read = ledger.add(lenient(context.target)[EVENTS].find(asked, READ))
    leavers = Leavers(context.state)
    archived = layouts.layout(context.state).archived
    wanted = ledger.entries(context.config.periods)
    expected = {key: entry for key, entry in wanted if key[0] not in leavers and key[1] not in archived}
    people = shown(context, [user for user in users if user not in leavers])
    found = Compared(len(users), len(there), read, spare)
    for key, entry in expected.items():
        found.wrong += _judged(key, there.get(key), entry, people)
        _count(found.periods[key[1]], there.get(key), entry)
    for key in there.keys() - expected.keys():
        found.wrong.append(_extra(there[key], key, kind))
        _count(found.periods[key[1]], there[key], None)
    return found


def stored(context: Context, users: Sequence[Any]) -> tuple[dict[Key, Document], list[Mismatch]]:
    """The entries by user and period, of the kinds of periods that there are, and those that are one too many."""
    found: dict[Key, Document] = {}
    spare: list[Mismatch] = []
    has_period = is_a_period(context.config.periods)
    layout = layouts.layout(context.state)
    asked = {"userId": {"$in": list(users)}, "rev": {"$exists": True}}
    for row in everywhere(lenient(context.target), layout, asked, FIELDS):
        period = _period(row)
        if not has_period(period) or period in layout.archived:
            continue
        held, key = _held(row), (plain_id(row["userId"]), period)
        first = found.setdefault(key, held)
        if first is not held:
            right, other = (first, held) if _is_named(first) else (held, first)
            found[key] = right
            spare.append(_second(other, key))
    return found, spare


def _held(row: Document) -> Document:
    """No more of an entry than can be right, so that what nobody should have put there costs no memory."""
    for name, value in row.items():
        if type(value) not in SMALL and name not in ("_id", "userId"):
            row[name] = short(value, AVATAR_LENGTH)
    return row


def _period(row: Document) -> str:
    """The period of an entry; of one that has lost it, that of its `_id`."""
    period = row.get("period")
    return period if isinstance(period, str) else str(row["_id"]).removesuffix(f":{id_text(row['userId'])}")


def _is_named(row: Document) -> bool:
    period, user = _period(row), row["userId"]
    return row["_id"] in (f"{period}:{id_text(user)}", f"{period}:{exact_text(user)}")


def _count(sums: Sums, row: Document | None, entry: Entry | None) -> None:
    if row is not None:
        sums.entries += 1
        sums.points += _whole(row.get("score"))
        sums.events += _whole(row.get("events"))
    if entry is not None:
        sums.ledger_points += entry.score
        sums.ledger_events += entry.events


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


# --- one entry -----------------------------------------------------------------------------------------------------


def _judged(key: Key, row: Document | None, entry: Entry, people: Mapping[Any, Document]) -> Iterator[Mismatch]:
    user, period = key
    if row is None:
        reason = f"user {user} in {period}: no entry, the ledger says {words(entry.score, entry.events, entry.last)}"
        yield Mismatch(
            Kind.MISSING,
            ENTRIES,
            f"{period}:{id_text(user)}",
            user,
            period,
            "",
            None,
            entry.score,
            reason,
            Heal.ROLL_UP,
        )
        return
    score, events, last = row.get("score"), row.get("events"), row.get("lastEventAt")
    if (score, events, last) != (entry.score, entry.events, entry.last):
        yield from _sums(key, row, entry)
    elif type(score) is not Int64 or type(events) is not Int64:
        name = "score" if type(score) is not Int64 else "events"
        told = f"{name} is {excerpt(row.get(name))} and must be a long"
        yield _field(Kind.TYPE, key, row, name, row.get(name), told, Heal.ROLL_UP)
    if row.get("streak") != entry.streak or isinstance(row.get("streak"), bool | float):
        told = f"the entry has a streak of {excerpt(row.get('streak'))}, the ledger one of {entry.streak}"
        yield _field(Kind.STREAK, key, row, "streak", entry.streak, told)
    yield from _snapshots(key, row, people.get(user))
    yield from _form(key, row)


def _sums(key: Key, row: Document, entry: Entry) -> Iterator[Mismatch]:
    """Which of score, count and newest event differ; the sentence has all of them."""
    given = (row.get("score"), row.get("events"), row.get("lastEventAt"))
    told = f"the entry says {words(*given)}, the ledger {words(entry.score, entry.events, entry.last)}"
    pairs = (
        (Kind.SCORE, "score", entry.score),
        (Kind.COUNT, "events", entry.events),
        (Kind.NEWEST, "lastEventAt", entry.last),
    )
    for (kind, name, right), found in zip(pairs, given, strict=True):
        if found != right:
            odd = name != "lastEventAt" and (not isinstance(found, int) or isinstance(found, bool))
            yield _field(Kind.TYPE if odd else kind, key, row, name, right, told)


def _snapshots(key: Key, row: Document, person: Document | None) -> Iterator[Mismatch]:
    for name, word in SNAPSHOTS if person is not None else ():
        if person is not None and row.get(name) != person[name]:
            told = (
                f"the entry shows the {word} {excerpt(row.get(name))}, the user's document says {excerpt(person[name])}"
            )
            yield replace(_field(Kind.SNAPSHOT, key, row, name, person[name], told), finding=not person[TELLS])


def _form(key: Key, row: Document) -> Iterator[Mismatch]:
    """What an entry must be beyond its numbers: an `_id` made of period and user, and `period` and `rev` in order."""
    user, period = key
    if not _is_named(row):
        told = f"the _id {excerpt(row['_id'])} is not made of period and user; remove that entry"
        told += ", then: lbmigrate backfill --full"
        yield _field(Kind.STRUCTURE, key, row, "_id", f"{period}:{id_text(user)}", told, Heal.PERSON)
    if row.get("period") != period:
        yield _field(Kind.TYPE, key, row, "period", period, f"period is {excerpt(row.get('period'))}")
    if type(row.get("rev")) not in (int, Int64):
        yield _field(Kind.TYPE, key, row, "rev", 1, f"rev is {excerpt(row.get('rev'))} and must be a long", Heal.PERSON)


def _field(
    kind: Kind, key: Key, row: Document, name: str, right: Any, told: str, heals: Heal = Heal.ROLL_UP
) -> Mismatch:
    user, period = key
    reason = f"user {user} in {period}: {told}"
    return Mismatch(kind, ENTRIES, row["_id"], user, period, name, row.get(name), right, reason, heals)


def _extra(row: Document, key: Key, kind: str | None) -> Mismatch:
    user, period = key
    given = words(row.get("score"), row.get("events"), row.get("lastEventAt"))
    told = f"user {user} in {period}: an entry of {given}, the ledger has nothing"
    odd = kind is not None and id_type(user) != kind
    told += f"; the user's id is a {id_type(user)}, those of the ledger are a {kind}" if odd else ""
    return Mismatch(
        Kind.TYPE if odd else Kind.EXTRA, ENTRIES, row["_id"], user, period, "userId" if odd else "", row.get("score"),
        None, told, Heal.ROLL_UP,
    )  # fmt: skip


def _second(row: Document, key: Key) -> Mismatch:
    told = f"user {key[0]} in {key[1]}: a second entry, {excerpt(row['_id'])}"
    return Mismatch(Kind.EXTRA, ENTRIES, row["_id"], *key, "_id", row["_id"], None, told, Heal.ROLL_UP)


def words(points: Any, events: Any, last: Any) -> str:
    """Score, count and newest event of an entry as a sentence has them."""
    newest = f"{last.isoformat()}Z" if isinstance(last, dt.datetime) else excerpt(last)
    return f"{excerpt(points) if not isinstance(points, int) else points} points in {events} events up to {newest}"
