"""One entry beside what the ledger and the user's document say of it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from bson import Int64

from lbmigrate.records import Document, beside
from lbmigrate.schema import ENTRIES, REACHED
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.id_text import exact_text, id_text
from lbmigrate.values.ids import id_type
from lbmigrate.verify.expected import Entry
from lbmigrate.verify.kinds import Heal, Kind
from lbmigrate.verify.people import AVATAR, NAME, OPT_OUT, TELLS
from lbmigrate.verify.result import Mismatch

SNAPSHOTS = ((OPT_OUT, "opt-out"), (NAME, "name"), (AVATAR, "avatar"))
LONGS = frozenset({int, Int64})
Key = tuple[Any, str]


def is_plain(name: str, row: Document, entry: Entry, person: Mapping[str, Any] | None) -> bool:
    """Whether an entry is as it should be in every field: nearly always, and told by the fewest looks.

    `name` is the `_id` that it should have.
    """
    score, events, streak = row.get("score"), row.get("events"), row.get("streak")
    return (
        score == entry.score
        and events == entry.actions
        and row.get("counted", events) == entry.events
        and streak == entry.streak
        and row.get("lastEventAt") == entry.last
        and row.get(REACHED) == entry.since
        and type(score) is Int64
        and type(events) is Int64
        and type(streak) in LONGS
        and type(row.get("rev")) in LONGS
        and row["_id"] == name
        and type(row.get("period")) is str
        and (person is None or all(row.get(field) == person[field] for field, _ in SNAPSHOTS))
    )


def missing(key: Key, entry: Entry) -> Mismatch:
    """No entry, where the ledger has events."""
    user, period = key
    name = f"{period}:{id_text(user)}"
    reason = f"user {user} in {period}: no entry, the ledger says {words(entry.score, entry.actions, entry.last)}"
    return Mismatch(Kind.MISSING, ENTRIES, name, user, period, "", None, entry.score, reason, Heal.ROLL_UP)


def judged(key: Key, row: Document, entry: Entry, person: Mapping[str, Any] | None) -> Iterator[Mismatch]:
    """What is wrong with an entry."""
    score, events, last = row.get("score"), row.get("events"), row.get("lastEventAt")
    if (score, last) != (entry.score, entry.last) or not _counts(row, entry):
        yield from _sums(key, row, entry)
    elif type(score) is not Int64 or type(events) is not Int64:
        name = "score" if type(score) is not Int64 else "events"
        told = f"{name} is {excerpt(row.get(name))} and must be a long"
        yield _field(Kind.TYPE, key, row, name, row.get(name), told, Heal.ROLL_UP)
    if row.get("streak") != entry.streak or isinstance(row.get("streak"), bool | float):
        told = f"the entry has a streak of {excerpt(row.get('streak'))}, the ledger one of {entry.streak}"
        yield _field(Kind.STREAK, key, row, "streak", entry.streak, told)
    if row.get(REACHED) != entry.since:
        told = f"the entry has had its score since {_time(row.get(REACHED))}, by the ledger since {_time(entry.since)}"
        yield _field(Kind.REACHED, key, row, REACHED, entry.since, told)
    yield from _snapshots(key, row, person)
    yield from _form(key, row)


def _counts(row: Document, entry: Entry) -> bool:
    """Whether an entry counts its actions and its events right; of an earlier version `events` are all of them."""
    events = row.get("events")
    if "counted" not in row and events == entry.events:
        return True
    return (events, row.get("counted", events)) == (entry.actions, entry.events)


def is_named(row: Document, period: str) -> bool:
    """Whether the `_id` of an entry is made of its period and its user."""
    user = row["userId"]
    return row["_id"] in (f"{period}:{id_text(user)}", f"{period}:{exact_text(user)}")


def _sums(key: Key, row: Document, entry: Entry) -> Iterator[Mismatch]:
    """Which of score, count and newest event differ; the sentence has all of them."""
    given = (row.get("score"), row.get("events"), row.get("lastEventAt"))
    told = f"the entry says {words(*given)}, the ledger {words(entry.score, entry.actions, entry.last)}"
    right_count = row.get("events") if _counts(row, entry) else entry.actions
    pairs = [
        (Kind.SCORE, "score", entry.score),
        (Kind.COUNT, "events", right_count),
        (Kind.NEWEST, "lastEventAt", entry.last),
    ]
    for (kind, name, right), found in zip(pairs, given, strict=True):
        if found != right:
            odd = name != "lastEventAt" and (not isinstance(found, int) or isinstance(found, bool))
            yield _field(Kind.TYPE if odd else kind, key, row, name, right, told)
    if row.get("events") == right_count and not _counts(row, entry):
        counted = row.get("counted")
        told = f"the entry is made of {excerpt(counted)} {beside(counted, 'event')}, the ledger has {entry.events}"
        yield _field(Kind.COUNT, key, row, "counted", entry.events, told)


def _snapshots(key: Key, row: Document, person: Mapping[str, Any] | None) -> Iterator[Mismatch]:
    for name, word in SNAPSHOTS if person is not None else ():
        if person is not None and row.get(name) != person[name]:
            told = (
                f"the entry shows the {word} {excerpt(row.get(name))}, the user's document says {excerpt(person[name])}"
            )
            yield replace(_field(Kind.SNAPSHOT, key, row, name, person[name], told), finding=not person[TELLS])


def _form(key: Key, row: Document) -> Iterator[Mismatch]:
    """What an entry must be beyond its numbers: an `_id` made of period and user, and `period` and `rev` in order."""
    user, period = key
    if not is_named(row, period):
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


def extra(row: Document, key: Key, kind: str | None) -> Mismatch:
    """An entry of which the ledger knows nothing; `kind` is the type of the ledger's user ids."""
    user, period = key
    given = words(row.get("score"), row.get("events"), row.get("lastEventAt"))
    told = f"user {user} in {period}: an entry of {given}, the ledger has nothing"
    odd = kind is not None and id_type(user) != kind
    told += f"; the user's id is a {id_type(user)}, those of the ledger are a {kind}" if odd else ""
    return Mismatch(
        Kind.TYPE if odd else Kind.EXTRA, ENTRIES, row["_id"], user, period, "userId" if odd else "", row.get("score"),
        None, told, Heal.ROLL_UP,
    )  # fmt: skip


def second(row: Document, key: Key) -> Mismatch:
    """One of two entries of a user in a period."""
    told = f"user {key[0]} in {key[1]}: a second entry, {excerpt(row['_id'])}"
    return Mismatch(Kind.EXTRA, ENTRIES, row["_id"], *key, "_id", row["_id"], None, told, Heal.ROLL_UP)


def words(points: Any, events: Any, last: Any) -> str:
    """Score, count and newest event of an entry as a sentence has them."""
    shown = points if isinstance(points, int) else excerpt(points)
    return f"{shown} {beside(points, 'point')} in {events} {beside(events, 'event')} up to {_time(last)}"


def _time(at: Any) -> str:
    return f"{at.isoformat()}Z" if isinstance(at, dt.datetime) else excerpt(at)
