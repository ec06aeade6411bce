"""The noun of the boards in Redis: rebuild, check, status, persist."""

from __future__ import annotations

from dataclasses import asdict

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.records import amount

COLUMNS = ("period", "members", "entries", "ranks from", "expires")

app = new_app(no_args_is_help=True, help="The boards in Redis: status, check, rebuild, persist.")


@verb(app)
def status(this: Invocation) -> None:
    """Show the boards in Redis beside the entries, and whether they are stale."""
    with this.connected() as connection:
        found = commands.boards_status(connection)
    rows = [
        (each.period, each.members, each.entries, "Redis" if each.believed and not found.stale else "MongoDB",
         "never" if each.expires is None else f"in {each.expires // 86_400} d")
        for each in found.boards
    ]  # fmt: skip
    this.console.table("Boards", COLUMNS, rows)
    if found.stale:
        this.console.warning(f"stale since {found.stale.get('since')}: {found.stale.get('why')}")
        this.console.note("next: lbmigrate boards rebuild")
    this.console.result({"verb": "boards status", "boards": list(map(asdict, found.boards)), "stale": found.stale})


@verb(app)
def check(this: Invocation) -> None:
    """Compare every board in Redis with its entries; exit code 5 when they differ."""
    with this.connected() as connection:
        count = commands.check_boards(connection)
    this.console.note(f"{amount(count, 'board')} in Redis agree with the entries")
    this.console.result({"verb": "boards check", "boards": count})


@verb(app)
def rebuild(this: Invocation, lock_ttl: options.LockTtl = options.LOCK_TTL, wait_lock: options.WaitLock = None) -> None:
    """Make every board in Redis anew from the entries, while it is read and written."""
    with this.connected() as connection, this.running(lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
        built = commands.rebuild_boards(connection, terms=terms)
    this.console.result({"verb": "boards rebuild", "boards": built})


@verb(app)
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
