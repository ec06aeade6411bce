"""What the leaderboard's collections should look like, and how what is there differs from it.

Nothing here changes or drops what it did not create; a difference is named, not fixed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pymongo.database import Database
from pymongo.errors import CollectionInvalid, OperationFailure

from lbmigrate.records import EARLIEST, LATEST, LONGEST_ID, MOST_POINTS, Document
from lbmigrate.schema.validators import (
    ENTRY_VALIDATOR,
    EVENT_VALIDATOR,
    FORMER_ENTRY_VALIDATOR,
    FORMER_EVENT_VALIDATOR,
)
from lbmigrate.schema.validators import FITS as FITS
from lbmigrate.schema.validators import OF_KIND as OF_KIND
from lbmigrate.schema.validators import event_validator as event_validator
from lbmigrate.schema.validators import kind_in as kind_in

EVENTS = "score_events"
ENTRIES = "leaderboard_entries"
PARTITIONS = f"{ENTRIES}__"  # begins the names of the collections of single periods (`schema.layout`)
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


VALIDATORS: dict[str, Document] = {EVENTS: EVENT_VALIDATOR, ENTRIES: ENTRY_VALIDATOR}
FORMER_VALIDATORS: dict[str, Document] = {EVENTS: FORMER_EVENT_VALIDATOR, ENTRIES: FORMER_ENTRY_VALIDATOR}


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
REACHED = "reachedAt"  # of an entry: since when its score is what it is, where `ranking.order` asks for that
WAYS = {"earliest": 1, "latest": -1}  # the orders in which that decides who of a score stands first
ENTRIES_BY_MOMENT = {  # beside ENTRIES_BY_RANK, which all else is read by
    order: Index(ENTRIES, (("period", 1), ("score", -1), (REACHED, way), ("userId", -1))) for order, way in WAYS.items()
}


def base_of(name: str) -> str:
    """The collection whose validator and indexes one has: its own, or for a single period those of the entries."""
    return ENTRIES if name.startswith(PARTITIONS) else name


def indexes_of(name: str, orders: Iterable[str] = ()) -> list[Index]:
    """The indexes that a collection of ours should have, where entries stand in these of WAYS."""
    wanted = [*INDEXES, *(ENTRIES_BY_MOMENT[order] for order in orders)]
    return [replace(index, collection=name) for index in wanted if index.collection == base_of(name)]


def present_collections(database: Database[Any], *names: str) -> dict[str, Document]:
    """Every collection of the database, or those with these names, by name, with its options."""
    asked = {"name": {"$in": list(names)}} if names else {}
    return {info["name"]: info.get("options", {}) for info in database.list_collections(filter=asked)}


def missing_collections(database: Database[Any]) -> list[str]:
    """Name those of our collections that the database does not have."""
    present = present_collections(database, *(ours := (EVENTS, ENTRIES, REJECTS)))
    return [name for name in ours if name not in present]


def create_collection(database: Database[Any], name: str) -> None:
    """Create one of our collections, with its validator if it has one; a repeat is a no-op."""
    validator = VALIDATORS.get(base_of(name))
    options: dict[str, Any] = {"validator": validator} if validator else {}
    try:
        database.create_collection(name, **options)
    except (CollectionInvalid, OperationFailure):
        if name not in present_collections(database, name):  # else a run that slept through its lease was faster
            raise


def present_indexes(
    database: Database[Any], collection: str, present: dict[str, Document] | None = None
) -> list[Document]:
    """The indexes of a collection as {name, key: ((field, direction), …), …options}; none of what is no collection.

    `present` is what `present_collections` has just said, where that is known.
    """
    options = (present_collections(database, collection) if present is None else present).get(collection)
    if options is None or "viewOn" in options:
        return []
    found = database[collection].index_information()
    return [{**spec, "name": name, "key": tuple(map(tuple, spec["key"]))} for name, spec in found.items()]


def missing_indexes(database: Database[Any], orders: Iterable[str] = ()) -> list[Index]:
    """Those whose keys no index of the collection has; a namesake with other keys counts as missing."""
    orders = tuple(orders)
    there = present_collections(database)
    names = with_partitions((EVENTS, ENTRIES, REJECTS), there)
    present = {name: {spec["key"] for spec in present_indexes(database, name, there)} for name in names}
    return [index for name in names for index in indexes_of(name, orders) if index.keys not in present[name]]


def differences(database: Database[Any]) -> list[str]:
    """What is there but not as it should be, a sentence each: validators, index options, a TTL on leaderboard data."""
    present = present_collections(database)
    names = with_partitions((EVENTS, ENTRIES), present)
    told = [_validator_difference(name, present[name]) for name in names if name in present]
    for name in names:
        told += [_index_difference(name, spec) for spec in present_indexes(database, name, present)]
    return [sentence for sentence in told if sentence]


def with_partitions(names: Iterable[str], present: Iterable[str]) -> list[str]:
    """These names, and with them those of the collections of single periods that are there."""
    return [*names, *sorted(name for name in present if name.startswith(PARTITIONS))]


def _validator_difference(name: str, options: Document) -> str:
    found = options.get("validator")
    strict = (options.get("validationAction", "error"), options.get("validationLevel", "strict")) == ("error", "strict")
    if is_current(name, found) and strict:
        return ""
    if found == FORMER_VALIDATORS.get(base_of(name)) and strict:
        told = f"{name} has the validator of an earlier version, which takes what does not fit"
        return f"{told}; an administrator brings it up to date: {update_of_validator(name)}"
    return f"{name} has {'another' if found else 'no'} validator; lbmigrate leaves it as it is"


def is_current(name: str, validator: Any) -> bool:
    """Whether a collection has such a validator as this version gives it, for one kind of users or for any."""
    try:
        return validator == VALIDATORS[base_of(name)] or (name == EVENTS and kind_in(validator) is not None)
    except LookupError:
        return False


def update_of_validator(name: str) -> str:
    """What to type in mongosh to give a collection the validator of this version; it needs the role dbAdmin."""
    text = json.dumps(VALIDATORS[base_of(name)], default=lambda moment: {"$date": f"{moment.isoformat()}Z"})
    validator = re.sub(r'\{"\$date": ("[^"]*")\}', r"ISODate(\1)", text)
    return f'db.runCommand({{collMod: "{name}", validator: {validator}}})'


def _index_difference(collection: str, spec: Document) -> str:
    if "expireAfterSeconds" in spec:
        return f"{collection}.{spec['name']} has a TTL: leaderboard data would vanish; drop that index"
    ours = {index.keys: index.options for index in indexes_of(collection, WAYS)}
    usual = ours.get(spec["key"], {})
    odd = [o for o in ("unique", "sparse", "partialFilterExpression") if spec.get(o) and o not in usual]
    if spec["key"] in ours and odd:
        return f"{collection}.{spec['name']} is {odd[0]}: it may refuse or hide events; drop that index"
    namesakes = [index for index in indexes_of(collection, WAYS) if index.name == spec["name"]]
    if namesakes and namesakes[0].keys != spec["key"]:
        return f"{collection}.{spec['name']} has other keys than its name says; drop or rename that index"
    return ""


def expiring(database: Database[Any]) -> list[str]:
    """TTL indexes on leaderboard data, which there must never be."""
    return [sentence for sentence in differences(database) if " has a TTL" in sentence]
