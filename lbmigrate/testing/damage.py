"""One document of the leaderboard damaged at a time, chosen by whoever calls."""

from __future__ import annotations

from typing import Any

from bson import Int64
from pymongo.database import Database

from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.schema.layout import partitions


def change_score(database: Database[Any], entry: str, by: int = 1) -> None:
    """Make an entry's score wrong by `by` points. All of these raise LookupError where there is nothing to damage."""
    _damage(database, _home(database, entry), entry, {"$inc": {"score": Int64(by)}})


def change_points(database: Database[Any], event: str, by: int = 1) -> None:
    """Make the ledger itself wrong: an event counts `by` points more."""
    _damage(database, EVENTS, event, {"$inc": {"points": Int64(by)}})


def drop_entry(database: Database[Any], entry: str) -> None:
    """Lose an entry."""
    _lose(database, _home(database, entry), entry)


def drop_event(database: Database[Any], event: str) -> None:
    """Lose an event, which nothing but a rollback may do."""
    _lose(database, EVENTS, event)


def duplicate_event(database: Database[Any], event: str) -> str:
    """Record an action a second time under an id that it cannot have; returns that id."""
    return _copy(database, EVENTS, event, f"{event}-again", {})


def duplicate_entry(database: Database[Any], entry: str, user: Any) -> str:
    """Give a user whom no event names the entry of another; returns its id."""
    return _copy(database, _home(database, entry), entry, f"{entry}-again", {"userId": user})


def _home(database: Database[Any], entry: str) -> str:
    """The collection that an entry is in; the base one if it is nowhere."""
    names = (name for name in partitions(database) if database[name].find_one({"_id": entry}, {"_id": 1}))
    return next(names, ENTRIES)


def _damage(database: Database[Any], collection: str, key: str, change: Document) -> None:
    if database[collection].update_one({"_id": key}, change).matched_count == 0:
        raise LookupError(f"{collection} has no {key!r}")


def _lose(database: Database[Any], collection: str, key: str) -> None:
    if database[collection].delete_one({"_id": key}).deleted_count == 0:
        raise LookupError(f"{collection} has no {key!r}")


def _copy(database: Database[Any], collection: str, key: str, other: str, change: Document) -> str:
    found = database[collection].find_one({"_id": key})
    if found is None:
        raise LookupError(f"{collection} has no {key!r}")
    database[collection].insert_one({**found, "_id": other, **change})
    return other
