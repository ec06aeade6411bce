"""Which boards are kept in Redis, and until when. In MongoDB every period stays."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from lbmigrate.board.calendar import anywhere

if TYPE_CHECKING:
    from lbmigrate.config.model import Config


def expires(period: str, config: Config) -> int | None:
    """When the board of a period goes from Redis, in seconds since 1970; None for one that stays."""
    ends, keep = anywhere(period, config), config.redis.keep
    return int((ends[1].replace(tzinfo=dt.UTC) + keep).timestamp()) if ends and keep else None


def has_expired(period: str, config: Config) -> bool:
    """Whether it has gone by now, so that nobody is to make it again."""
    moment = expires(period, config)
    return moment is not None and moment <= dt.datetime.now(dt.UTC).timestamp()
