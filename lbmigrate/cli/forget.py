"""The verb for somebody who leaves: forget."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import confirm, options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.commands._forget import backups_before

app = new_app()


@verb(
    app, "lbmigrate forget 673b9fdd32775c5eec1b5f99 --dry-run", "lbmigrate forget 673b9fdd32775c5eec1b5f99", works=True
)
def forget(
    this: Invocation,
    user: Annotated[str, typer.Argument(help="The user's id, as in the users collection.")],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", envvar="LBMIGRATE_DRY_RUN", help="Show who would be removed, and change nothing."),
    ] = False,
    yes: options.Yes = False,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Take a user out permanently: the entries go, the events stay under a tombstone.

    Later events of the same user are left out. There is no way back.
    """
    with this.connected() as connection:
        found = commands.preview_forget(connection, user)
        if dry_run:
            this.console.note(f"dry run: this would take {found}; nothing was written")
            this.console.result({"verb": "forget", "dry_run": True, **asdict(found)})
            return
        if not yes:
            this.console.warning(f"this takes out of {connection.target.name}, permanently, {found}")
            confirm.retype("forget", "the user's id", user, "lbmigrate rank USER")
        with this.running(lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
            commands.forget(connection, user, terms=terms)
        backups = backups_before(connection)
    if backups:
        this.console.warning(f"backups made before still hold this user: {', '.join(backups)}")
    this.console.result({"verb": "forget", "forgotten": True, "backups": backups})
