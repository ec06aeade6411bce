"""The feature flag as an app asks for it: cached, and off whenever it is not known to be on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pymongo
from bson.errors import BSONError
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
from pymongo.errors import PyMongoError

from lbmigrate.config.model import Config
from lbmigrate.config.model import Flag as FlagSettings
from lbmigrate.errors import UsageError
from lbmigrate.feature_flag import TAKES_EFFECT, Switches, switches
from lbmigrate.ledger import sources
from lbmigrate.mongo.concerns import fresh, is_fake, lenient
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden

LOOK_AGAIN = 2.0  # seconds between two looks at it
ANSWER = 2.0  # seconds for the server to say how it stands


log = logging.getLogger("lbmigrate.live")


class Flag:
    """The feature flag, cached: off, until it is known to be on, and whenever that is older than TAKES_EFFECT.

    One thread in LOOK_AGAIN seconds looks; meanwhile the others go by what they know and never wait.
    """

    def __init__(
        self, database: Database[Any], settings: FlagSettings, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rows, self._id = database[settings.collection], settings.id
        self._monotonic = monotonic
        self._known, self._asked = Switches(), float("-inf")  # how it stood when it was asked
        self.unread = False  # the last look failed
        self._next = float("-inf")
        self._looking = threading.Lock()

    @property
    def write(self) -> bool:
        """Whether actions are to be recorded."""
        return self._current().write

    @property
    def read(self) -> bool:
        """Whether the board is to be shown."""
        return self._current().read

    def _current(self) -> Switches:
        # Whoever knows nothing yet waits for the one who is looking; whoever knows enough goes on meanwhile.
        ignorant = self._monotonic() - self._asked >= TAKES_EFFECT
        if self._monotonic() >= self._next and self._looking.acquire(blocking=ignorant):
            try:
                if self._monotonic() >= self._next:
                    self._look()
            finally:
                self._looking.release()
        known, asked = self._known, self._asked
        return known if self._monotonic() - asked < TAKES_EFFECT else Switches()

    def _look(self) -> None:
        asked = self._monotonic()  # before the answer: it may have been turned since
        try:
            with pymongo.timeout(ANSWER):
                found = switches(self._rows.find_one({"_id": self._id}) or {})
            self.unread = False
        except (PyMongoError, BSONError) as error:
            log.warning("the flag cannot be read, so it counts as off: %s", hidden(plain(error)))
            found, self.unread = Switches(), True
        self._known, self._asked, self._next = found, asked, self._monotonic() + LOOK_AGAIN


def flag(
    database: Database[Any], config: Config | None = None, monotonic: Callable[[], float] = time.monotonic
) -> Flag:
    """The feature flag of `database`, to be made once and asked often: `leaderboard.read` costs next to nothing.

    Turned off, it is off here within TAKES_EFFECT seconds. Missing or unreadable means off.
    """
    return Flag(fresh(as_ours(database)), config.flag if config else FlagSettings(), monotonic)


def as_ours(database: Database[Any]) -> Database[Any]:
    """The database whose documents read as the toolkit reads them, however the app's client is set up."""
    given: object = database
    if isinstance(given, AsyncDatabase):
        hint = "open a MongoClient beside the AsyncMongoClient, and call the recorder by `await asyncio.to_thread`"
        raise UsageError("a ScoreRecorder takes a database of MongoClient", hint)
    return database if is_fake(database) else lenient(database.with_options(codec_options=sources.CODECS))
