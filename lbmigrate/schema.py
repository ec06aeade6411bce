"""What the leaderboard's collections should look like, and how what is there differs from it.

Nothing here changes or drops what it did not create; a difference is named, not fixed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database

from lbmigrate.records import AVATAR_LENGTH, EARLIEST, LATEST, LONGEST_ID, MOST_POINTS, NAME_LENGTH, Document

EVENTS = "score_events"
ENTRIES = "leaderboard_entries"
REJECTS = "lbmigrate_rejects"
REJECT_DAYS = 30
USER_TYPES = ("int", "long", "string", "binData", "objectId")  # what names a user, in the server's order
# What makes a document an event. Anything else in the ledger counts for nobody (`ledger.odd`).
EVENT: Document = {
    "points": {"$type": "long", "$gte": -MOST_POINTS, "$lte": MOST_POINTS},
    "createdAt": {"$gte": EARLIEST, "$lt": LATEST},
}
COUNTED: Document = {**EVENT, "meta.forgotten": {"$ne": True}}  # what counts for somebody's entries

# The kinds of periods, and how the period of a day is named: a format that both Python's strftime and the server's
# $dateToString have. A new kind is one line here. %G-W%V is the ISO 8601 week: that of the year of its Thursday.
PERIODS: dict[str, str] = {"global": "global", "day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y"}

MADE_BY_A_MIGRATION: dict[str, Document] = {  # what a rollback removes: other documents are somebody else's
    ENTRIES: {"rev": {"$exists": True}, "events": {"$exists": True}},
    EVENTS: {"meta.origin": {"$in": ["backfill", "live"]}},
}


def user_of(types: Iterable[str]) -> Document:
    """The condition that an event's user is of one of these types; the in-memory fake takes one type at a time."""
    return {"$or": [{"userId": {"$type": name}} for name in types]}


_USER_ID = {"bsonType": list(USER_TYPES), "minLength": 1, "maxLength": LONGEST_ID}
_INT64 = {"bsonType": "long"}
_POINTS = {**_INT64, "minimum": -MOST_POINTS, "maximum": MOST_POINTS}
_DATE = {"bsonType": "date"}
_STRING = {"bsonType": "string"}
_SHORT = {**_STRING, "maxLength": 256}
_ID = {**_STRING, "maxLength": 4 * LONGEST_ID}
_NO_SOURCE = {"bsonType": ["array", "regex", "null"]}  # no document has such an _id


def _validator(required: Document, optional: Document, **beside: Any) -> Document:
    """`beside` are conditions that a schema cannot say."""
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "required": ["_id", *required],
            "properties": {"_id": _ID, **required, **optional},
        },
        **beside,
    }


