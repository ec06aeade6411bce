"""The ways in which a migrated database may be wrong, each with what a verification calls it.

    CORRUPTIONS["swapped scores"].inject(database, random.Random(7))

Every one damages as little as it takes, of what it finds in the database by lot. They go past validators. Where there
is nothing to damage they raise LookupError.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bson import Int64, ObjectId
from pymongo.database import Database

from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, ENTRIES_BY_RANK, EVENTS, EVENTS_BY_USER

Inject = Callable[[Database[Any], random.Random], None]
OVERALL: Document = {"period": "global", "rev": {"$exists": True}}
PLAIN: Document = {"meta.reason": {"$exists": False}, "meta.forgotten": {"$exists": False}, "points": {"$type": "long"}}


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way of being wrong: what a verification may call it, and whether a command of ours heals it."""

    name: str
    kinds: frozenset[str]
    inject: Inject
    heals: bool = True


CORRUPTIONS: dict[str, Corruption] = {}


def corruption(name: str, *kinds: str, heals: bool = True) -> Callable[[Inject], Inject]:
    """Register a way of being wrong."""

    def register(inject: Inject) -> Inject:
        CORRUPTIONS[name] = Corruption(name, frozenset(kinds), inject, heals)
        return inject

    return register


def _one(database: Database[Any], collection: str, asked: Document, rng: random.Random) -> Document:
    """A document that meets a condition, by lot."""
    names = [row["_id"] for row in database[collection].find(asked, {"_id": 1}).sort("_id", 1).limit(2_000)]
    if not names:
        raise LookupError(f"{collection} has nothing to damage: {asked}")
    found = database[collection].find_one({"_id": rng.choice(names)})
    assert found is not None
    return dict(found)


def _set(database: Database[Any], collection: str, name: Any, **fields: Any) -> None:
    unchecked: dict[str, Any] = {} if is_fake(database) else {"bypass_document_validation": True}
    database[collection].update_one({"_id": name}, {"$set": fields}, **unchecked)


def _add(database: Database[Any], collection: str, document: Document) -> None:
    unchecked: dict[str, Any] = {} if is_fake(database) else {"bypass_document_validation": True}
    database[collection].insert_one(document, **unchecked)


# --- entries -------------------------------------------------------------------------------------------------------


def _entry_with(name: str, kind: str, change: Callable[[Any], Any]) -> Inject:
    def inject(database: Database[Any], rng: random.Random) -> None:
        entry = _one(database, ENTRIES, OVERALL, rng)
        _set(database, ENTRIES, entry["_id"], **{name: change(entry.get(name))})

    return corruption(kind, *KINDS_OF[kind])(inject)


KINDS_OF = {
    "score off by one": ("score",), "float score": ("type",), "score that is no number": ("type",),
    "score as text": ("type",), "count off by one": ("count",), "another newest event": ("newest event",),
    "score of another moment": ("score reached",), "wrong streak": ("streak",), "stale name": ("snapshot",),
    "stale avatar": ("snapshot",),
    "lost opt-out": ("snapshot",),
}  # fmt: skip
_entry_with("score", "score off by one", lambda score: Int64(score + 1))
_entry_with("score", "float score", float)
_entry_with("score", "score that is no number", lambda _: float("nan"))
_entry_with("score", "score as text", str)
_entry_with("events", "count off by one", lambda events: Int64(events + 1))
_entry_with("lastEventAt", "another newest event", lambda at: at + dt.timedelta(days=1))
_entry_with("reachedAt", "score of another moment", lambda _: dt.datetime(2150, 1, 1))
_entry_with("streak", "wrong streak", lambda streak: streak + 3)
_entry_with("displayNameSnapshot", "stale name", lambda name: f"{name} as was")
_entry_with("avatarSnapshot", "stale avatar", lambda url: f"{url}?old")
_entry_with("optOutSnapshot", "lost opt-out", lambda out: not out)


@corruption("swapped scores", "score", "count", "newest event")
def _swapped(database: Database[Any], rng: random.Random) -> None:
    one = _one(database, ENTRIES, OVERALL, rng)
    other = _one(database, ENTRIES, {**OVERALL, "score": {"$ne": one["score"]}}, rng)
    _set(database, ENTRIES, one["_id"], score=other["score"])
    _set(database, ENTRIES, other["_id"], score=one["score"])


@corruption("wrong week across an edge", "score")
def _across_an_edge(database: Database[Any], rng: random.Random) -> None:
    one = _one(database, ENTRIES, {"period": {"$ne": "global"}, "rev": {"$exists": True}}, rng)
    others = {"userId": one["userId"], "period": {"$nin": ["global", one["period"]]}, "rev": {"$exists": True}}
    other = database[ENTRIES].find_one(others) or _one(database, ENTRIES, {"period": one["period"]}, rng)
    _set(database, ENTRIES, one["_id"], score=Int64(one["score"] - 7))
    if other["_id"] != one["_id"]:
        _set(database, ENTRIES, other["_id"], score=Int64(other["score"] + 7))


@corruption("missing entry", "missing")
def _missing(database: Database[Any], rng: random.Random) -> None:
    database[ENTRIES].delete_one({"_id": _one(database, ENTRIES, OVERALL, rng)["_id"]})


@corruption("user without entries", "missing")
def _user_gone(database: Database[Any], rng: random.Random) -> None:
    database[ENTRIES].delete_many({"userId": _one(database, ENTRIES, OVERALL, rng)["userId"]})


