"""Where a board finds the entries of a period: by what a migration has on record, looked at once a second.

A run that moves entries leaves them where they were for some seconds longer, so who has just looked finds all of them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.mongo.concerns import lenient
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.schema.layout import ALL, LOOK_AGAIN, ROW, Layout

if TYPE_CHECKING:
    from lbmigrate.config.model import Config


class Places:
    """The layout that is on record; where the client may not read that, the one of the configuration."""

    def __init__(self, database: Database[Any], config: Config) -> None:
        self._database, self._config = database, config
        self._known, self._next = Layout(), float("-inf")

    def layout(self) -> Layout:
        """Not older than LOOK_AGAIN seconds."""
        now = time.monotonic()
        if now >= self._next:
            self._known, self._next = self._look(), now + LOOK_AGAIN
        return self._known

    def _look(self) -> Layout:
        from lbmigrate.state.shapes import COLLECTION  # noqa: PLC0415  an app that shows a board need not load it

        home = self._database.client[self._config.state.database or self._database.name]
        try:
            return Layout.of(lenient(home)[COLLECTION].find_one({"_id": ROW}) or {})
        except OperationFailure as error:
            if error.code != UNAUTHORIZED:
                raise
            return Layout(ALL if self._config.layout == "partitioned" else "")
