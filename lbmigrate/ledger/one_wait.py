"""An event and its entries, written with one wait for a majority instead of two: an app waits as well.

The event is inserted without that wait, and the entries count it a moment later. If another member became the primary
in between, they might count an event that is undone. Why the event is safe all the same:

1. A server tells of each write under which election it was made, by its number, the term. A term has one primary, which
   only adds to its log while it is that. So of two writes of one term the later one follows the earlier one in one log
   (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, figure 3: Election Safety, Leader
   Append-Only, Log Matching).
2. The entries are written after the event, and a majority has them: so it has what is before them in that log.

With two terms, or wherever else it cannot be said, the event is inserted once more, unless its user has left meanwhile,
and a majority is waited for; then the entries are computed from the ledger. Where that comes to no end (the app dies,
or its time is over) the next backfill finds what it always finds then: an event is missing, and the entries of its user
are computed anew. So does whoever records it before that: it is not newer than what the entry counts, and then that is
held against the ledger (`fold_newest`). A command that fails is not sent again: it might go to the next primary.
"""

from __future__ import annotations

from typing import Any

from pymongo import WriteConcern
from pymongo.errors import BulkWriteError, PyMongoError

from lbmigrate.config.model import Source
from lbmigrate.ledger import batches, rollup
from lbmigrate.ledger.enter import enter_one
from lbmigrate.ledger.fold_newest import fold_newest, folds_unasked
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.looked_at import LookedAt
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.mongo.faults import is_transient
from lbmigrate.mongo.shards import is_in_a_set
from lbmigrate.records import Document
from lbmigrate.rules.event import former_ids
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS

ONE_MEMBER = WriteConcern(1)


class OneWait:
    """Writes events of one recorder. Safe to share by threads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tells_terms = not is_fake(context.target)

    def write(self, source: Source, looked: LookedAt, event: Document) -> bool | None:
        """Insert an event and fold it into its entries, which were read; whether it is new, and both are written.

        None where that is for the usual way: the event may be there, and no entry counts it.
        """
        if not self._fits(looked, event):
            return None
        left: list[Any] = []
        with batches.once() as terms:
            if not self._inserted(event):
                return None
            if terms:  # else the primary was stepping down, and the entries could only tell of the next one
                looked.take_new(event)
                left = fold_newest(self._context, looked)
        if any(term <= batches.UNTOLD for term in terms):
            self._tells_terms = False
        if not _are_of_one_log(terms):
            return self._made_sure(source, event)
        if left:  # somebody else was faster
            rollup.roll_up(self._context, {"$in": left})
        return True

    def _fits(self, looked: LookedAt, event: Document) -> bool:
        database = self._context.target
        usual = self._tells_terms and is_in_a_set(database) and folds_unasked(looked, event)
        # Nor may the ledger have it under the `_id` that an earlier version gave it.
        return usual and not former_ids(event["actionType"], [event["sourceId"]])

    def _inserted(self, event: Document) -> bool:
        """Whether a primary has taken the event as new; False also where it refused it, or that is not known."""
        events = self._context.target.get_collection(EVENTS, write_concern=ONE_MEMBER)
        try:
            batches.insert_one(events, event)
        except BulkWriteError as error:
            return not error.details["writeErrors"]
        except PyMongoError as error:
            if not is_transient(error):
                raise
            return False
        return True

    def _made_sure(self, source: Source, event: Document) -> bool:
        """Have a majority know the event, and entries that count it; False if its user has left since."""
        if event["userId"] in Leavers(self._context.state):
            return False
        enter_one(self._context, source, event)
        rollup.roll_up(self._context, {"$in": [event["userId"]]})
        return True


def _are_of_one_log(terms: batches.Terms) -> bool:
    """Whether there was more than one write, and all under one election."""
    return len(terms) > 1 and len({*terms}) == 1 and terms[0] > batches.UNTOLD
