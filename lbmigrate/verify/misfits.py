"""Events that count and are about nothing: their `_id` does not fit their fields, or no source has their action.

A reconciliation takes back what they are worth; what it has taken back is no longer told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from pymongo.database import Database

from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import above, base_id, stray_base, without_number
from lbmigrate.rules.event import of_other_actions
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS, FITS
from lbmigrate.values.ids import in_parts

SETTLED = "; lbmigrate reconcile takes back what no source is behind"
NAMELESS = "; delete it by its _id, for no adjustment can name it, then type: lbmigrate backfill --full"
SHOWN = 100  # characters of an `_id`
AT_ONCE = 5_000  # events, after which sums that are settled are dropped
FIELDS = dict.fromkeys(("actionType", "sourceId", "points"), 1)
# What a server cannot write as a text, and what says that it is an exact text: FITS lets them pass.
UNJUDGED: list[Document] = [
    {"sourceId": {"$not": {"$type": ["objectId", "string", "int", "long", "double", "decimal"]}}},
    {"_id": {"$regex": '^[^:]*:["{]'}},
]


def misfits(context: Context, users: Sequence[Any]) -> Iterator[str]:
    """A sentence for each misfit among the events of these users, and for each action that no source has."""
    database = context.target
    for each in of_other_actions(context.config):
        for name, _ in _unsettled(database, database[EVENTS].find({**COUNTED, **each}, FIELDS)):
            way = SETTLED if ":" in name else NAMELESS
            yield f"{EVENTS} has {name[:SHOWN]!r}, whose action no source has{way}"
    known = {source.action for source in context.config.sources}
    for some in in_parts(users, 200):
        odd = (event for event in _suspects(database, some) if base_id(event) is None)
        for name, points in _unsettled(database, odd):
            if name.partition(":")[0] in known and points + _beside(database, name):
                yield f"{EVENTS} has {name[:SHOWN]!r}, whose _id does not fit its actionType and sourceId{SETTLED}"


def _suspects(database: Database[Any], users: list[Any]) -> Iterable[Document]:
    theirs = {"userId": {"$in": users}, **COUNTED}
    if not is_fake(database):
        theirs["$or"] = [{"$expr": {"$not": [FITS]}}, *UNJUDGED]
    return database[EVENTS].find(theirs, FIELDS)


def _beside(database: Database[Any], name: str) -> int:
    """What the adjustments to a misfit come to that fit its `_id`, and so are no misfits themselves."""
    found = database[EVENTS].find({"_id": {"$gt": name, "$lt": above(name)}, **COUNTED}, FIELDS)
    return sum(event["points"] for event in found if base_id(event) == name)


def _unsettled(database: Database[Any], events: Iterable[Document]) -> Iterator[tuple[str, int]]:
    """The first events of those that still count for something, and for how much."""
    sums: Counter[str] = Counter()
    rest = iter(events)
    while some := list(islice(rest, AT_ONCE)):
        strays = [event for event in some if base_id(event) is None]
        names = {"$in": [without_number(event["_id"]) for event in strays]}
        parents = {row["_id"]: row for row in database[EVENTS].find({"_id": names}, FIELDS)} if strays else {}
        for event in some:
            sums[base_id(event) or stray_base(event, parents)] += event["points"]
        sums = Counter({name: points for name, points in sums.items() if points})
    yield from sums.items()
