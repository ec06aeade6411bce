"""The verbs that only look: plan, doctor, status, history. None writes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo.errors import OperationFailure

from lbmigrate.checks import rights, rows
from lbmigrate.checks.server import check_everything
from lbmigrate.ledger import binding
from lbmigrate.migration import plan as planning
from lbmigrate.migration import status as standing
from lbmigrate.mongo import faults
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.run.connection import Connection, opened
from lbmigrate.state import runs

if TYPE_CHECKING:
    from lbmigrate.checks.finding import Finding
    from lbmigrate.config.model import Config
    from lbmigrate.ledger.binding import Apart
    from lbmigrate.migration.plan import Plan
    from lbmigrate.migration.status import Status
    from lbmigrate.records import Document


def plan(where: Config | Connection) -> Plan:
    """The steps, where they stand, and what a run would do."""
    with opened(where) as connection:
        return retrying(lambda: planning.look(connection.context()))


def doctor(where: Config | Connection) -> list[Finding]:
    """Everything worth checking before a run, the fine lines included; a finding of level `refusal` forbids one."""
    with opened(where) as connection:
        context = connection.context()
        found = [*check_everything(context, bounded=False), *rights.of_other_verbs(context)]
        unread = any(each.level == "refusal" and each.subject == rights.READING for each in found)
        return found if unread else [*found, *rows.findings(context, everything=True)]


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
