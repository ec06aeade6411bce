"""Events that count and are about nothing: their `_id` does not fit their fields, or no source has their action.

A reconciliation takes back what they are worth; what it has taken back is no longer told. Where a document has the very
id that such an `_id` names, it leaves there what the document is worth, for nothing else can stand for it: that is not
told either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pymongo.database import Database

from lbmigrate.ledger import sources
from lbmigrate.ledger.strays import FIELDS, SHOWN, of_no_source, unsettled, worth
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import base_id
from lbmigrate.rules.strays import slim, stray_of
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS, FITS
from lbmigrate.values.ids import in_parts, readings

SETTLED = "; lbmigrate reconcile takes back what no source is behind"
# What a server cannot write as a text, and what says that it is an exact text: FITS lets them pass.
UNJUDGED: list[Document] = [
    {"sourceId": {"$not": {"$type": ["objectId", "string", "int", "long", "double", "decimal"]}}},
    {"_id": {"$regex": '^[^:]*:["{]'}},
]


def misfits(context: Context, users: Sequence[Any]) -> Iterator[str]:
    """A sentence for each misfit among the events of these users, and for each action that no source has."""
    database = context.target
    for name in of_no_source(context):
        yield f"{EVENTS} has {name!r}, whose action no source has{SETTLED}"
    known = {source.action for source in context.config.sources}
    for some in in_parts(users, 200):
        odd = (event for event in _suspects(database, some) if base_id(event) is None)
        for group, points in unsettled(database, odd):
            name = stray_of(group)[0]
            action, colon, _ = name.partition(":")
            left = worth(database, group, points) if colon and action in known else 0
            if left and not _is_of_a_document(context, group, left):
                yield f"{EVENTS} has {name[:SHOWN]!r}, whose _id does not fit its actionType and sourceId{SETTLED}"


def _is_of_a_document(context: Context, group: str, points: int) -> bool:
    """Whether a document has the id that a misfit's `_id` names, and is worth these points."""
    action, _, name = group.partition(":")
    scored_by = (source for source in context.config.sources if source.action == action)
    events = (event for source in scored_by for event in sources.named(context, source, list(readings(name))).events)
    return any(event["points"] == points for event in events)


def _suspects(database: Database[Any], users: list[Any]) -> Iterable[Document]:
    theirs = {"userId": {"$in": users}, **COUNTED}
    if not is_fake(database):
        theirs["$or"] = [{"$expr": {"$not": [FITS]}}, *UNJUDGED]
    return map(slim, database[EVENTS].find(theirs, FIELDS))
