"""Entries of users who have no events any more, since the ledger that they were computed from was lost: they go."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from lbmigrate.ledger import rollup
from lbmigrate.ledger.begin_anew import PROGRESS
from lbmigrate.mongo.client import retrying
from lbmigrate.records import Checkpoint, Piece
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, ENTRIES, EVENTS
from lbmigrate.values.ids import in_parts
from lbmigrate.values.limits import names_a_user

SUBJECT = "entries"


def roll_up(context: Context) -> Iterator[Piece]:
    """Roll up whoever has entries and no events, once after a ledger was lost; whoever has events was rolled up."""
    if not context.state.get(PROGRESS).get("strays") or context.stopping():
        return
    database = context.target
    grouped = database[ENTRIES].aggregate([{"$group": {"_id": "$userId"}}, {"$sort": {"_id": 1}}])
    done = 0
    for users in in_parts([row["_id"] for row in grouped if names_a_user(row["_id"])]):
        if context.stopping():
            return
        present = set(database[EVENTS].distinct("userId", {"userId": {"$in": users}, **COUNTED}))
        absent = [user for user in users if user not in present]
        if absent:
            retrying(partial(rollup.roll_up, context, {"$in": absent}, redone=True))
        done += len(absent)
    note = f"looked at {done:,} users who have entries and no events" if done else ""
    yield Piece(SUBJECT, done, done, unit="users", checkpoint=Checkpoint(PROGRESS, {"strays": False}), note=note)
