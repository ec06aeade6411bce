"""What is to be known before an event is inserted: who has left, the entries that it will change, and what they show.

One command where all that is in one database, for an app waits for each one. Like the two that it stands for it asks a
majority: an entry that only one member has may be undone, and another one written in its place whose `rev` is the same.
Users are read here at the moment of their entries: whoever brings an entry up to date after that changes its `rev`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from lbmigrate.board.profiles import what_is_read
from lbmigrate.ledger.entries import FIELDS
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.looked_at import LookedAt, Places, entries_among, places_of_keys
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.state import layouts
from lbmigrate.state.conditions import FORGOTTEN
from lbmigrate.state.shapes import COLLECTION

_ENTRY, _ROW, _USER = "entry", "row", "user"  # what a document of the answer is


def first_look(context: Context, looked: LookedAt | None, events: Sequence[Document]) -> Leavers:
    """Those who have left until now. If there is somebody who looks at events, the entries of these few are noted."""
    keys = looked.unread(events) if looked else []
    if looked is None or not keys or is_fake(context.target) or context.state.rows.database != context.target:
        return Leavers(context.state)
    users = _with_entries(context, looked.people.unread({user: None for user, _ in keys}))
    places = places_of_keys(layouts.layout(context.state), keys)
    found = _read(context, places, users)
    looked.note(*entries_among(places, found[_ENTRY]))
    if users:
        looked.people.note(users, found[_USER])
    return Leavers(context.state, found[_ROW])


def _with_entries(context: Context, users: list[Any]) -> list[Any]:
    """The users, where they are to be read in one command with their entries: all or none of them.

    It compares text as the entries do. A collection of users may have an order of its own, and so have its indexes.
    """
    return users if context.sources == context.target and all(type(user) is ObjectId for user in users) else []


def _read(context: Context, places: Places, users: Sequence[Any]) -> dict[str, list[Document]]:
    """The entries in these places, what the state says of those who have left, and the documents of these users."""
    (home, pipeline), *others = (
        (name, _stages(_ENTRY, {"_id": {"$in": list(ids)}}, FIELDS)) for name, ids in places.items()
    )
    others.append((COLLECTION, _stages(_ROW, FORGOTTEN)))
    if users:
        kept = context.config.users
        others.append((kept.collection, _stages(_USER, {kept.key: {"$in": users}}, what_is_read(kept))))
    joined = [{"$unionWith": {"coll": name, "pipeline": stages}} for name, stages in others]
    found: dict[str, list[Document]] = {_ENTRY: [], _ROW: [], _USER: []}
    for answer in lenient(context.target)[home].aggregate([*pipeline, *joined]):
        for kind, document in answer.items():
            found[kind].append(document)
    return found


def _stages(kind: str, condition: Document, fields: Document | None = None) -> list[Document]:
    shown = [{"$project": fields}] if fields else []
    return [{"$match": condition}, *shown, {"$replaceWith": {kind: "$$ROOT"}}]
