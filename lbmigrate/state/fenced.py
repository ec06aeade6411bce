"""Writes to rows that a run with a newer fence does not let through."""

from __future__ import annotations

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from lbmigrate.errors import LeaseLost
from lbmigrate.mongo.faults import DUPLICATE_KEY, IMMUTABLE, other_unique_index
from lbmigrate.records import Checkpoint, Document

LAYOUT = 1  # raised when rows change their meaning; a newer layout is refused, never guessed at


def newer_lock(fence: int) -> Document:
    """The condition for the lock, if another run has taken it since."""
    return {"_id": "lock", "fence": {"$gt": fence}}


def updates(fence: int, checkpoints: tuple[Checkpoint, ...]) -> list[UpdateOne]:
    """One ordered bulk that sets fields of rows, creating the absent ones.

    A row that is not there yet has no fence to stand in the way, but the lock has: where that is newer, the first
    update is one that cannot be carried out, and those behind it are not.
    """
    barrier = UpdateOne(newer_lock(fence), {"$set": {"_id": "overtaken"}})
    return [barrier, *(_update(fence, each) for each in checkpoints)]


def _update(fence: int, checkpoint: Checkpoint) -> UpdateOne:
    kind = checkpoint.row.partition(":")[0]
    return UpdateOne(
        {"_id": checkpoint.row, "fence": {"$lte": fence}},
        {"$set": {**checkpoint.fields, "fence": fence}, "$setOnInsert": {"kind": kind, "layout": LAYOUT}},
        upsert=True,
    )


def is_overtaken(error: BulkWriteError) -> bool:
    """Whether a newer fence stood in the way: an upsert does not match its row then, and collides with its `_id`."""
    failures = error.details["writeErrors"]
    return any(each["code"] in (IMMUTABLE, DUPLICATE_KEY) and not other_unique_index(each) for each in failures)


def overtaken() -> LeaseLost:
    """What a run is told that is not the newest any more."""
    message = "this run lost its lease: another run took over, and its checkpoints stand"
    return LeaseLost(message, hint="lbmigrate status")
