"""Events into the ledger, and rejects beside it: the `_id` makes a repeat harmless."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.faults import DUPLICATE_KEY
from lbmigrate.records import Document, Reject
from lbmigrate.run.context import Context
from lbmigrate.schema import REJECTS
from lbmigrate.values.id_text import owner_texts
from lbmigrate.values.limits import long_id, named, names_nothing

IN_THE_DOCUMENT = {2, 22, 52, 56, 57, 121, 10334, 17280}  # its shape, its names, its size; not the server's health


SAID = 500  # characters of what a server says


class EventRefused(LbmigrateError):
    """The server did not take an event, for a reason that lies in the event."""


def insert(events: Collection[Any], documents: Sequence[Document]) -> int:
    """Insert events and tell how many were new. Idempotent: the `_id` names the action, so a repeat is a no-op."""
    return len(documents) - len(insert_new(events, documents))


def insert_new(events: Collection[Any], documents: Sequence[Document]) -> list[Document]:
    """Insert events, and hand back those whose `_id` was there already."""
    if not documents:
        return []
    try:
        events.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        failures = error.details["writeErrors"]
        for failure in failures:
            if failure["code"] in IN_THE_DOCUMENT:
                raise EventRefused(
                    f"{events.name} refused {named(failure['op']['_id'])!r}: {failure['errmsg'][:SAID]}",
                    hint="lbmigrate plan",
                ) from error
            if failure["code"] != DUPLICATE_KEY:
                raise
            if "_id" not in failure.get("keyPattern", {"_id": 1}):
                raise EventRefused(
                    f"{events.name} refused {failure['op']['_id']!r}: it has a unique index that is not of lbmigrate "
                    f"({', '.join(failure['keyPattern'])})",
                    hint="lbmigrate doctor",
                ) from error
        if error.details.get("writeConcernErrors"):
            raise  # it may yet be undone: whoever called tries again
        return [documents[failure["index"]] for failure in failures]
    return []


def keep_rejects(context: Context, source: Source, rejects: Sequence[Reject]) -> None:
    """One row for each rejected document; the same rejection again changes nothing."""
    now = context.clock()
    rows = [
        {
            "_id": f"{source.name}:{_text(source, reject.source_id)}",
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


def _text(source: Source, source_id: Any) -> str:
    """The name of an element tells whose it is; so must the id of a document, unless it is too long for that."""
    if _is_long(source_id):
        return named(source_id)
    return source_id if source.unwind and isinstance(source_id, str) else owner_texts([source_id])[0]


def _is_long(source_id: Any) -> bool:
    """Whether an id is more than a row that only names it should hold."""
    return bool(names_nothing(source_id) or long_id(source_id))
