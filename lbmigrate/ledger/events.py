"""Events into the ledger: the `_id` makes a repeat harmless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import batches
from lbmigrate.mongo.faults import DUPLICATE_KEY, other_unique_index
from lbmigrate.records import Document
from lbmigrate.values.limits import named

IN_THE_DOCUMENT = {2, 22, 52, 56, 57, 121, 10334, 17280}  # its shape, its names, its size; not the server's health
SAID = 500  # characters of what a server says


@dataclass(slots=True)
class Inserted:
    """What did not go in: events whose `_id` was there already, and by their `_id` why the server refused others."""

    taken: list[Document] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class EventRefused(LbmigrateError):
    """The server did not take an event, for a reason that lies in the event. `inserted` says what became of others."""

    inserted: Inserted | None = None


def insert(events: Collection[Any], documents: Sequence[Document]) -> int:
    """Insert events and tell how many were new. Idempotent: the `_id` names the action, so a repeat is a no-op."""
    return len(documents) - len(insert_new(events, documents))


def insert_new(events: Collection[Any], documents: Sequence[Document]) -> list[Document]:
    """Insert events, and hand back those whose `_id` was there already. Raises EventRefused for the first refused."""
    found = insert_each(events, documents)
    for reason in found.refused.values():
        error = EventRefused(reason, hint="lbmigrate doctor")
        error.inserted = found
        raise error
    return found.taken


def insert_each(events: Collection[Any], documents: Sequence[Document]) -> Inserted:
    """Insert events, whatever becomes of some of them. Raises what is no event's fault."""
    found = Inserted()
    if not documents:
        return found
    try:
        batches.insert(events, documents)
    except BulkWriteError as error:
        for failure in error.details["writeErrors"]:
            document = documents[failure["index"]]
            if reason := _refusal(events, failure):
                found.refused[document["_id"]] = reason
            elif failure["code"] == DUPLICATE_KEY:
                found.taken.append(document)
            else:
                raise
        if error.details.get("writeConcernErrors"):
            raise  # it may yet be undone: whoever called tries again
    return found


def _refusal(events: Collection[Any], failure: Document) -> str:
    """Why the server did not take an event, if that lies in the event."""
    subject = f"{events.name} refused {named(failure['op']['_id'])!r}"
    if failure["code"] in IN_THE_DOCUMENT:
        return f"{subject}: {failure['errmsg'][:SAID]}"
    index = other_unique_index(failure)
    return f"{subject}: its unique index {index} is not of lbmigrate" if index else ""
