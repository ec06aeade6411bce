"""The verb that checks: doctor."""

from __future__ import annotations

from dataclasses import asdict

from lbmigrate import commands
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.errors import Refused

app = new_app()


@verb(app, "lbmigrate doctor")
def doctor(this: Invocation) -> None:
    """Check everything worth checking before a run, each with its fix.

    Exits 6 when a run would be refused.
    """
    with this.connected(tell=False) as connection:
        found = commands.doctor(connection)
    this.console.findings(found)
    this.console.result({"verb": "doctor", "findings": [asdict(finding) for finding in found]})
    refusals = [finding for finding in found if finding.level == "refusal"]
    if refusals:
        raise Refused(f"a run would be refused: {refusals[0].subject}: {refusals[0].fact}", hint=refusals[0].fix)
