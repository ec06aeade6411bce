"""The verb for sources that changed their mind: reconcile."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.errors import UsageError
from lbmigrate.records import amount
from lbmigrate.run.connection import Connection
from lbmigrate.workers.executor import Executor

WITHOUT = "leave out --executor, or --dry-run"
COLUMNS = ("adjustment", "user", "points", "reason", "at")

app = new_app()


@verb(app, "lbmigrate reconcile --dry-run", "lbmigrate reconcile --quiet --wait-lock 10m", works=True)
def reconcile(
    this: Invocation,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", envvar="LBMIGRATE_DRY_RUN", help="List the adjustments, and write nothing.")
    ] = False,
    allow: options.Allow = 0,
    max_runtime: options.MaxRuntime = None,
    max_docs: options.MaxDocs = None,
    between: options.Between = None,
    workers: options.Workers = None,
    executor: options.ExecutorOption = Executor.THREADS,
    scheduler: options.Scheduler = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Add adjustment events for tasks that were undone, moved or are worth something else by now.

    Also settles a configuration that was changed. Stops first, with exit 6, where more of a source would be taken back
    than `reconcile.at_most` allows (5 %); --allow N agrees to the number that it names.
    """
    with this.connected(tell=False) as connection:
        if dry_run:
            if executor is not Executor.THREADS:
                raise UsageError(f"--executor {executor}: --dry-run lists what is due in this process alone", WITHOUT)
            _preview(this, connection)
            return
        limits = options.limits(connection.config, max_runtime, max_docs, between)
        by = options.executor(executor, scheduler)
        with this.running(limits, workers=workers, executor=by, lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
            found = commands.reconcile(connection, allow=allow, terms=terms)
    this.console.note(_summary(found.reasons, found.since))
    result = {"verb": "reconcile", "counts": asdict(found.counts), "adjustments": found.reasons}
    this.console.result({**result, "since": found.since})


def _preview(this: Invocation, connection: Connection) -> None:
    """Every adjustment that is due, the first of them one by one."""
    found = commands.preview_reconcile(connection)
    rows = [(e["_id"], e["userId"], e["points"], e["meta"]["reason"], e["createdAt"]) for e in found.listed]
    this.console.table("Adjustments", COLUMNS, rows, ["at", "user"])
    more = sum(found.reasons.values()) - len(rows)
    if more:
        this.console.note(f"and {amount(more, 'more adjustment')}")
    told = _summary(found.reasons)
    would = f"would add {amount(sum(found.reasons.values()), 'adjustment')}: {told}" if found.reasons else told
    this.console.note(f"dry run: {would}; nothing was written")
    result = {"verb": "reconcile", "dry_run": True, "adjustments": found.reasons, "listed": found.listed}
    this.console.result(result)


def _summary(reasons: dict[str, int], since: dt.datetime | None = None) -> str:
    listed = ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items()))
    if not listed and since:
        return f"every source agreed with the ledger when it was looked at, from {since:%Y-%m-%dT%H:%M:%SZ} on"
    return listed or "every source agrees with the ledger"
