"""Entries into their collection: what each write tells of others who write the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import batches
from lbmigrate.ledger.entries import Before
from lbmigrate.ledger.revisions import Update
from lbmigrate.mongo.faults import DUPLICATE_KEY, TRANSIENT, codes, other_unique_index
from lbmigrate.records import Document
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import in_parts, same_id

PIECE = 200  # updates, where others may help
Idle = Callable[[], int]  # how many threads have nothing left to do


def insert_entries(
    collection: Collection[Any], absent: Sequence[Document | RawBSONDocument], before: Before
) -> list[Any]:
    """Insert entries; returns the users for whom somebody else was faster.

    Where the `_id` is that of another user, whose id has the same text, the entry has the exact text of its user's.
    """
    try:
        if absent:
            batches.insert(collection, absent)
    except BulkWriteError as error:
        lost = [_decoded(collection, absent[failure["index"]]) for failure in _collisions(collection.name, error)]
        namesakes = _renamed(collection, lost, before)
        faster = [entry["userId"] for entry in lost if not any(entry is each for each in namesakes)]
        return faster + insert_entries(collection, namesakes, before)
    return []


def _decoded(collection: Collection[Any], entry: Document | RawBSONDocument) -> Document:
    if isinstance(entry, RawBSONDocument):
        return bson.decode(entry.raw, collection.codec_options)
    return entry


def _renamed(collection: Collection[Any], lost: Sequence[Document], before: Before) -> list[Document]:
    """Those entries whose `_id` is another user's, with one of their own."""
    parts = in_parts([entry["_id"] for entry in lost])
    rows = (row for part in parts for row in collection.find({"_id": {"$in": part}}, {"userId": 1}))
    holders = {row["_id"]: row["userId"] for row in rows}
    others = [e for e in lost if e["_id"] in holders and not same_id(holders[e["_id"]], e["userId"])]
    for entry in others:
        exact = f"{entry['period']}:{exact_text(entry['userId'])}"
        if entry["_id"] == exact:  # which can be nobody else's: somebody wrote it by hand
            before({entry["period"]})
            collection.delete_one({"_id": exact, "userId": {"$ne": entry["userId"]}})
        entry["_id"] = exact
    return others


def change_entries(
    collection: Collection[Any], updates: Sequence[Update], users: Sequence[Any], idle: Idle | None = None
) -> list[Any]:
    """Change entries; returns the users to look at again, all of them where one was lost: which one is not told.

    Each update raises the revision: so one that modifies nothing has not met the entry that was read. Threads that are
    `idle` help.
    """
    if not updates:
        return []
    try:
        helped = idle if len(updates) > PIECE else None
        modified = _helped(collection, updates, helped) if helped else batches.change(collection, updates)
    except BulkWriteError as error:
        if failures := _failures(error):
            raise _refused(collection.name, failures[0]) from error
        raise
    return list(dict.fromkeys(users)) if modified < len(updates) else []


def _helped(collection: Collection[Any], updates: Sequence[Update], idle: Idle) -> int:
    """How many were modified. Others may end their work at any time, so it is looked for them before each piece."""
    pieces = iter([updates[first : first + PIECE] for first in range(0, len(updates), PIECE)])
    helpers: list[Future[int]] = []
    modified = 0
    with ThreadPoolExecutor() as pool:
        for piece in pieces:
            helpers += [pool.submit(_all_of, collection, pieces) for _ in range(idle() - len(helpers))]
            modified += batches.change(collection, piece)
    return modified + sum(helper.result() for helper in helpers)


def _all_of(collection: Collection[Any], pieces: Iterator[Sequence[Update]]) -> int:
    """How many were modified of the pieces that nobody has taken: each is handed to one of those who ask."""
    return sum(batches.change(collection, piece) for piece in pieces)


def _collisions(name: str, error: BulkWriteError) -> list[Document]:
    failures = _failures(error)
    for failure in failures:
        if failure["code"] != DUPLICATE_KEY or other_unique_index(failure):
            raise _refused(name, failure) from error
    return failures


def _failures(error: BulkWriteError) -> list[Document]:
    """What the server did not take, for a reason that lasts."""
    if codes(error) & TRANSIENT or error.details.get("writeConcernErrors"):
        raise error  # some it could not take for now, or it may yet undo them: whoever called tries again
    failures: list[Document] = error.details["writeErrors"]
    return failures


def _refused(name: str, failure: Document) -> LbmigrateError:
    if index := other_unique_index(failure):
        told = f"{name} has a unique index that is not of lbmigrate ({index}), which refuses an entry"
        return LbmigrateError(told, hint=f"db.{name}.dropIndex({index!r}), then lbmigrate backfill --full")
    return LbmigrateError(f"{name} refused an entry: {failure['errmsg']}", hint="lbmigrate plan")
