"""Entries of users who have no events any more, since the ledger that they were computed from was lost: they go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from lbmigrate.ledger import rolling
from lbmigrate.ledger.begin_anew import PROGRESS
from lbmigrate.mongo.client import retrying
from lbmigrate.records import Checkpoint, Document, Piece, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS
from lbmigrate.schema.layout import homes
from lbmigrate.state import layouts
from lbmigrate.values.ids import in_parts
from lbmigrate.values.limits import names_a_user

SUBJECT = "entries"


def roll_up(context: Context) -> Iterator[Piece]:
    """Roll up whoever has entries and no events, once after a ledger was lost; whoever has events was rolled up."""
    if not context.state.get(PROGRESS).get("strays") or context.stopping():
        return
    database, everywhere = context.target, replace(context, scope=replace(context.scope, full=True))
    names = homes(database, layouts.layout(context.state))
    stages: list[Document] = [{"$group": {"_id": "$userId"}}, {"$sort": {"_id": 1}}]
    found = (row["_id"] for name in names for row in database[name].aggregate(stages))
    done = 0
    for users in in_parts(list(dict.fromkeys(user for user in found if names_a_user(user)))):
        if context.stopping():
            return
        present = set(database[EVENTS].distinct("userId", {"userId": {"$in": users}, **COUNTED}))
        absent = [user for user in users if user not in present]
        if absent:
            retrying(partial(rolling.roll_up, everywhere, {"$in": absent}, redone=True))
        done += len(absent)
    note = f"looked at {amount(done, 'user')} with entries and no events" if done else ""
    yield Piece(SUBJECT, done, done, unit="users", checkpoint=Checkpoint(PROGRESS, {"strays": False}), note=note)
