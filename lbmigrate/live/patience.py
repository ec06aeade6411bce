"""How long an app is kept waiting: a budget of time for each action, and none while the database is known to be late.

After an action that the database was late for the next ones are left to the backfill without being tried, until
TRY_AGAIN seconds have passed; then one of them is tried.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pymongo
from pymongo.errors import PyMongoError

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.faults import is_transient, reason

TRY_AGAIN = 5.0  # seconds
LOCKS = 1_024  # several users may share one


class Late(LbmigrateError):
    """An action was not recorded in time, or not tried because an earlier one was not; a backfill adds it."""


def is_late(error: BaseException) -> bool:
    """Whether the database was not there in time: it did not answer, or no majority had what was written."""
    return isinstance(error, Late) or (isinstance(error, PyMongoError) and (error.timeout or is_transient(error)))


class Patience:
    """Spends `budget` seconds on an action at most. Safe to share by threads."""

    def __init__(self, budget: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.budget = budget
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._again: float | None = None  # when one may try; None while all is well
        self._told = float("-inf")

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Within the block the database has the budget to answer. Raises Late, also at once while it is so anyway."""
        if self._is_exhausted():
            raise Late("the database did not answer in time a moment ago, so it is not asked", "lbmigrate doctor")
        try:
            with pymongo.timeout(self.budget):
                yield
        except Exception as error:
            if not is_late(error):
                raise
            with self._turn:
                self._again = self._monotonic() + TRY_AGAIN
            if isinstance(error, Late):
                raise
            told = f"no answer within {self.budget:g} s, or no majority: {reason(error)}"
            raise Late(told, "lbmigrate doctor") from error
        with self._turn:
            self._again = None

    def _is_exhausted(self) -> bool:
        with self._turn:
            now = self._monotonic()
            if self._again is None:
                return False
            if now < self._again:
                return True
            self._again = now + TRY_AGAIN  # whoever comes meanwhile does not try as well
            return False

    def may_tell(self) -> bool:
        """Whether it is time for another line in the log."""
        with self._turn:
            now = self._monotonic()
            if now - self._told < TRY_AGAIN:
                return False
            self._told = now
            return True


class Turns:
    """One thread after another works at a user's entries: those that try at once would lose to each other for long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._locks = tuple(threading.Lock() for _ in range(LOCKS))

    @contextmanager
    def of(self, user: object) -> Iterator[None]:
        """The user's turn. Whoever has waited for it in vain goes on without: that is slower, and as right."""
        lock = self._locks[hash(user) % LOCKS]
        taken = lock.acquire(timeout=self._seconds)
        try:
            yield
        finally:
            if taken:
                lock.release()
