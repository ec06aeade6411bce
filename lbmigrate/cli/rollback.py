"""The verb that takes everything back: rollback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import confirm, options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.migration.rollback import StepPreview

app = new_app()


@verb(
    app, "lbmigrate rollback --dry-run", "lbmigrate rollback --to 5 --yes", "lbmigrate rollback --keep-data", works=True
)
def rollback(
    this: Invocation,
    to: Annotated[int, typer.Option(envvar="LBMIGRATE_ROLLBACK_TO", help="The step to go back to.")] = 0,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", envvar="LBMIGRATE_KEEP_DATA", help="Turn both switches off, remove nothing.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", envvar="LBMIGRATE_DRY_RUN", help="Show what would be removed, and change nothing."),
    ] = False,
    yes: options.Yes = False,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Revert the steps: flags off first, then what this migration made, and nothing else.

    The last step first, down to --to. --keep-data turns both switches off and removes nothing; --dry-run shows what
    would be removed.
    """
    with this.connected() as connection:
        found = commands.preview_rollback(connection, to=to, keep_data=keep_data)
        if not found:
            this.console.note(f"nothing to roll back in {connection.target.name}")
        else:
            _show(this, found, dry_run)
            if not yes and not dry_run:
                confirm.retype(
                    "rollback", "the database's name", connection.target.name, "lbmigrate rollback --dry-run"
                )
            if not dry_run:
                with this.running(lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
                    commands.rollback(connection, to=to, keep_data=keep_data, terms=terms)
    this.console.result({"verb": "rollback", "dry_run": dry_run, "steps": [asdict(step) for step in found]})


def _show(this: Invocation, steps: Sequence[StepPreview], dry_run: bool) -> None:
    rows = [(f"{step.number} {step.name}", line) for step in steps for line in step.lines or ("nothing",)]
    this.console.table(f"What a rollback {'would do' if dry_run else 'does'}", ("step", "what"), rows)
    if dry_run:
        this.console.note("dry run: nothing was changed")