@corruption("entry without events", "extra", "type")
def _entry_of_nobody(database: Database[Any], rng: random.Random) -> None:
    entry = _one(database, ENTRIES, OVERALL, rng)
    nobody = ObjectId(rng.randbytes(12))
    _add(database, ENTRIES, {**entry, "_id": f"global:{nobody}", "userId": nobody})


@corruption("entry in a period without events", "extra")
def _empty_period(database: Database[Any], rng: random.Random) -> None:
    entry = _one(database, ENTRIES, {"period": {"$regex": "^[0-9]{4}-W"}, "rev": {"$exists": True}}, rng)
    name = str(entry["_id"]).partition(":")[2]
    _add(database, ENTRIES, {**entry, "_id": f"1999-W01:{name}", "period": "1999-W01"})


@corruption("second entry whose id has another type", "type", "extra")
def _other_type(database: Database[Any], rng: random.Random) -> None:
    entry = _one(database, ENTRIES, OVERALL, rng)
    user = entry["userId"]
    other = user if not isinstance(user, str) else ObjectId(rng.randbytes(12))
    _add(database, ENTRIES, {**entry, "_id": f'global:"{other}"', "userId": str(other)})


@corruption("entry under another name", "structure", heals=False)
def _renamed(database: Database[Any], rng: random.Random) -> None:
    entry = _one(database, ENTRIES, OVERALL, rng)
    database[ENTRIES].delete_one({"_id": entry["_id"]})
    _add(database, ENTRIES, {**entry, "_id": f"global:somebody-{rng.randrange(10**6)}"})


# --- events --------------------------------------------------------------------------------------------------------


@corruption("doubled event", "duplicate action")
def _doubled(database: Database[Any], rng: random.Random) -> None:
    event = _one(database, EVENTS, PLAIN, rng)
    _add(database, EVENTS, {**event, "_id": f"{event['_id']}-again"})


@corruption("dropped event", "unscored source")
def _dropped(database: Database[Any], rng: random.Random) -> None:
    database[EVENTS].delete_one({"_id": _one(database, EVENTS, PLAIN, rng)["_id"]})


@corruption("event of another user", "wrong user")
def _of_another(database: Database[Any], rng: random.Random) -> None:
    event = _one(database, EVENTS, PLAIN, rng)
    other = _one(database, ENTRIES, {**OVERALL, "userId": {"$ne": event["userId"]}}, rng)
    _set(database, EVENTS, event["_id"], userId=other["userId"])


@corruption("event of nobody", "orphan event")
def _of_nobody(database: Database[Any], rng: random.Random) -> None:
    event, forged = _one(database, EVENTS, PLAIN, rng), ObjectId(rng.randbytes(12))
    nobody = ObjectId(rng.randbytes(12))
    fields = {"_id": f"{event['actionType']}:{forged}", "sourceId": forged, "userId": nobody}
    _add(database, EVENTS, {**event, **fields})


@corruption("event with another time", "wrong time")
def _other_time(database: Database[Any], rng: random.Random) -> None:
    event = _one(database, EVENTS, PLAIN, rng)
    _set(database, EVENTS, event["_id"], createdAt=event["createdAt"] - dt.timedelta(days=9))


@corruption("event in the future", "wrong time")
def _in_the_future(database: Database[Any], rng: random.Random) -> None:
    _set(database, EVENTS, _one(database, EVENTS, PLAIN, rng)["_id"], createdAt=dt.datetime(2150, 1, 1))


@corruption("points changed in the ledger", "wrong points")
def _other_points(database: Database[Any], rng: random.Random) -> None:
    event = _one(database, EVENTS, PLAIN, rng)
    _set(database, EVENTS, event["_id"], points=Int64(event["points"] + 1_000))


@corruption("float points", "type")
def _float_points(database: Database[Any], rng: random.Random) -> None:
    event = _one(database, EVENTS, PLAIN, rng)
    _set(database, EVENTS, event["_id"], points=float(event["points"]))


@corruption("forged adjustment", "wrong points")
def _adjusted(database: Database[Any], rng: random.Random) -> None:
    event = _one(database, EVENTS, PLAIN, rng)
    forged = {"_id": f"{event['_id']}#1", "points": Int64(500), "meta": {"origin": "live", "reason": "rescored"}}
    _add(database, EVENTS, {**event, **forged})


@corruption("event of an action that no source has", "orphan event")
def _other_action(database: Database[Any], rng: random.Random) -> None:
    event = _one(database, EVENTS, PLAIN, rng)
    _add(database, EVENTS, {**event, "_id": f"bonus:{event['sourceId']}", "actionType": "bonus"})


# --- structure -----------------------------------------------------------------------------------------------------


@corruption("TTL index on the events", "structure", heals=False)
def _events_expire(database: Database[Any], rng: random.Random) -> None:
    database[EVENTS].create_index("createdAt", expireAfterSeconds=10**9)


@corruption("TTL index on the entries", "structure", heals=False)
def _entries_expire(database: Database[Any], rng: random.Random) -> None:
    database[ENTRIES].create_index("updatedAt", expireAfterSeconds=10**9)


@corruption("missing rank index", "structure", "query")
def _no_rank_index(database: Database[Any], rng: random.Random) -> None:
    database[ENTRIES].drop_index(ENTRIES_BY_RANK.name)


@corruption("missing index of users", "structure")
def _no_user_index(database: Database[Any], rng: random.Random) -> None:
    database[EVENTS].drop_index(EVENTS_BY_USER.name)
