"""The noun of the boards: those in Redis (rebuild, check, status, persist), and settled periods (archive, restore)."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import confirm, options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.backup import HOME, Digest, Directory, KeyFile, backup_key
from lbmigrate.cli.invocation import Invocation, command_line, verb
from lbmigrate.records import amount
from lbmigrate.run.context import utc_now
from lbmigrate.workers.executor import Executor

COLUMNS = ("period", "members", "entries", "ranks from", "expires")

app = new_app(
    no_args_is_help=True,
    help="Boards in Redis (status, check, rebuild, persist), of settled periods (archive, restore).",
)


@verb(app, "lbmigrate boards status")
def status(this: Invocation) -> None:
    """Show the boards in Redis beside the entries, and whether they are stale."""
    with this.connected() as connection:
        found = commands.boards_status(connection)
        asked = not found.stale and connection.config.ranking.ties != "dense"
    rows = [
        (each.period, each.members, each.entries, "Redis" if each.believed and asked else "MongoDB",
         "never" if each.expires is None else f"in {each.expires // 86_400} d")
        for each in found.boards
    ]  # fmt: skip
    this.console.table("Boards", COLUMNS, rows)
    if found.stale:
        this.console.warning(f"stale since {found.stale.get('since')}: {found.stale.get('why')}")
        this.console.note("next: lbmigrate boards rebuild")
    this.console.result({"verb": "boards status", "boards": list(map(asdict, found.boards)), "stale": found.stale})


@verb(app, "lbmigrate boards check --quiet")
def check(this: Invocation) -> None:
    """Compare every board in Redis with its entries; exits 5 when they differ."""
    with this.connected() as connection:
        count = commands.check_boards(connection)
    this.console.note(f"{amount(count, 'board')} in Redis {'agrees' if count == 1 else 'agree'} with the entries")
    this.console.result({"verb": "boards check", "boards": count})


@verb(app, "lbmigrate boards rebuild", works=True)
def rebuild(
    this: Invocation,
    workers: options.Workers = None,
    executor: options.ExecutorOption = Executor.THREADS,
    scheduler: options.Scheduler = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Rebuild every board in Redis from the entries, while it is read and written.

    With --executor each worker rebuilds one period at a time.
    """
    by = options.executor(executor, scheduler)
    with (
        this.connected() as connection,
        this.running(workers=workers, executor=by, lock_ttl=lock_ttl, wait_lock=wait_lock) as terms,
    ):
        built = commands.rebuild_boards(connection, terms=terms)
    this.console.result({"verb": "boards rebuild", "boards": built})


@verb(app, "lbmigrate boards persist --quiet", works=True)
def persist(
    this: Invocation,
    max_runtime: options.MaxRuntime = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Make events of the actions that an app put into Redis first; for cron."""
    with this.connected() as connection:
        limits = options.limits(connection.config, max_runtime, None, None)
        with this.running(limits, lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
            counts = commands.persist_boards(connection, terms=terms)
    this.console.result({"verb": "boards persist", "counts": asdict(counts)})


@verb(app, "lbmigrate boards archive --before 2025 --out old-boards", works=True)
def archive(
    this: Invocation,
    before: Annotated[
        str, typer.Option("--before", envvar="LBMIGRATE_BEFORE", help="Periods that end by then: 2025, 2025-W10.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", envvar="LBMIGRATE_OUT", help="The directory; by default backups/boards-TIME."),
    ] = None,
    key_file: KeyFile = None,
    yes: options.Yes = False,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Move settled periods out of the database into a backup; `boards restore DIR` brings them back."""
    into, key = out or HOME / f"boards-{utc_now():%Y-%m-%dT%H%M%SZ}", backup_key(key_file)
    with this.connected() as connection:
        periods = commands.settled_boards(connection, before)
        if periods and not yes:
            this.console.warning(f"this takes {amount(len(periods), 'board')} out of {connection.target.name}")
            confirm.retype("archive", "the database's name", connection.target.name, "lbmigrate boards status")
        again = command_line("--before", before, "--out", str(into))
        with this.running(lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
            periods = commands.archive_boards(connection, before, into, key=key, terms=replace(terms, command=again))
    told = f"{amount(len(periods), 'board')} in {into}" if periods else f"no settled period ends before {before}"
    this.console.note(f"{told}; to bring them back: lbmigrate boards restore {into}" if periods else told)
    this.console.result({"verb": "boards archive", "periods": periods, "directory": str(into) if periods else None})


@verb(app, "lbmigrate boards restore old-boards", works=True)
def restore(
    this: Invocation,
    directory: Directory,
    digest: Digest = "",
    key_file: KeyFile = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Bring archived periods back, and up to what the ledger says by now."""
    key = backup_key(key_file)
    with this.connected() as connection, this.running(lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
        periods = commands.restore_boards(connection, directory, digest=digest, key=key, terms=terms)
    this.console.note(f"{amount(len(periods), 'board')} back from {directory}; next: lbmigrate verify")
    this.console.result({"verb": "boards restore", "periods": periods})
