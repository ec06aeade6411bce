"""The verb about documents that could not be scored: rejects."""

from __future__ import annotations

from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb

app = new_app()


@verb(app)
def rejects(
    this: Invocation,
    n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many documents.")] = 20,
) -> None:
    """Show source documents that could not be scored, and why, newest first."""
    with this.connected() as connection:
        rows = commands.rejects(connection, n)
    shown = [[row.get(name) for name in ("source", "sourceId", "reason", "createdAt")] for row in rows]
    this.console.table("Rejects", ("source", "document", "reason", "at"), shown)
    this.console.result({"verb": "rejects", "rejects": rows})
