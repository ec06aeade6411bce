"""Events that count for nobody: what the app or somebody else put into the ledger past its validator.

They stay where they are, since the ledger only grows, and every reader passes them over. A reconciliation adds what
their sources are worth beside them, and remembers how many it has seen to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from lbmigrate.mongo.client import durable
from lbmigrate.records import Checkpoint, Document, amount
from lbmigrate.schema import EVENT, EVENTS, USER_TYPES, user_of
from lbmigrate.values.ids import id_type
from lbmigrate.values.limits import named, names_a_user

ROW = "odd"  # how many of them the last reconciliation has seen to
LISTED = 5
AT_MOST = 1_000  # that are told apart from one another
LOOKING_MS = 500  # for looking before a run; a verification takes the time that it needs

_ARRAYS = [{name: {"$type": "array"}} for name in ("userId", "points", "createdAt")]
ODD: Document = {"$or": [{"$nor": [{**EVENT, **user_of(USER_TYPES)}]}, *_ARRAYS]}


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
    ledger = durable(database)[EVENTS]
    asked = {"$or": [ODD, *([strangers(kind)] if kind else [])]}
    cursor = ledger.find(asked, {"_id": 1}).limit(AT_MOST)
    try:
        ids = [row["_id"] for row in (cursor.max_time_ms(ms) if ms else cursor)]
    except ExecutionTimeout:
        return Odd(complete=False)
    return Odd(len(ids), tuple(map(named, ids[:LISTED])))


def strangers(kind: str) -> Document:
    """Events whose users are of another type than `kind`; a look into the index."""
    own = {"int": ("int", "long"), "uuid": ("binData",)}.get(kind, (kind,))
    return user_of(name for name in USER_TYPES if name not in own)


def seen_to(odd: Odd) -> Checkpoint:
    """What to remember when a reconciliation has gone through the whole ledger."""
    return Checkpoint(ROW, {"count": odd.count})


def kinds_in(database: Database[Any], most: int = 200) -> Counter[str]:
    """How many events have users of each type, at most `most` of each. Looks into the index alone."""
    return Counter({kind: number for kind, number in _counted(database, most) if number})


def _counted(database: Database[Any], most: int) -> Iterator[tuple[str, int]]:
    for kind, types in {
        "int": ["int", "long"],
        "string": ["string"],
        "uuid": ["binData"],
        "objectId": ["objectId"],
    }.items():
        found = database[EVENTS].find(user_of(types), {"_id": 0, "userId": 1}).limit(most)
        yield kind, sum(id_type(row["userId"]) == kind for row in found if names_a_user(row["userId"]))
