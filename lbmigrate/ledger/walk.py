"""Which users a roll-up takes at once: those of a list, or everyone in the ledger, some events at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from lbmigrate.records import Document
from lbmigrate.schema import COUNTED, EVENTS, EVENTS_BY_USER, user_of

BATCH = 20_000  # events held at once; what is kept of them is one row for each user and day
BRACKETS: dict[tuple[str, ...], type | tuple[type, ...]] = {  # in the server's order
    ("int", "long"): (int, float),
    ("string",): str,
    ("binData",): object,
    ("objectId",): ObjectId,
}
NO_ARRAY: Document = {"$not": {"$type": "array"}}
ORDER = (("int", "long"), ("string",), ("objectId",), ("binData",))  # the last one takes what the others do not


def selections(users: Sequence[Any], size: int = 400) -> Iterator[Document]:
    """Conditions that name these users, each once and a bounded number in each."""
    distinct = list(dict.fromkeys(users))
    for start in range(0, len(distinct), size):
        yield {"$in": distinct[start : start + size]}


def everyone(database: Database[Any], after: Any = None, size: int = BATCH) -> Iterator[Document]:
    """Conditions that walk all users of the ledger in order of their ids, about `size` events in each."""
    begun = after is None
    for types in BRACKETS:
        low = _first_user(database, types) if begun else {}
        if not begun and _is_of(after, types):
            low, begun = {"$gt": after}, True
        while low:
            bound = _user_at(database, low, size)
            if bound is None:
                bound = _user_at(database, low, 0, way=-1)
            if bound is None:
                break
            yield {**low, "$lte": bound}
            low = {"$gt": bound}


def _is_of(user: Any, types: Sequence[str]) -> bool:
    """Whether a user is of the first bracket that fits."""
    return next(name for name in ORDER if isinstance(user, BRACKETS[name])) == types


def _first_user(database: Database[Any], types: Sequence[str]) -> Document:
    """From the first event whose user is of one of these types: a range holds values of one bracket alone."""
    asked = {**user_of(types), **COUNTED}
    row = database[EVENTS].find_one(asked, {"userId": 1}, sort=[("userId", 1)])
    if row and isinstance(row["userId"], list):  # it stands where its elements would
        asked["userId"] = NO_ARRAY
        row = database[EVENTS].find_one(asked, {"userId": 1}, sort=[("userId", 1)])
    return {"$gte": row["userId"]} if row else {}


def _user_at(database: Database[Any], users: Document, skip: int, way: int = 1) -> Any:
    """The user of the event `skip` places into the index order, from its other end with way -1; a covered hop."""
    order = [(key, direction * way) for key, direction in EVENTS_BY_USER.keys]
    found = database[EVENTS].find({"userId": users}, {"_id": 0, "userId": 1}).sort(order).skip(skip).limit(1)
    row = next(iter(found), None)
    if row and isinstance(row["userId"], list) and "$not" not in users:  # no hop any more, but it ends at a user
        return _user_at(database, {**users, **NO_ARRAY}, skip, way)
    return row["userId"] if row else None
