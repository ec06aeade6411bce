"""The verbs that look back: status, history."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.errors import WorkRemains

app = new_app()


MaxStaleness = Annotated[
    str | None,
    typer.Option(envvar="LBMIGRATE_MAX_STALENESS", help="Exit 3 if the verdict is older, failed or overtaken: 2h."),
]


@verb(app)
def status(this: Invocation, max_staleness: MaxStaleness = None) -> None:
    """Show how far each step, source and run is."""
    most = dt.timedelta(seconds=options.seconds(max_staleness, "--max-staleness")) if max_staleness else None
    with this.connected() as connection:
        found = commands.status(connection)
        stale = commands.staleness(connection, most) if most else []
    this.console.status(found)
    result = {"stale": stale} if most else {}
    this.console.result({"verb": "status", **asdict(found), **result})
    if stale:
        raise WorkRemains(stale[0], "lbmigrate verify", stale[1:])


@verb(app)
def history(
    this: Invocation, n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, help="How many runs.")] = 20
) -> None:
    """Show what each run did, newest first."""
    with this.connected() as connection:
        rows = commands.history(connection, n)
    this.console.history(rows)
    this.console.result({"verb": "history", "runs": rows})
