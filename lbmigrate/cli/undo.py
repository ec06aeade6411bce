"""The verb that takes everything back: rollback."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate.cli import options
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.cli.running import running
from lbmigrate.errors import Refused, UsageError
from lbmigrate.migration import rollback as preview_of
from lbmigrate.migration import runner
from lbmigrate.migration.rollback import Undoing
from lbmigrate.migration.steps import STEPS

app = typer.Typer()


@verb(app)
def rollback(
    desk: Desk,
    to: Annotated[
        int, typer.Option(envvar="LBMIGRATE_ROLLBACK_TO", min=0, max=5, help="The step to come down to.")
    ] = 0,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", envvar="LBMIGRATE_KEEP_DATA", help="Turn off, remove nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", envvar="LBMIGRATE_DRY_RUN", help="Show what would go, and change nothing.")
    ] = False,
    yes: options.Yes = False,
    lock_ttl: options.LockTtl = "60s",
    wait_lock: options.WaitLock = None,
) -> None:
    """Walk the steps down: flags off first, then what this migration made, and nothing else."""
    with desk.connected() as session:
        if session.is_virgin():
            desk.console.note(f"nothing to roll back in {session.target.name}")
            desk.console.result({"verb": "rollback", "steps": []})
            return
        steps = [step for step in STEPS if to < step.NUMBER]
        context = session.context(keep_data=keep_data)
        undoings = preview_of.preview(context, steps)
        result = {"verb": "rollback", "dry_run": dry_run, "steps": [asdict(undoing) for undoing in undoings]}
        if not yes or dry_run:
            _show(desk, undoings)
        if not dry_run:
            _confirm(session.target.name, yes)
            with running(desk, session, context, "rollback", options.terms(lock_ttl, wait_lock)) as (started, guard):
                desk.console.follow(runner.descend(started, steps, guard))
    desk.console.result(result)


def _show(desk: Desk, undoings: Sequence[Undoing]) -> None:
    rows = [
        (f"{undoing.number} {undoing.name}", line) for undoing in undoings for line in undoing.lines or ("nothing",)
    ]
    desk.console.table("What a rollback does", ("step", "what"), rows)


def _confirm(database: str, yes: bool) -> None:
    """Data goes only when somebody typed the database's name, or `--yes`."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("rollback asks before it removes data, and there is no terminal to ask on", "add --yes")
    if typer.prompt("type the database's name to go on", err=True) != database:
        raise Refused("that is not the database's name; nothing was changed", hint="lbmigrate rollback --dry-run")
