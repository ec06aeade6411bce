"""The verbs that look back: status, history. None writes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo.errors import OperationFailure

from lbmigrate.ledger import binding
from lbmigrate.migration import status as standing
from lbmigrate.mongo import faults
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.run.connection import Connection, opened
from lbmigrate.state import runs

if TYPE_CHECKING:
    from lbmigrate.config.model import Config
    from lbmigrate.ledger.binding import Apart
    from lbmigrate.migration.status import Status
    from lbmigrate.records import Document


def status(where: Config | Connection) -> Status:
    """How far each step, source and run is."""
    with opened(where) as connection:
        return retrying(lambda: standing.status(connection.context()))


def come_apart(where: Config | Connection) -> Apart | None:
    """How the state and the ledger have come apart; None where they have not, or where this user may not look."""
    with opened(where) as connection:
        try:
            return binding.apart(connection.context())
        except OperationFailure as error:
            if error.code != faults.UNAUTHORIZED:
                raise
            return None


def history(where: Config | Connection, n: int = 20) -> list[Document]:
    """The records of the newest `n` runs, newest first; one whose process ended without a message has died."""
    with opened(where) as connection:
        connection.state.examine()
        return runs.recent(connection.state, server_time(connection.state.rows.database), n)
