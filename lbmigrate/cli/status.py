"""The verbs that look back: status, history."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb

app = new_app()


@verb(app)
def status(this: Invocation) -> None:
    """Show how far each step, source and run is."""
    with this.connected() as connection:
        found = commands.status(connection)
    this.console.status(found)
    this.console.result({"verb": "status", **asdict(found)})


@verb(app)
def history(
    this: Invocation, n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many runs.")] = 20
) -> None:
    """Show what each run did, newest first."""
    with this.connected() as connection:
        rows = commands.history(connection, n)
    this.console.history(rows)
    this.console.result({"verb": "history", "runs": rows})
