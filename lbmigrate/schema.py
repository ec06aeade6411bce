"""What the leaderboard's collections should look like, and how what is there differs from it.

Nothing here changes or drops what it did not create; a difference is named, not fixed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from lbmigrate.records import AVATAR_LENGTH, EARLIEST, LATEST, LONGEST_ID, MOST_POINTS, NAME_LENGTH, Document

EVENTS = "score_events"
ENTRIES = "leaderboard_entries"
REJECTS = "lbmigrate_rejects"
REJECT_DAYS = 30
# What can name a user, by what `values.ids.id_type` calls it, as conditions on `userId`. The in-memory fake takes one
# type at a time. Text that is not UTF-8 meets no pattern.
_TEXT = rf"^(?=[\s\S]*\S)[\s\S]{{1,{LONGEST_ID}}}$"
USERS: dict[str, list[Document]] = {
    "int": [{"$type": name} for name in ("int", "long", "double", "decimal")],
    "string": [{"$type": "string", "$regex": _TEXT}],
    "uuid": [{"$type": "binData"}],
    "objectId": [{"$type": "objectId"}],
}
# What makes a document an event. Anything else in the ledger counts for nobody (`ledger.odd`).
EVENT: Document = {
    # Text that is UTF-8; put so that no planner takes the index of `_id` for it.
    "$nor": [{"_id": {"$not": {"$type": "string", "$regex": "^"}}}],
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


def user_of(kinds: Iterable[str]) -> Document:
    """The condition that an event's user is of one of these kinds of USERS."""
    return {"$or": [{"userId": condition} for kind in kinds for condition in USERS[kind]]}


_ANY_USER_ID = {"bsonType": ["objectId", "string", "int", "long", "binData"]}
_USER_ID = {**_ANY_USER_ID, "minLength": 1, "maxLength": LONGEST_ID}
# As an app may write it in an event: what JavaScript writes of a number beyond 32 bits is a double.
_ACTING_USER = {"anyOf": [_USER_ID, {"bsonType": "double", "multipleOf": 1}]}
_INT64 = {"bsonType": "long"}
_POINTS = {**_INT64, "minimum": -MOST_POINTS, "maximum": MOST_POINTS}
_DATE = {"bsonType": "date"}
_STRING = {"bsonType": "string"}
_SHORT = {**_STRING, "maxLength": 256}
_SHOWN = {"displayNameSnapshot": {"maxLength": NAME_LENGTH}, "avatarSnapshot": {"maxLength": AVATAR_LENGTH}}
_NO_SOURCE = {"bsonType": ["array", "regex", "null"]}  # no document has such an _id


def _shape(required: Document, optional: Document) -> Document:
    properties = {"_id": _STRING, **required, **optional}
    return {"bsonType": "object", "required": ["_id", *required], "properties": properties}


def _event_shape(user: Document, text: Document, points: Document, source: Document) -> Document:
    told = {"actionType": text, "points": points, "sourceId": source, "meta": {"bsonType": "object"}}
    return _shape({"userId": user, **told, "createdAt": _DATE}, {})


def _entry_shape(user: Document, text: Document, limits: Document) -> Document:
    """`limits` has for some of the fields what they may be beyond their types."""
    dates = dict.fromkeys(("lastUpdated", "lastEventAt", "createdAt", "updatedAt"), _DATE)
    shown: Document = {name: {"bsonType": ["string", "null"]} for name in ("displayNameSnapshot", "avatarSnapshot")}
    optional: Document = {
        "streak": {"bsonType": ["int", "long"]},
        **dates,
        "optOutSnapshot": {"bsonType": "bool"},
        **shown,
    }
    required = {"userId": user, "period": text, "score": _INT64, "events": _INT64, "rev": _INT64}
    return _shape(required, {name: {**shape, **limits.get(name, {})} for name, shape in optional.items()})


def _begins(with_: Any) -> Document:
    return {"$eq": [{"$indexOfBytes": ["$_id", with_]}, 0]}


def _fits() -> Document:
    """Whether an event's `_id` is made of its own fields, as far as a server can write its `sourceId` as a text.

    An exact text (`values.id_text`) is taken as it is, and so is what the server cannot write. `usual` is the `_id` of
    the source's first event, null in that case.
    """
    kind, whole = {"$type": "$sourceId"}, {"$eq": ["$sourceId", {"$trunc": "$sourceId"}]}
    integer = {"$toString": {"$convert": {"input": "$sourceId", "to": "long", "onError": None}}}
    plain = {"case": {"$in": [kind, ["objectId", "string", "int", "long"]]}, "then": {"$toString": "$sourceId"}}
    number = {"case": {"$in": [kind, ["double", "decimal"]]}, "then": {"$cond": [whole, integer, None]}}
    action = {"$concat": ["$actionType", ":"]}
    usual = {"$concat": [action, {"$switch": {"branches": [plain, number], "default": None}}]}
    rest = {"$substrBytes": ["$_id", {"$strLenBytes": "$$usual"}, -1]}
    adjustment = {"$cond": [_begins("$$usual"), {"$regexMatch": {"input": rest, "regex": "^#[1-9][0-9]*$"}}, False]}
    exact = [_begins({"$concat": [action, mark]}) for mark in ('"', "{")]
    unwritten = {"$and": [{"$eq": ["$$usual", None]}, _begins(action)]}
    judged = {"$or": [{"$eq": ["$_id", "$$usual"]}, unwritten, *exact, adjustment]}
    # Nearly every event is an ordinary one: asking for that first costs a quarter of asking for all of it.
    text = {"$convert": {"input": "$sourceId", "to": "string", "onError": None}}
    ordinary = {"$eq": ["$_id", {"$concat": [action, text]}]}
    strings = [{"$eq": [{"$type": name}, "string"]} for name in ("$_id", "$actionType")]
    return {"$and": [*strings, {"$or": [ordinary, {"$let": {"vars": {"usual": usual}, "in": judged}}]}]}


