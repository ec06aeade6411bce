"""An empty ledger that is as it should be: everybody whose documents are in scope has left."""

from __future__ import annotations

from bson.errors import BSONError

from lbmigrate.config.model import Source
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENT, EVENTS
from lbmigrate.verify.reading import Reading
from lbmigrate.verify.rows import documents

TOLD = "everybody whose documents are in scope has left, so the board is empty"


def everybody_left(context: Context) -> bool:
    """Whether nothing is in the ledger only because all who are in scope were forgotten."""
    leavers = Leavers(context.state)
    if not leavers or context.target[EVENTS].find_one(EVENT, {"_id": 1}) is not None:
        return False
    found = [_all_left(context, source, leavers) for source in context.config.sources]
    return None not in found and any(found)


def _all_left(context: Context, source: Source, leavers: Leavers) -> bool | None:
    """Whether there are actions, all of users who have left; None where somebody else has one."""
    reading = Reading(context.config, source, None, context.config.backfill.latest(context.clock()), context.sources)
    seen = False
    try:
        for action in reading.actions(documents(context, reading, {})):
            if action.user not in leavers:
                return None
            seen = True
    except BSONError:  # a document that nobody can read may be anybody's
        return None
    return seen
