"""Ranks from Redis where there is one: however deep a user stands, counting those above takes no longer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lbmigrate.board.redis_client import client_of
from lbmigrate.board.sorted_sets import SortedSets
from lbmigrate.records import Document
from lbmigrate.telling.foreign import plain
from lbmigrate.telling.secrets import hidden

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

log = logging.getLogger("lbmigrate.boards")


class QuickRanks:
    """What Redis knows of ranks."""

    def __init__(self, sets: SortedSets) -> None:
        self._sets = sets

    @classmethod
    def of(cls, config: Config) -> QuickRanks | None:
        """None where no Redis is configured."""
        return cls(SortedSets(client_of(config.redis.url), config.redis.key)) if config.redis.url else None

    def above(self, period: str, above: int) -> list[Document]:
        """How many have a higher score than `above` in a period, as one document; nothing if that is unknown."""
        if self._sets.rest:
            return []
        try:
            count = self._sets.above(period, above)
        except Exception as error:  # a board is shown whatever becomes of Redis
            log.warning("ranks are counted in MongoDB: %s", hidden(plain(error)))
            self._sets.rest.begin()
            return []
        return [] if count is None else [{"n": count}]
