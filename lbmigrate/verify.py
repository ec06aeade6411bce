"""Entries against the ledger, by code that shares nothing with `ranking`.

On a server the sums are the server's own: `$group` over the events, with `$dateToString` naming the periods. The
in-memory fake differs from the server in just these expressions, so there a plain loop does it.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from pymongo.database import Database

from lbmigrate import flag, mongo, outcome, schema
from lbmigrate.context import Context, Looking
from lbmigrate.models import Document
from lbmigrate.schema import COUNTED, ENTRIES, EVENT, EVENTS

FORMATS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}
USERS_AT_ONCE = 200
FRESH = dt.timedelta(days=1)
LOOKS_AGAIN = 2
KEPT = 100  # mismatches that a verdict carries

Key = tuple[Any, str]
Sums = tuple[int, int, dt.datetime]


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
    return f"{sums[0]} points in {sums[1]} events up to {sums[2].isoformat()}Z"


# --- whom to look at -----------------------------------------------------------------------------------------------


def choose(context: Context, looking: Looking) -> list[Any]:
    """The users to compare: the first of every period, and a seeded sample drawn from the ledger and the entries."""
    entries, events = context.target[ENTRIES], context.target[EVENTS]
    known = dict.fromkeys(_users(events, COUNTED)) | dict.fromkeys(_users(entries, {"rev": {"$exists": True}}))
    if looking.full:
        return list(known)
    first = dict.fromkeys(user for period in _periods(context) for user in _leaders(context, period, looking.top))
    sample = random.Random(looking.seed).sample(list(known), min(looking.sample, len(known)))
    return list(first | dict.fromkeys(sample))


def _users(collection: Any, condition: Document) -> Iterator[Any]:
    """Every user of a collection once, in a fixed order."""
    grouped = [{"$match": condition}, {"$group": {"_id": "$userId"}}, {"$sort": {"_id": 1}}]
    return (row["_id"] for row in collection.aggregate(grouped))


def _periods(context: Context) -> Iterator[str]:
    """Every period that has entries, by hops along the index."""
    after = ""
    while True:
        row = context.target[ENTRIES].find_one({"period": {"$gt": after}}, {"period": 1}, sort=[("period", 1)])
        if row is None:
            return
        after = row["period"]
        yield after


def _leaders(context: Context, period: str, top: int) -> Iterator[Any]:
    rows = context.target[ENTRIES].find({"period": period}, {"userId": 1}).sort([("score", -1), ("userId", -1)])
    return (row["userId"] for row in rows.limit(top)) if top else iter(())


# --- comparing -----------------------------------------------------------------------------------------------------


def compare_all(context: Context, users: Sequence[Any]) -> Iterator[tuple[int, list[Difference], int]]:
    """Slice by slice: how many users are done, what differs, how many entries were compared."""
    rest = iter(users)
    done = 0
    while some := list(islice(rest, USERS_AT_ONCE)):
        found, expected = stored(context, some), expectation(context, some)
        done += len(some)
        keys = sorted(found.keys() | expected.keys(), key=str)
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
    rows = mongo.durable(context.target)[ENTRIES].find({"userId": {"$in": list(users)}, "rev": {"$exists": True}})
    kinds = context.config.periods
    return {
        (row["userId"], row["period"]): (row["score"], row["events"], row["lastEventAt"])
        for row in rows
        if outcome.kind_of(row["period"]) in kinds
    }


def expectation(context: Context, users: Sequence[Any]) -> dict[Key, Sums]:
    """What the ledger says, summed by the server; on the fake by a plain loop."""
    database = mongo.durable(context.target)
    sums: dict[Key, Sums] = {}
    for kind in context.config.periods:
        if mongo.is_fake(context.target):
            sums |= _looped(database, users, kind, ZoneInfo(context.config.timezone))
        else:
            sums |= _grouped(database, users, kind, context.config.timezone)
    return sums


def _grouped(database: Database[Any], users: Sequence[Any], kind: str, zone: str) -> dict[Key, Sums]:
    label: Any = {"$literal": "global"}
    if kind != "global":
        label = {"$dateToString": {"date": "$createdAt", "format": FORMATS[kind], "timezone": zone}}
    sums = {"score": {"$sum": "$points"}, "events": {"$sum": 1}, "last": {"$max": "$createdAt"}}
    pipeline: list[Document] = [
        {"$match": {"userId": {"$in": list(users)}, **COUNTED}},
        {"$group": {"_id": {"user": "$userId", "period": label}, **sums}},
    ]
    rows = database[EVENTS].aggregate(pipeline, allowDiskUse=True)
    return {(r["_id"]["user"], r["_id"]["period"]): (r["score"], r["events"], r["last"]) for r in rows}


def _looped(database: Database[Any], users: Sequence[Any], kind: str, zone: ZoneInfo) -> dict[Key, Sums]:
    sums: dict[Key, Sums] = {}
    for event in database[EVENTS].find({"userId": {"$in": list(users)}, **COUNTED}):
        at = event["createdAt"]
        local = at.replace(tzinfo=dt.UTC).astimezone(zone)
        period = "global" if kind == "global" else local.strftime(FORMATS[kind])
        score, events, last = sums.get((event["userId"], period), (0, 0, at))
        sums[event["userId"], period] = (score + event["points"], events + 1, max(last, at))
    return sums


# --- the verdict ---------------------------------------------------------------------------------------------------


def complaints(context: Context) -> list[str]:
    """What is wrong whatever the numbers say: data that would expire, or nothing there where there should be."""
    told = schema.expiring(context.target)
    if context.target[EVENTS].find_one(EVENT, {"_id": 1}) is None:
        for source in context.config.sources:
            if context.sources[source.collection].find_one(source.where, {"_id": 1}) is not None:
                told.append(f"{EVENTS} is empty, but {source.collection} has documents in scope")
    return told


def verdict(
    looking: Looking, covers: str | None, users: int, entries: int, wrong: Sequence[str], now: dt.datetime
) -> Document:
    """The verdict's row in the state."""
    return {
        "passed": not wrong,
        "covers": covers,
        "at": now,
        "users": users,
        "entries": entries,
        "mismatches": len(wrong),
        "first": list(wrong[:KEPT]),
        "looking": asdict(looking),
    }


def is_current(context: Context) -> bool:
    """Whether a passing verdict vouches for everything emitted so far, and is fresh where the cut-over waits for it."""
    row, covers = context.state.get("verdict"), context.state.last_emission()
    if flag.read(context.target, context.config).read:
        return bool(row.get("passed")) and row.get("covers") == covers
    return not objection(row, covers, context.clock())


def objection(row: Document, covers: str | None, now: dt.datetime) -> str:
    """Why a verdict does not allow the cut-over; empty when it does."""
    if not row:
        return "nothing was verified yet"
    if not row["passed"]:
        return f"the last one, {row['at'].isoformat(timespec='seconds')}Z, found {row['mismatches']} mismatches"
    if row["covers"] != covers:
        return "events were added since the last one"
    if now - row["at"] > FRESH:
        return f"the last one is from {row['at'].isoformat(timespec='seconds')}Z, more than a day ago"
    return ""
