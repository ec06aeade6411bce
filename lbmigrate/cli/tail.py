"""The verb that follows: what the app writes is on the board within a second, whatever language it is written in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb

app = new_app()


@verb(app, "lbmigrate tail --heal", "lbmigrate tail --max-runtime 12h", works=True)
def tail(
    this: Invocation,
    heal: Annotated[
        bool,
        typer.Option("--heal", envvar="LBMIGRATE_HEAL", help="Backfill changes missed after the oplog expired."),
    ] = False,
    max_runtime: Annotated[
        str | None, typer.Option(envvar="LBMIGRATE_MAX_RUNTIME", help="Follow for this long, such as 12h; exits 0.")
    ] = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Follow what the app writes and record it at once, for apps that are not written in Python.

    Needs a replica set. It resumes where it stopped; with --heal it backfills what the server no longer remembers.
    """
    with this.connected(tell=False) as connection:
        limits = options.limits(connection.config, max_runtime, None, None)
        with this.running(limits, lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
            counts = commands.tail(connection, heal=heal, terms=terms)
    this.console.result({"verb": "tail", "counts": asdict(counts)})
