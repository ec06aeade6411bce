"""The verb for what no incremental pass sees: recount."""

from __future__ import annotations

from dataclasses import asdict

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.workers.executor import Executor

app = new_app()


@verb(app, "lbmigrate recount --quiet --wait-lock 10m", "lbmigrate recount --between 01:00-05:00", works=True)
def recount(
    this: Invocation,
    max_runtime: options.MaxRuntime = None,
    max_docs: options.MaxDocs = None,
    between: options.Between = None,
    workers: options.Workers = None,
    executor: options.ExecutorOption = Executor.THREADS,
    scheduler: options.Scheduler = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Count the sources against the ledger, range by range, and read again only where they differ.

    For what came late under the watermark, or changed without a new time of change; what cron calls once a week.
    """
    with this.connected() as connection:
        limits = options.limits(connection.config, max_runtime, max_docs, between)
        by = options.executor(executor, scheduler)
        with this.running(limits, workers=workers, executor=by, lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
            found = commands.recount(connection, terms=terms)
    this.console.result({"verb": "recount", "counts": asdict(found)})
