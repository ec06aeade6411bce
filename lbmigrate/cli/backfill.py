"""The verb that cron calls: backfill."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.workers.executor import Executor

app = new_app()


@verb(
    app,
    "lbmigrate backfill --quiet",
    "lbmigrate backfill --user 673b9fdd32775c5eec1b5f99",
    "lbmigrate backfill --since 2025-05-01 --until 2025-06-01",
    works=True,
)
def backfill(
    this: Invocation,
    since: options.Since = None,
    until: options.Until = None,
    user: options.User = None,
    full: Annotated[bool, typer.Option("--full", envvar="LBMIGRATE_FULL", help="Read everything again.")] = False,
    max_runtime: options.MaxRuntime = None,
    max_docs: options.MaxDocs = None,
    between: options.Between = None,
    workers: options.Workers = None,
    executor: options.ExecutorOption = Executor.THREADS,
    scheduler: options.Scheduler = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Step 4 alone, incremental: events and entries for what is new or changed.

    What cron calls.
    """
    bounds = options.scope(since, until, user, full)
    with this.connected(tell=False) as connection:
        limits = options.limits(connection.config, max_runtime, max_docs, between)
        by = options.executor(executor, scheduler)
        with this.running(limits, workers=workers, executor=by, lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
            counts = commands.backfill(connection, scope=bounds, terms=terms)
    this.console.result({"verb": "backfill", "counts": asdict(counts)})
