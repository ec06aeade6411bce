"""What is to be known before an event is inserted: who has left, and the entries that it will change.

One command where the state is in the database of the entries, for an app waits for each one. Like the two that it
stands for it asks a majority: an entry that only one member has may be undone, and another one written in its place
whose `rev` is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbmigrate.ledger.entries import FIELDS
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.looked_at import LookedAt, Places, entries_among, places_of_keys
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.state import layouts
from lbmigrate.state.conditions import FORGOTTEN
from lbmigrate.state.shapes import COLLECTION

_ROW = "row"  # of an answer: a row of the state, in which an entry has its fields


def first_look(context: Context, looked: LookedAt | None, events: Sequence[Document]) -> Leavers:
    """Those who have left until now. If there is somebody who looks at events, the entries of these few are noted."""
    keys = looked.unread(events) if looked else []
    if looked is None or not keys or is_fake(context.target) or context.state.rows.database != context.target:
        return Leavers(context.state)
    places = places_of_keys(layouts.layout(context.state), keys)
    entries, rows = _read(context, places)
    looked.note(*entries_among(places, entries))
    return Leavers(context.state, rows)


def _read(context: Context, places: Places) -> tuple[list[Document], list[Document]]:
    """The entries in these places, and what the state says of those who have left."""
    (home, pipeline), *others = ((name, _entries(list(named))) for name, named in places.items())
    rows: list[Document] = [{"$match": FORGOTTEN}, {"$replaceWith": {_ROW: "$$ROOT"}}]
    joined = [{"$unionWith": {"coll": name, "pipeline": stages}} for name, stages in (*others, (COLLECTION, rows))]
    found = list(lenient(context.target)[home].aggregate([*pipeline, *joined]))
    return [each for each in found if _ROW not in each], [each[_ROW] for each in found if _ROW in each]


def _entries(names: Sequence[str]) -> list[Document]:
    return [{"$match": {"_id": {"$in": names}}}, {"$project": FIELDS}]
