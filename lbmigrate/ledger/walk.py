"""Which users a roll-up takes at once: those of a list, or everyone in the ledger, some events at a time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from bson import Decimal128, ObjectId
from pymongo.collection import Collection
from pymongo.database import Database

from lbmigrate.records import Document
from lbmigrate.schema import COUNTED, ENTRIES, ENTRIES_BY_USER, EVENTS, EVENTS_BY_USER
from lbmigrate.values.ids import in_parts
from lbmigrate.values.limits import TEXT, is_lost

BATCH = 20_000  # events held at once; what is kept of them is one row for each user and day
# A range holds values of one of these alone: what Python has them as, and how they are asked for. NaN is below them.
BRACKETS: list[tuple[Any, Document]] = [
    ((int, float, Decimal128), {"$gte": float("-inf")}),
    (str, {"$gte": ""}),
    ((bytes, uuid.UUID), {"$type": "binData"}),
    (ObjectId, {"$type": "objectId"}),
]  # in the server's order
ORDERS = {EVENTS: EVENTS_BY_USER.keys, ENTRIES: ENTRIES_BY_USER.keys}
NO_ARRAY: Document = {"$not": {"$type": "array"}}


def selections(users: Sequence[Any], size: int = 400) -> Iterator[Document]:
    """Conditions that name these users, each once and a bounded number in each."""
    for some in in_parts(list(dict.fromkeys(users)), size):
        yield {"$in": some}


def everyone(database: Database[Any], after: Any = None, size: int = BATCH) -> Iterator[Document]:
    """Conditions that walk all users of the ledger in order of their ids, about `size` events in each.

    Users who have entries alone are among them, whether their ids lie between those of the others or beyond.
    """
    for types, users in BRACKETS:
        if after is None:
            low = _start(database, users)
        elif isinstance(after, types):
            low, after = {"$gt": after}, None
        else:
            continue
        while low:
            bound = _user_at(database[EVENTS], low, size)
            if bound is None:
                bound = _end(database, low)
            if bound is None:
                break
            yield {**low, "$lte": bound}
            low = {"$gt": bound}


def _start(database: Database[Any], users: Document) -> Document:
    """From the first user of a bracket in the ledger, or in the entries."""
    first = _first_user(database, users)
    earlier = {**users, "$lt": first["$gte"]} if first else users
    user = _user_at(database[ENTRIES], earlier, 0)
    return first if user is None else {"$gte": user}


def _end(database: Database[Any], users: Document) -> Any:
    """The last user in the ledger, or in the entries."""
    last = _user_at(database[EVENTS], users, 0, way=-1)
    user = _user_at(database[ENTRIES], users if last is None else {"$gt": last}, 0, way=-1)
    return last if user is None else user


def _first_user(database: Database[Any], users: Document) -> Document:
    """From the first event whose user is of a bracket."""
    asked = {"userId": users, **COUNTED}
    row = database[EVENTS].find_one(asked, {"userId": 1}, sort=[("userId", 1)])
    if row and isinstance(row["userId"], list):  # it stands where its elements would
        asked["userId"] = {**users, **NO_ARRAY}
        row = database[EVENTS].find_one(asked, {"userId": 1}, sort=[("userId", 1)])
    if not row:
        return {}
    return {"$gte": "" if is_lost(row["userId"]) else row["userId"]}


def _user_at(collection: Collection[Any], users: Document, skip: int, way: int = 1) -> Any:
    """The user `skip` places into the order of an index, from its other end with way -1; a covered hop."""
    order = [(key, direction * way) for key, direction in ORDERS[collection.name]]
    found = collection.find({"userId": users}, {"_id": 0, "userId": 1}).sort(order).skip(skip).limit(1)
    row = next(iter(found), None)
    if row and isinstance(row["userId"], list) and "$not" not in users:  # no hop any more, but it ends at a user
        return _user_at(collection, {**users, **NO_ARRAY}, skip, way)
    if row and is_lost(row["userId"]) and "$regex" not in users:
        return _user_at(collection, {**users, **TEXT}, skip, way)
    return row["userId"] if row else None
