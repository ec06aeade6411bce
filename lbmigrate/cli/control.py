"""The verbs that steer a run from another terminal: pause, resume, tune, unlock."""

from __future__ import annotations

from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import confirm, options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.errors import UsageError
from lbmigrate.mongo.client import server_time
from lbmigrate.state import lease

app = new_app()


@verb(app, "lbmigrate pause")
def pause(this: Invocation) -> None:
    """Pause the run after the current chunk, and every later run, until `resume`."""
    with this.connected() as connection:
        found = commands.pause(connection)
    this.console.note("paused; a run holds within one chunk. next: lbmigrate resume")
    this.console.result({"verb": "pause", "control": found})


@verb(app, "lbmigrate resume")
def resume(this: Invocation) -> None:
    """Let paused runs continue."""
    with this.connected() as connection:
        paused = commands.resume(connection)
        control = connection.state.get("control")
    this.console.note("resumed; a held run goes on within seconds" if paused else "nothing was paused")
    this.console.result({"verb": "resume", "control": control})


PerSecond = Annotated[
    float | None,
    typer.Option(envvar="LBMIGRATE_DOCUMENTS_PER_SECOND", min=0, help="Documents to read a second; 0 is no limit."),
]
Nice = Annotated[
    float | None,
    typer.Option(envvar="LBMIGRATE_NICE", min=0, max=100, help="Rest after a chunk, as a share of its time."),
]
Reset = Annotated[bool, typer.Option("--reset", envvar="LBMIGRATE_RESET", help="Back to what the configuration says.")]


@verb(app, "lbmigrate tune --documents-per-second 500 --workers 1", "lbmigrate tune --reset")
def tune(
    this: Invocation,
    documents_per_second: PerSecond = None,
    workers: options.Workers = None,
    nice: Nice = None,
    reset: Reset = False,
) -> None:
    """Change the pace of the run that is going on, within one chunk.

    It holds for this run alone; `status` shows it.
    """
    if not reset and documents_per_second is None and workers is None and nice is None:
        raise UsageError("say what to change", "lbmigrate tune --documents-per-second 500, --workers 1, or --reset")
    with this.connected() as connection:
        found = commands.tune(connection, per_second=documents_per_second, workers=workers, nice=nice, reset=reset)
    this.console.note("tuned; the run takes it over within one chunk. next: lbmigrate status")
    this.console.result({"verb": "tune", "control": found})


@verb(app, "lbmigrate unlock")
def unlock(this: Invocation, yes: options.Yes = False) -> None:
    """Take the lock from a run that is gone.

    A run that is still alive loses its lease and stops.
    """
    with this.connected() as connection:
        held = connection.state.get(lease.LOCK)
        taken = lease.is_taken(held, server_time(connection.state.rows.database))
        if taken:
            this.console.warning(lease.describe(held)[0])
            if not yes:
                confirm.agree("unlock", "take the lock away?", "the lock stays where it is", "lbmigrate status")
            commands.unlock(connection)
            connection.state.flaws.clear()  # what was wrong with the lock is right now
    this.console.note("the lock is free; next: lbmigrate status" if taken else "nobody holds the lock")
    this.console.result({"verb": "unlock", "held": held.get("holder")})
