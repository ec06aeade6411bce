"""The verb for a support page: explain."""

from __future__ import annotations

from lbmigrate.config.model import Config
from lbmigrate.explain import explain as explaining
from lbmigrate.explain.explanation import Explanation
from lbmigrate.mongo.client import retrying
from lbmigrate.run.connection import Connection, opened


def explain(where: Config | Connection, user: str, period: str = "global", *, n: int = explaining.SHOWN) -> Explanation:
    """Why a user's score is what it is: the entry, the ledger, and what the sources say now.

    `user` is an id as it is written; each list holds the newest `n`. Writes nothing. Raises UsageError where there is
    no leaderboard, for a user whom nobody knows, and for what names no period.
    """
    with opened(where) as connection:
        connection.refuse_untouched()
        return retrying(lambda: explaining.explain(connection.context(), user, period, n))
