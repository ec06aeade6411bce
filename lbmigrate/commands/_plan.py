"""The verbs that look ahead: plan, doctor. None writes anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbmigrate.checks import rights, rows
from lbmigrate.checks.server import check_everything
from lbmigrate.migration import plan as planning
from lbmigrate.mongo.client import retrying
from lbmigrate.run.connection import Connection, opened

if TYPE_CHECKING:
    from lbmigrate.checks.finding import Finding
    from lbmigrate.config.model import Config
    from lbmigrate.migration.plan import Plan


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
