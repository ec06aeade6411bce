"""The verbs that only look: plan, doctor, status, history, rejects. None writes anything."""

from __future__ import annotations

import datetime as dt

from pymongo.errors import OperationFailure

from lbmigrate.checks import rights, rows
from lbmigrate.checks.finding import Finding
from lbmigrate.checks.server import check_everything
from lbmigrate.config.model import Config
from lbmigrate.ledger import binding
from lbmigrate.ledger.binding import Apart
from lbmigrate.migration import plan as planning
from lbmigrate.migration import status as standing
from lbmigrate.migration.plan import Plan
from lbmigrate.migration.status import Status
from lbmigrate.mongo import faults
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.run.connection import Connection, opened
from lbmigrate.schema import REJECTS
from lbmigrate.state import runs
from lbmigrate.values.limits import short
from lbmigrate.verify import verdict

REJECT_BYTES = 2_000  # of a field of a reject; a row of ours has no more


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


def staleness(where: Config | Connection, most: dt.timedelta) -> list[str]:
    """Why the verdict is not to be relied on any more, a sentence each; one that is older than `most` is not."""
    with opened(where) as connection:
        now = server_time(connection.state.rows.database)
        return retrying(lambda: verdict.staleness(connection.context(), now, most))


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
    """The records of the newest `n` runs, newest first; one whose process is gone without a word has died."""
    with opened(where) as connection:
        connection.state.examine()
        return runs.recent(connection.state, server_time(connection.state.rows.database), n)


def rejects(where: Config | Connection, n: int = 20) -> list[Document]:
    """The newest `n` source documents that could not be scored, each with its reason."""
    with opened(where) as connection:
        newest = lenient(connection.target)[REJECTS]
        return retrying(lambda: [_shown(row) for row in newest.find({}).sort("createdAt", -1).limit(n)])


def _shown(row: Document) -> Document:
    return {name: short(value, REJECT_BYTES) for name, value in row.items()}
