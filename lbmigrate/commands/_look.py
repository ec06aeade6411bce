"""The verbs that only look: plan, doctor, status, history, rejects. None writes anything."""

from __future__ import annotations

from lbmigrate.checks import rights
from lbmigrate.checks.finding import Finding
from lbmigrate.checks.server import check_everything
from lbmigrate.config.model import Config
from lbmigrate.migration import plan as planning
from lbmigrate.migration import status as standing
from lbmigrate.migration.plan import Plan
from lbmigrate.migration.status import Status
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.records import Document
from lbmigrate.run.connection import Connection, opened
from lbmigrate.schema import REJECTS
from lbmigrate.state import runs


def plan(where: Config | Connection) -> Plan:
    """The steps, where they stand, and what a run would do."""
    with opened(where) as connection:
        return retrying(lambda: planning.look(connection.context()))


def doctor(where: Config | Connection) -> list[Finding]:
    """Everything worth checking before a run, the fine lines included; a finding of level `refusal` forbids one."""
    with opened(where) as connection:
        found = check_everything(connection.context())
        return [*found, *rights.of_other_verbs(connection.context())]


def status(where: Config | Connection) -> Status:
    """How far each step, source and run is."""
    with opened(where) as connection:
        return retrying(lambda: standing.status(connection.context()))


def history(where: Config | Connection, n: int = 20) -> list[Document]:
    """The records of the newest `n` runs, newest first; one whose process is gone without a word has died."""
    with opened(where) as connection:
        return runs.recent(connection.state, server_time(connection.state.rows.database), n)


def rejects(where: Config | Connection, n: int = 20) -> list[Document]:
    """The newest `n` source documents that could not be scored, each with its reason."""
    with opened(where) as connection:
        return retrying(lambda: list(connection.target[REJECTS].find({}).sort("createdAt", -1).limit(n)))
