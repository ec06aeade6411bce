"""Entries against the ledger, by code that shares nothing with `ranking`.

On a server the sums are the server's own: `$group` over the events, with `$dateToString` naming the periods, in the
local time that `local_time` has it compute. The in-memory fake differs from the server in just these expressions, so
there a plain loop does it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from pymongo.database import Database

from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import LARGEST_SCORE, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS, PERIODS
from lbmigrate.schema.layout import everywhere
from lbmigrate.state import layouts
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.ids import in_parts, plain_id
from lbmigrate.values.limits import names_a_user, short
from lbmigrate.verify.local_time import period_label

# Conditions on an array are asked of its elements; an event that holds one counts for nobody.
NO_ARRAYS: Document = {"$not": {"$or": [{"$isArray": f"${name}"} for name in ("userId", "points", "createdAt")]}}
USERS_AT_ONCE = 200
LOOKS_AGAIN = 2

Key = tuple[Any, str]
Sums = tuple[Any, Any, Any]  # score, events, newest event; of an entry whatever it holds


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is not what the ledger says. `found` and `expected` are (score, events, newest event)."""

    user: Any
    period: str
    found: Sums | None
    expected: Sums | None

    def __str__(self) -> str:
        who = f"user {self.user} in {self.period}"
        if self.found is None:
            return f"{who}: no entry, the ledger says {_words(self.expected)}"
        if self.expected is None:
            return f"{who}: an entry of {_words(self.found)}, the ledger has nothing"
        return f"{who}: the entry says {_words(self.found)}, the ledger {_words(self.expected)}"


def _words(sums: Sums | None) -> str:
    if sums is None:
        return "nothing"
    points, events, last = sums
    newest = f"{last.isoformat()}Z" if isinstance(last, dt.datetime) else excerpt(last)
    return f"{excerpt(points) if not isinstance(points, int) else points} points in {events} events up to {newest}"


# --- comparing -----------------------------------------------------------------------------------------------------


def compare_all(context: Context, users: Sequence[Any]) -> Iterator[tuple[int, list[Difference], int]]:
    """Slice by slice: how many users are done, what differs, how many entries were compared."""
    done = 0
    for some in in_parts(users, USERS_AT_ONCE):
        found, expected = stored(context, some), expectation(context, some)
        done += len(some)
        archived = layouts.layout(context.state).archived
        keys = sorted((key for key in found.keys() | expected.keys() if key[1] not in archived), key=str)
        differing = [key for key in keys if found.get(key) != expected.get(key)]
        yield done, [Difference(*key, found.get(key), expected.get(key)) for key in differing], len(keys)


def confirmed(context: Context, differences: Sequence[Difference]) -> list[Difference]:
    """Those that stand when looked at again: a live write between the two readings looks like a difference once."""
    standing = list(differences)
    for _ in range(LOOKS_AGAIN):
        users = list(dict.fromkeys(each.user for each in standing))
        standing = [each for _, found, _ in compare_all(context, users) for each in found]
    return standing


def stored(context: Context, users: Sequence[Any]) -> dict[Key, Sums]:
    """What the entries say, of the kinds of periods that the config has; others are left from an older one."""
    fields = dict.fromkeys(("userId", "period", "score", "events", "lastEventAt"), 1)
    theirs = {"userId": {"$in": list(users)}, "rev": {"$exists": True}}
    rows = everywhere(context.target, layouts.layout(context.state), theirs, fields)
    shapes = [_shape(PERIODS[kind]) for kind in context.config.periods]
    return {
        (plain_id(row["userId"]), row["period"]): (
            short(row.get("score")),
            short(row.get("events")),
            short(row.get("lastEventAt")),
        )
        for row in rows
        if isinstance(row.get("period"), str) and names_a_user(row["userId"]) and _has_one(shapes, row["period"])
    }


def _shape(format_: str) -> str:
    """What the names of a kind of periods look like; told here once more, since nothing of the roll-up's is used."""
    return re.sub("%.", lambda found: r"\d{4}" if found[0] in ("%Y", "%G") else r"\d\d", format_)


def _has_one(shapes: Sequence[str], period: str) -> bool:
    return any(re.fullmatch(shape, period) for shape in shapes)


def expectation(context: Context, users: Sequence[Any]) -> dict[Key, Sums]:
    """What the ledger says, summed by the server; on the fake by a plain loop."""
    sums: dict[Key, Sums] = {}
    for kind in context.config.periods:
        sums |= expected_of(context, users, kind)
    return sums


def expected_of(context: Context, users: Sequence[Any], kind: str, without: Sequence[str] = ()) -> dict[Key, Sums]:
    """The same for periods of one kind, as if the ledger did not have the events `without`."""
    asked: Document = {"userId": {"$in": list(users)}, **COUNTED}
    asked |= {"_id": {"$nin": list(without)}} if without else {}
    if is_fake(context.target):
        return _looped(context.target, asked, kind, ZoneInfo(context.config.timezone))
    return _grouped(context.target, asked, kind, context.config.timezone)


def kind_of(context: Context, period: str) -> str | None:
    """The kind of periods that this is one of; None where the config has no such kind."""
    return next((kind for kind in context.config.periods if _has_one([_shape(PERIODS[kind])], period)), None)


def label(at: dt.datetime, kind: str, zone: ZoneInfo) -> str:
    """The period of this kind that a moment, naive UTC, is in."""
    return "global" if kind == "global" else at.replace(tzinfo=dt.UTC).astimezone(zone).strftime(PERIODS[kind])


def _grouped(database: Database[Any], asked: Document, kind: str, zone: str) -> dict[Key, Sums]:
    period = {"$literal": "global"} if kind == "global" else period_label("$createdAt", PERIODS[kind], zone)
    sums = {"score": {"$sum": "$points"}, "events": {"$sum": 1}, "last": {"$max": "$createdAt"}}
    pipeline: list[Document] = [
        {"$match": {**asked, "$expr": NO_ARRAYS}},
        {"$group": {"_id": {"user": "$userId", "period": period}, **sums}},
    ]
    rows = database[EVENTS].aggregate(pipeline, allowDiskUse=True)
    return {(plain_id(r["_id"]["user"]), r["_id"]["period"]): (_held(r["score"]), r["events"], r["last"]) for r in rows}


def _held(score: float) -> int:
    """A sum as an entry can hold it; the server has one that does not fit into 64 bits as a double."""
    return int(min(max(score, -LARGEST_SCORE), LARGEST_SCORE))


def _looped(database: Database[Any], asked: Document, kind: str, zone: ZoneInfo) -> dict[Key, Sums]:
    sums: dict[Key, Sums] = {}
    for event in database[EVENTS].find(asked):
        at = event["createdAt"]
        if isinstance(event["userId"], list) or isinstance(event["points"], list) or isinstance(at, list):
            continue
        period = label(at, kind, zone)
        score, events, last = sums.get((event["userId"], period), (0, 0, at))
        sums[event["userId"], period] = (score + event["points"], events + 1, max(last, at))
    return {key: (_held(score), events, last) for key, (score, events, last) in sums.items()}
