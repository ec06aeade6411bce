"""The feature flag: one document that tells the app whether to record (`write`) and whether to show (`read`)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from lbmigrate.config.model import Config
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import soon
from lbmigrate.mongo.faults import other_unique_index
from lbmigrate.records import Document
from lbmigrate.state.operator import operator

Side = Literal["write", "read"]
TAKES_EFFECT = 5.0  # seconds after which nobody acts on a flag that has been turned off
FIELDS = ("write", "read", "updatedAt", "updatedBy")  # what `turn` writes


@dataclass(frozen=True, slots=True)
class Switches:
    """The flag's two sides. Absent or unreadable means off."""

    write: bool = False
    read: bool = False


def find(database: Database[Any], config: Config) -> Document:
    """The flag's document, or an empty one."""
    return retrying(lambda: database[config.flag.collection].find_one({"_id": config.flag.id})) or {}


def read(database: Database[Any], config: Config) -> Switches:
    """How the flag stands."""
    return switches(find(database, config))


def switches(document: Document) -> Switches:
    """How a flag's document reads: anything but true is off."""
    return Switches(write=document.get("write") is True, read=document.get("read") is True)


def turn(database: Database[Any], config: Config, side: Side, value: bool, now: dt.datetime) -> bool:
    """Set one side; False, and nothing written, when it stands so already.

    What is neither true nor false counts as off here, but an app may take it for on: turned off, it is false. The
    primary decides whether it stands so, in the write itself: no read is asked, which may be late. Turned off, it is
    off there at once; raises WTimeoutError after a few seconds in which no majority has that.
    """
    attempts = 0
    database = database if value else soon(database)

    def attempt() -> bool:
        nonlocal attempts
        attempts += 1
        return _set(database, config, side, value, now)

    return retrying(attempt, attempts=3) or attempts > 1  # an attempt that failed may have been carried out


def _set(database: Database[Any], config: Config, side: Side, value: bool, now: dt.datetime) -> bool:
    odd: list[Document] = [{side: {"$type": "array"}}, {side: {"$exists": True, "$not": {"$type": "bool"}}}]
    otherwise = {"_id": config.flag.id, "$or": [{side: {"$ne": True}} if value else {side: True}, *odd]}
    other = "read" if side == "write" else "write"
    change: Document = {"$set": {side: value, "updatedAt": now, "updatedBy": operator()}}
    change |= {"$setOnInsert": {other: False}} if value else {}
    try:
        done = database[config.flag.collection].update_one(otherwise, change, upsert=value)  # what is absent is off
    except DuplicateKeyError as error:
        if other_unique_index(error.details or {}):
            raise
        return False  # it is there, and on
    return bool(done.modified_count or done.upserted_id is not None)