FITS = _fits()
VALIDATORS: dict[str, Document] = {
    EVENTS: {
        "$jsonSchema": _event_shape(_ACTING_USER, _SHORT, _POINTS, {"not": _NO_SOURCE}),
        "$expr": FITS,
        "createdAt": EVENT["createdAt"],
    },
    ENTRIES: {"$jsonSchema": _entry_shape(_USER_ID, _SHORT, _SHOWN)},
}
FORMER_VALIDATORS: dict[str, Document] = {  # of 0.1.0
    EVENTS: {"$jsonSchema": _event_shape(_ANY_USER_ID, _STRING, _INT64, {})},
    ENTRIES: {"$jsonSchema": _entry_shape(_ANY_USER_ID, _STRING, {})},
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

    @property
    def spec(self) -> Document:
        """As a server is told to build it."""
        return {"key": dict(self.keys), "name": self.name, **self.options}


EVENTS_BY_USER = Index(EVENTS, (("userId", 1), ("createdAt", 1)))
ENTRIES_BY_RANK = Index(ENTRIES, (("period", 1), ("score", -1), ("userId", -1)))
ENTRIES_BY_USER = Index(ENTRIES, (("userId", 1),))
ENTRIES_MOVED = Index(ENTRIES, (("moved.period", 1),), {"sparse": True})  # since the histogram (`ledger.histograms`)
REJECTS_TTL = Index(REJECTS, (("createdAt", 1),), {"expireAfterSeconds": REJECT_DAYS * 86400})
INDEXES = (EVENTS_BY_USER, ENTRIES_BY_RANK, ENTRIES_BY_USER, ENTRIES_MOVED, REJECTS_TTL)


def present_collections(database: Database[Any]) -> dict[str, Document]:
    """Every collection of the database by name, with its options."""
    return {info["name"]: info.get("options", {}) for info in database.list_collections()}


def missing_collections(database: Database[Any]) -> list[str]:
    """Name those of our collections that the database does not have."""
    present = present_collections(database)
    return [name for name in (EVENTS, ENTRIES, REJECTS) if name not in present]


def create_collection(database: Database[Any], name: str) -> None:
    """Create one of our collections, with its validator if it has one; a repeat is a no-op."""
    options: dict[str, Any] = {"validator": VALIDATORS[name]} if name in VALIDATORS else {}
    try:
        database.create_collection(name, **options)
    except (CollectionInvalid, OperationFailure):
        if name not in present_collections(database):  # else a run that slept through its lease was faster
            raise


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
    if found == FORMER_VALIDATORS.get(name) and strict:
        told = f"{name} has the validator of an earlier version, which takes what does not fit"
        return f"{told}; an administrator brings it up to date: {update_of_validator(name)}"
    return f"{name} has {'another' if found else 'no'} validator; lbmigrate leaves it as it is"


def update_of_validator(name: str) -> str:
    """What to type in mongosh to give a collection the validator of this version; it needs the role dbAdmin."""
    text = json.dumps(VALIDATORS[name], default=lambda moment: {"$date": f"{moment.isoformat()}Z"})
    validator = re.sub(r'\{"\$date": ("[^"]*")\}', r"ISODate(\1)", text)
    return f'db.runCommand({{collMod: "{name}", validator: {validator}}})'


def _index_difference(collection: str, spec: Document) -> str:
    if "expireAfterSeconds" in spec:
        return f"{collection}.{spec['name']} has a TTL: leaderboard data would vanish; drop that index"
    ours = {index.keys for index in INDEXES if index.collection == collection}
    as_made = [index.options for index in INDEXES if (index.collection, index.keys) == (collection, spec["key"])]
    usual = as_made[0] if as_made else {}
    odd = [o for o in ("unique", "sparse", "partialFilterExpression") if spec.get(o) and o not in usual]
    if spec["key"] in ours and odd:
        return f"{collection}.{spec['name']} is {odd[0]}: it may refuse or hide events; drop that index"
    namesakes = [index for index in INDEXES if index.collection == collection and index.name == spec["name"]]
    if namesakes and namesakes[0].keys != spec["key"]:
        return f"{collection}.{spec['name']} has other keys than its name says; drop or rename that index"
    return ""


def expiring(database: Database[Any]) -> list[str]:
    """TTL indexes on leaderboard data, which there must never be."""
    return [sentence for sentence in differences(database) if " has a TTL" in sentence]