VALIDATORS: dict[str, Document] = {
    EVENTS: _validator(
        {
            "userId": _USER_ID,
            "actionType": _SHORT,
            "points": _POINTS,
            "sourceId": {"not": _NO_SOURCE},
            "meta": {"bsonType": "object"},
            "createdAt": _DATE,
        },
        {},
        createdAt=EVENT["createdAt"],
    ),
    ENTRIES: _validator(
        {"userId": _USER_ID, "period": _SHORT, "score": _INT64, "events": _INT64, "rev": _INT64},
        {
            "streak": {"bsonType": ["int", "long"]},
            "lastUpdated": _DATE,
            "lastEventAt": _DATE,
            "createdAt": _DATE,
            "updatedAt": _DATE,
            "optOutSnapshot": {"bsonType": "bool"},
            "displayNameSnapshot": {"bsonType": ["string", "null"], "maxLength": NAME_LENGTH},
            "avatarSnapshot": {"bsonType": ["string", "null"], "maxLength": AVATAR_LENGTH},
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Index:
    """An index as it should be; its name is the server's default name for its keys."""

    collection: str
    keys: tuple[tuple[str, int], ...]
    options: Document = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "_".join(f"{key}_{direction}" for key, direction in self.keys)

    @property
    def label(self) -> str:
        """How people and the state name it: `leaderboard_entries.userId_1`."""
        return f"{self.collection}.{self.name}"


EVENTS_BY_USER = Index(EVENTS, (("userId", 1), ("createdAt", 1)))
ENTRIES_BY_RANK = Index(ENTRIES, (("period", 1), ("score", -1), ("userId", -1)))
ENTRIES_BY_USER = Index(ENTRIES, (("userId", 1),))
REJECTS_TTL = Index(REJECTS, (("createdAt", 1),), {"expireAfterSeconds": REJECT_DAYS * 86400})
INDEXES = (EVENTS_BY_USER, ENTRIES_BY_RANK, ENTRIES_BY_USER, REJECTS_TTL)


def present_collections(database: Database[Any]) -> dict[str, Document]:
    """Every collection of the database by name, with its options."""
    return {info["name"]: info.get("options", {}) for info in database.list_collections()}


def missing_collections(database: Database[Any]) -> list[str]:
    """Name those of our collections that the database does not have."""
    present = present_collections(database)
    return [name for name in (EVENTS, ENTRIES, REJECTS) if name not in present]


def create_collection(database: Database[Any], name: str) -> None:
    """Create one of our collections, with its validator if it has one."""
    options: dict[str, Any] = {"validator": VALIDATORS[name]} if name in VALIDATORS else {}
    database.create_collection(name, **options)


def present_indexes(database: Database[Any], collection: str) -> list[Document]:
    """The indexes of a collection as {name, key: ((field, direction), …), …options}; none of what is no collection."""
    options = present_collections(database).get(collection)
    if options is None or "viewOn" in options:
        return []
    found = database[collection].index_information()
    return [{**spec, "name": name, "key": tuple(map(tuple, spec["key"]))} for name, spec in found.items()]


def missing_indexes(database: Database[Any]) -> list[Index]:
    """Those whose keys no index of the collection has; a namesake with other keys counts as missing."""
    present = {name: {spec["key"] for spec in present_indexes(database, name)} for name in (EVENTS, ENTRIES, REJECTS)}
    return [index for index in INDEXES if index.keys not in present[index.collection]]


def create_index(database: Database[Any], index: Index) -> None:
    """Create an index under its usual name; a repeat is a no-op."""
    database[index.collection].create_index(list(index.keys), name=index.name, **index.options)


def differences(database: Database[Any]) -> list[str]:
    """What is there but not as it should be, a sentence each: validators, index options, a TTL on leaderboard data."""
    present = present_collections(database)
    told = [_validator_difference(name, present[name]) for name in VALIDATORS if name in present]
    for name in (EVENTS, ENTRIES):
        told += [_index_difference(name, spec) for spec in present_indexes(database, name)]
    return [sentence for sentence in told if sentence]


def _validator_difference(name: str, options: Document) -> str:
    found = options.get("validator")
    strict = (options.get("validationAction", "error"), options.get("validationLevel", "strict")) == ("error", "strict")
    if found == VALIDATORS[name] and strict:
        return ""
    return f"{name} has {'another' if found else 'no'} validator; lbmigrate leaves it as it is"


def _index_difference(collection: str, spec: Document) -> str:
    if "expireAfterSeconds" in spec:
        return f"{collection}.{spec['name']} has a TTL: leaderboard data would vanish; drop that index"
    ours = {index.keys for index in INDEXES if index.collection == collection}
    odd = [option for option in ("unique", "sparse", "partialFilterExpression") if spec.get(option)]
    if spec["key"] in ours and odd:
        return f"{collection}.{spec['name']} is {odd[0]}: it may refuse or hide events; drop that index"
    namesakes = [index for index in INDEXES if index.collection == collection and index.name == spec["name"]]
    if namesakes and namesakes[0].keys != spec["key"]:
        return f"{collection}.{spec['name']} has other keys than its name says; drop or rename that index"
    return ""


def expiring(database: Database[Any]) -> list[str]:
    """TTL indexes on leaderboard data, which there must never be."""
    return [sentence for sentence in differences(database) if " has a TTL" in sentence]
