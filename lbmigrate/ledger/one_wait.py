"""An event and its entries, written with one wait for a majority instead of two: an app waits as well.

The event is inserted without that wait, and the entries count it a moment later. If another member became the primary
in between, they might count an event that is undone. Why the event is safe where this says `done`:

1. A server tells of each write under which election it was made, by its number, the term. A term has one primary, which
   only adds to its log while it is that. So of two writes of one term the later one follows the earlier one in one log
   (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, figure 3: Election Safety, Leader
   Append-Only, Log Matching).
2. The entries are written after the event, and a majority has them: so it has what is before them in that log.

With two terms, or wherever anything is not as usual, nothing is `done`: whoever called inserts the event once more,
waits for a majority, and computes the entries from the ledger. If the app dies before that, of all moments, the next
backfill finds what it always finds after a crash: an event is missing, and the entries of its user are computed anew.
"""

from __future__ import annotations

from typing import NamedTuple

from pymongo import WriteConcern
from pymongo.errors import BulkWriteError

from lbmigrate.ledger import batches
from lbmigrate.ledger.fold_newest import fold_newest, vouches_alone
from lbmigrate.ledger.looked_at import LookedAt
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS

ONE_MEMBER = WriteConcern(1)


class Written(NamedTuple):
    """Whether the event was new to the primary; and whether a majority has it, and entries that count it."""

    inserted: bool = False
    done: bool = False


class OneWait:
    """Writes events of one recorder. Safe to share by threads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tells_terms = not is_fake(context.target)
        if self._tells_terms:
            self._events = context.target.get_collection(EVENTS, write_concern=ONE_MEMBER)

    def write(self, looked: LookedAt, event: Document) -> Written:
        """Insert an event and fold it into its entries, which were read. Nothing is written if more is to be read."""
        if not (self._tells_terms and _is_in_a_set(self._context) and vouches_alone(looked, event)):
            return Written()
        with batches.terms() as terms:
            try:
                batches.insert(self._events, [event])
            except BulkWriteError:  # it is there already, or refused: the usual way tells which
                return Written()
            looked.take_new(event)
            left = fold_newest(self._context, looked)
        if terms[0] == batches.UNTOLD:
            self._tells_terms = False
        return Written(True, not left and _are_of_one_log(terms))


def _are_of_one_log(terms: batches.Terms) -> bool:
    """Whether there was more than one write, and all under one election."""
    first, *others = terms
    return bool(first and others) and all(other == first for other in others)


def _is_in_a_set(context: Context) -> bool:
    """Whether the server is a member of a replica set: behind a router, writes go to several of them."""
    servers = context.target.client.topology_description.server_descriptions()
    return any(each.replica_set_name for each in servers.values())
