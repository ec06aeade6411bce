"""Entries that a recorder has changed, taken into the histograms that ranks come from before they are many.

Each of them is read for every rank of its period until then. What this does not do the next run does.
"""

from __future__ import annotations

import threading

import pymongo
from pymongo.errors import PyMongoError

from lbmigrate.board.numbering import uses_histograms
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.run.context import Context

EVERY = 200  # actions
MOST_MOVED = 100  # entries of a period
SECONDS = 0.25  # that one action is kept waiting for it; cut off, whoever settles next goes on


class Settling:
    """Counts the actions of one recorder. Safe to share by threads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = threading.Lock()
        self._since = 0
        self._off = is_fake(context.target) or not uses_histograms(context.config)

    def recorded(self) -> None:
        """One more action is on the board; never raises what the database says."""
        with self._turn:
            self._since += 1
            if self._off or self._since < EVERY:
                return
            self._since = 0
        try:
            with pymongo.timeout(SECONDS):
                Histograms(self._context).settle(MOST_MOVED)
        except (PyMongoError, LbmigrateError) as error:
            self._off = getattr(error, "code", None) == UNAUTHORIZED  # an app need not write to the state
