"""The verb that looks ahead: plan."""

from __future__ import annotations

from dataclasses import asdict

from lbmigrate import commands
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.errors import WorkRemains

app = new_app()


@verb(app, "lbmigrate plan", "lbmigrate plan --json")
def plan(this: Invocation) -> None:
    """Show the steps, where they stand, and what a run would do.

    Exits 3 when anything is pending.
    """
    with this.connected(tell=False) as connection:
        found = commands.plan(connection)
    this.console.plan(found)
    this.console.result({"verb": "plan", "pending": found.pending, **asdict(found)})
    if found.pending:
        fixes = [finding.fix for finding in found.findings if finding.level == "refusal"]
        fixes += [found.drift.next] if found.drift else []
        raise WorkRemains("work is pending", hint=fixes[0] if fixes else "lbmigrate run")
