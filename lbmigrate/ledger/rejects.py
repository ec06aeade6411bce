"""Source documents that could not be scored, beside the ledger: a row for each, until it is scored or gone."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from pymongo.errors import OperationFailure

from lbmigrate.config.model import Source
from lbmigrate.ledger.events import insert
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.records import Document, Reject
from lbmigrate.run.context import Context
from lbmigrate.schema import REJECTS
from lbmigrate.values.id_text import owner_texts
from lbmigrate.values.ids import in_parts
from lbmigrate.values.limits import is_lost, long_id, named, names_nothing

FEW = 50  # names that are asked for without first asking whether there is any row
_is_shortened = re.compile(r"…[0-9a-f]{16}$").search  # by `named`


def keep(context: Context, source: Source, rejects: Sequence[Reject]) -> dict[str, str]:
    """One row for each rejected document; the same rejection again changes nothing. The reasons by the rows' `_id`."""
    now = context.clock()
    rows: list[Document] = [
        {
            "_id": row_id(source, reject.source_id),
            "source": source.name,
            "collection": source.collection,
            "sourceId": named(reject.source_id) if _is_long(reject.source_id) else reject.source_id,
            "reason": reject.reason,
            "run": context.run,
            "createdAt": now,
        }
        for reject in rejects
    ]
    insert(context.target[REJECTS], rows)
    return {row["_id"]: row["reason"] for row in rows}


def drop_scored(context: Context, source: Source, events: Sequence[Document], still: Collection[str]) -> None:
    """Remove the rows of what has an event now, but for those that are `still` rejected."""
    if not events or (len(events) > FEW and not _has_any(context, source)):
        return
    rows = context.target[REJECTS]
    for part in in_parts([row_id(source, event["sourceId"]) for event in events]):
        found = [row["_id"] for row in rows.find({"_id": {"$in": part}}, {"_id": 1})]
        drop(context, [name for name in found if name not in still])


def drop(context: Context, names: list[str]) -> None:
    """Remove rows, by whoever may: an app's recorder need not have that right, and the next backfill does it."""
    try:
        for part in in_parts(names):
            context.target[REJECTS].delete_many({"_id": {"$in": part}})
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise


def of_source(source: Source) -> Document:
    """The condition for the rows of a source: a range of their index."""
    return {"_id": {"$gte": f"{source.name}:", "$lt": f"{source.name};"}}


def can_be_asked_for(row: Document) -> bool:
    """Whether a row has the id of its document, and not a text that stands for one too long or not UTF-8."""
    name = row["sourceId"]
    return not (type(name) is str and (is_lost(name) or _is_shortened(name)))


def row_id(source: Source, source_id: Any) -> str:
    """The `_id` of the row about a document or an element."""
    return f"{source.name}:{_text(source, source_id)}"


def _has_any(context: Context, source: Source) -> bool:
    return context.target[REJECTS].find_one(of_source(source), {"_id": 1}) is not None


def _text(source: Source, source_id: Any) -> str:
    """The name of an element tells whose it is; so must the id of a document, unless it is too long for that."""
    if _is_long(source_id):
        return named(source_id)
    return source_id if source.unwind and isinstance(source_id, str) else owner_texts([source_id])[0]


def _is_long(source_id: Any) -> bool:
    """Whether an id is more than a row that only names it should hold."""
    return bool(names_nothing(source_id) or long_id(source_id))
