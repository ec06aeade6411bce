"""Events that count for nobody: what the app or somebody else put into the ledger past its validator.

They stay where they are, since the ledger only grows, and every reader passes them over. A reconciliation adds what
their sources are worth beside them, and remembers how many it has seen to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bson import Binary
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Checkpoint, Document, amount
from lbmigrate.schema import EVENT, EVENTS, USERS, user_of
from lbmigrate.values.limits import named, names_a_user

ROW = "odd"  # how many of them the last reconciliation has seen to
LISTED = 5
AT_MOST = 1_000  # that are told apart from one another
LOOKING_MS = 500  # for looking before a run; a verification takes the time that it needs

_ARRAYS = [{name: {"$type": "array"}} for name in ("userId", "points", "createdAt")]
ODD: Document = {"$or": [{"$nor": [{**EVENT, **user_of(USERS)}]}, *_ARRAYS]}
# Binary data is ordered by length, then by subtype; the fake cannot compare it.
_UUIDS = {"$gte": Binary(bytes(16), OLD_UUID_SUBTYPE), "$lte": Binary(b"\xff" * 16, UUID_SUBTYPE)}
NO_UUID: Document = {"userId": {"$type": "binData", "$not": _UUIDS}}
NUMBERS = {"$or": [{"userId": {"$type": name}} for name in ("double", "decimal")]}  # which may be fractions


@dataclass(frozen=True, slots=True)
class Odd:
    """How many events count for nobody, or for a user of another kind than all others, and which are the first."""

    count: int = 0
    first: tuple[str, ...] = ()
    complete: bool = True

    def __str__(self) -> str:
        more = f" and {self.count - len(self.first)} more" if self.count > len(self.first) else ""
        return (
            f"{amount(self.count, 'event')} of {EVENTS} {'is' if self.count == 1 else 'are'} not as an event must be"
            f" (points, time, user): {', '.join(self.first)}{more}"
        )


def odd_events(database: Database[Any], kind: str | None, ms: int | None = None) -> Odd:
    """The events that are not as an event must be.

    With `kind`, the type of the ledger's user ids, also those of users of another type. Reads the whole ledger unless
    `ms` milliseconds end that.
    """
    ledger = database[EVENTS]
    conditions = [ODD, *([strangers(kind)] if kind else []), *([] if is_fake(database) else [NO_UUID])]
    asked = [{"$or": conditions}, *([NUMBERS] if kind in (None, "int") else [])]
    try:
        ids = list(dict.fromkeys(name for each in asked for name in _found(ledger, each, ms)))
    except ExecutionTimeout:
        return Odd(complete=False)
    return Odd(len(ids), tuple(name for name, _ in ids[:LISTED]))


def _found(ledger: Collection[Any], condition: Document, ms: int | None) -> Iterator[tuple[str, type]]:
    """How the events are named; what is read of them is not held, for it may be large."""
    cursor = ledger.find(condition, {"userId": 1} if condition is NUMBERS else {"_id": 1})
    rows = iter(cursor.max_time_ms(ms) if ms else cursor)
    odd = (row for row in rows if not names_a_user(row["userId"])) if condition is NUMBERS else rows
    return ((named(row["_id"]), type(row["_id"])) for row in islice(odd, AT_MOST))


def strangers(kind: str) -> Document:
    """Events whose users are of another kind than `kind`; a look into the index."""
    return user_of(name for name in USERS if name != kind)


def named_by(kind: str, whole: bool = True) -> Document:
    """The condition that a user is named by an id of this kind; without `whole` also numbers that are no whole ones."""
    whole_number = {"$cond": [{"$isNumber": "$userId"}, {"$eq": ["$userId", {"$trunc": "$userId"}]}, True]}
    fits: list[Document] = [user_of([kind])]
    if whole and kind == "int":
        fits += [{"userId": {"$gt": float("-inf"), "$lt": float("inf")}}, {"$expr": whole_number}]
    elif whole and kind == "uuid":
        fits.append({"userId": _UUIDS})
    return {"$and": fits}


def seen_to(odd: Odd) -> Checkpoint:
    """What to remember when a reconciliation has gone through the whole ledger."""
    return Checkpoint(ROW, {"count": odd.count})


def kinds_in(database: Database[Any], most: int = 200) -> Counter[str]:
    """How many events have users of each kind, at most `most` of each. Looks into the index alone."""
    events, shown = database[EVENTS], {"_id": 0, "userId": 1}
    found = {kind: events.find(user_of([kind]), shown).limit(most).batch_size(most) for kind in USERS}
    counted = {kind: sum(names_a_user(row["userId"]) for row in rows) for kind, rows in found.items()}
    return Counter({kind: number for kind, number in counted.items() if number})
