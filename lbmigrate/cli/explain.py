"""The verb that answers: explain."""

from __future__ import annotations

from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb

app = new_app()


@verb(
    app,
    "lbmigrate explain 673b9fdd32775c5eec1b5f99",
    "lbmigrate explain 673b9fdd32775c5eec1b5f99 --period 2025-W44 -n 50",
)
def explain(
    this: Invocation,
    user: Annotated[str, typer.Argument(help="The user's id, as in the users collection.")],
    period: options.Period = "global",
    n: Annotated[int, typer.Option("-n", envvar="LBMIGRATE_N", min=1, max=1000, help="How many of each list.")] = 10,
) -> None:
    """Show why a user's score is what it is, and what would change it.

    The entry, the ledger, and what the sources say now, side by side. Writes nothing.
    """
    with this.connected() as connection:
        found = commands.explain(connection, user, period, n=n)
    this.console.explanation(found)
    this.console.result({"verb": "explain", "explanation": found, "next": found.next})
