"""Entries into their collection: what each write tells of others who write the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.faults import DUPLICATE_KEY
from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import same_id


def insert_entries(database: Database[Any], absent: Sequence[Document]) -> list[Any]:
    """Insert entries; returns the users for whom somebody else was faster.

    Where the `_id` is that of another user, whose id has the same text, the entry has the exact text of its user's.
    """
    try:
        if absent:
            database[ENTRIES].insert_many(absent, ordered=False)
    except BulkWriteError as error:
        lost = [absent[failure["index"]] for failure in _collisions(error)]
        namesakes = _renamed(database, lost)
        faster = [entry["userId"] for entry in lost if not any(entry is each for each in namesakes)]
        return faster + insert_entries(database, namesakes)
    return []


def _renamed(database: Database[Any], lost: Sequence[Document]) -> list[Document]:
    """Those entries whose `_id` is another user's, with one of their own."""
    found = database[ENTRIES].find({"_id": {"$in": [entry["_id"] for entry in lost]}}, {"userId": 1})
    holders = {row["_id"]: row["userId"] for row in found}
    others = [e for e in lost if e["_id"] in holders and not same_id(holders[e["_id"]], e["userId"])]
    for entry in others:
        entry["_id"] = f"{entry['period']}:{exact_text(entry['userId'])}"
    return others


def change_entries(database: Database[Any], updates: Sequence[UpdateOne], users: Sequence[Any]) -> list[Any]:
    """Change entries; returns the users to look at again, all of them where one was lost: which one is not told."""
    if not updates:
        return []
    matched = database[ENTRIES].bulk_write(updates, ordered=False).matched_count
    return list(dict.fromkeys(users)) if matched < len(updates) else []


def _collisions(error: BulkWriteError) -> list[Document]:
    if error.details.get("writeConcernErrors"):
        raise error  # what was written may yet be undone: whoever called tries again
    failures: list[Document] = error.details["writeErrors"]
    for failure in failures:
        if failure["code"] != DUPLICATE_KEY:
            raise LbmigrateError(f"{ENTRIES} refused an entry: {failure['errmsg']}", hint="lbmigrate plan") from error
    return failures
