"""The feature flag: one document that tells the app whether to record (`write`) and whether to show (`read`)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from pymongo.database import Database

from lbmigrate.config.model import Config
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
    return database[config.flag.collection].find_one({"_id": config.flag.id}) or {}


def read(database: Database[Any], config: Config) -> Switches:
    """How the flag stands."""
    return switches(find(database, config))


def switches(document: Document) -> Switches:
    """How a flag's document reads: anything but true is off."""
    return Switches(write=document.get("write") is True, read=document.get("read") is True)


def turn(database: Database[Any], config: Config, side: Side, value: bool, now: dt.datetime) -> bool:
    """Set one side; False, and nothing written, when it stands so already.

    What is neither true nor false counts as off here, but an app may take it for on: turned off, it is false.
    """
    if find(database, config).get(side, False) is value:
        return False
    setting = {side: value, "updatedAt": now, "updatedBy": operator()}
    other = "read" if side == "write" else "write"
    database[config.flag.collection].update_one(
        {"_id": config.flag.id}, {"$set": setting, "$setOnInsert": {other: False}}, upsert=True
    )
    return True
