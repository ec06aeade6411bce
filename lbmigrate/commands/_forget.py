"""The verb for somebody who leaves: forget."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from lbmigrate.backup import record
from lbmigrate.config.model import Config
from lbmigrate.ledger import forget as leaving
from lbmigrate.ledger.binding import ANY_OF_OURS
from lbmigrate.ledger.forget import Leaving
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.mongo.client import retrying
from lbmigrate.records import Forgotten
from lbmigrate.run.connection import Connection, opened

COMMAND = "lbmigrate forget USER --yes"  # neither the record of the run nor the lock may tell who it was


def check_user(where: Config | Connection, user: str) -> None:
    """Raise UsageError where there is no leaderboard, or nobody has, or had, this id."""
    with opened(where) as connection:
        connection.refuse_untouched()
        retrying(lambda: leaving.check(connection.context(), user))


def preview_forget(where: Config | Connection, user: str) -> Leaving:
    """Who would leave and what would go. Writes nothing; raises as `check_user` does."""
    with opened(where) as connection:
        check_user(connection, user)
        return retrying(lambda: leaving.preview(connection.context(), user))


def backups_before(where: Config | Connection) -> list[str]:
    """Which backups still hold whoever is forgotten now: nothing here can change those."""
    with opened(where) as connection:
        return record.earlier(connection.state)


def forget(where: Config | Connection, user: str, *, terms: Terms = Terms()) -> Forgotten:
    """Take a user out permanently, without asking: the entries go, the events stay under a tombstone."""
    with opened(where) as connection:
        check_user(connection, user)
        with runner.started(connection, "forget", replace(terms, command=COMMAND), bears=ANY_OF_OURS) as driver:
            counts = driver.carry_out(leaving.WORK, partial(leaving.pieces, driver.context, user))
    return counts if isinstance(counts, Forgotten) else Forgotten()
