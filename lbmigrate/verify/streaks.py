"""Streaks against the ledger, by code that shares nothing with `ranking`: each user's days on which something stands.

On a server the days are the server's own, in the local time that `local_time` has it compute.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, ENTRIES, EVENTS, PERIODS
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.ids import in_parts, plain_id
from lbmigrate.values.limits import names_a_user
from lbmigrate.verify.compare import LOOKS_AGAIN, NO_ARRAYS, USERS_AT_ONCE, kind_of, label
from lbmigrate.verify.local_time import period_label

DAY = PERIODS["day"]
# By how much an event changes whether its action stands. Of the two halves of a move the sign tells which is which.
STANDS: Document = {
    "$switch": {
        "branches": [
            {"case": {"$eq": ["$meta.reason", "voided"]}, "then": -1},
            {"case": {"$eq": ["$meta.reason", "rescored"]}, "then": 0},
            {"case": {"$eq": ["$meta.reason", "moved"]}, "then": {"$cmp": ["$points", 0]}},
        ],
        "default": 1,
    }
}

Days = dict[Any, set[dt.date]]  # by user, those on which something stands


def wrong(context: Context, users: Sequence[Any]) -> Iterator[list[str]]:
    """Slice by slice, a sentence for each streak that is not what the days of the ledger make, and stays so."""
    for some in in_parts(users, USERS_AT_ONCE):
        found = _compared(context, some)
        for _ in range(LOOKS_AGAIN if found else 0):  # a live write between two readings looks like a difference once
            found = _compared(context, list({user for user, _ in found}))
        yield list(found.values())


def _compared(context: Context, users: Sequence[Any]) -> dict[tuple[Any, str], str]:
    asked = {"userId": {"$in": list(users)}, "rev": {"$exists": True}}
    entries = list(context.target[ENTRIES].find(asked, dict.fromkeys(("userId", "period", "streak"), 1)))
    days, told = _days(context, users), {}
    for entry in entries:
        period, found = entry.get("period"), entry.get("streak")
        kind = kind_of(context, period) if isinstance(period, str) else None
        if kind is None or not names_a_user(entry["userId"]):
            continue
        user = plain_id(entry["userId"])
        expected = _streak(days.get(user, set()), kind, period)
        if found != expected:
            told[user, period] = (
                f"user {user} in {period}: a streak of {excerpt(found)}, the ledger's days make {expected}"
            )
    return told


def _streak(days: set[dt.date], kind: str, period: str) -> int:
    """How many days in a row end on the last one in the period; days before the period count."""
    within = [day for day in days if kind == "global" or day.strftime(PERIODS[kind]) == period]
    last, length = max(within, default=None), 0
    while last in days:
        last, length = last - dt.timedelta(days=1), length + 1
    return length


def _days(context: Context, users: Sequence[Any]) -> Days:
    asked: Document = {"userId": {"$in": list(users)}, **COUNTED}
    zone = context.config.timezone
    stands = _looped(context, asked, ZoneInfo(zone)) if is_fake(context.target) else _grouped(context, asked, zone)
    found: Days = defaultdict(set)
    for (user, day), number in stands.items():
        if number > 0:
            found[user].add(dt.date.fromisoformat(day))
    return found


def _grouped(context: Context, asked: Document, zone: str) -> dict[tuple[Any, str], int]:
    day = {"user": "$userId", "day": period_label("$createdAt", DAY, zone)}
    group = {"$group": {"_id": day, "stands": {"$sum": STANDS}}}
    rows = context.target[EVENTS].aggregate([{"$match": {**asked, "$expr": NO_ARRAYS}}, group], allowDiskUse=True)
    return {(plain_id(row["_id"]["user"]), row["_id"]["day"]): row["stands"] for row in rows}


def _looped(context: Context, asked: Document, zone: ZoneInfo) -> dict[tuple[Any, str], int]:
    found: Counter[tuple[Any, str]] = Counter()
    for event in context.target[EVENTS].find(asked):
        if not any(isinstance(event[name], list) for name in ("userId", "points", "createdAt")):
            found[event["userId"], label(event["createdAt"], "day", zone)] += _stands(event)
    return found


def _stands(event: Document) -> int:
    meta = event.get("meta")
    reason = meta.get("reason") if isinstance(meta, dict) else None
    if reason == "moved":
        return int(event["points"] > 0) - int(event["points"] < 0)
    return {"voided": -1, "rescored": 0}.get(reason, 1) if isinstance(reason, str) else 1
