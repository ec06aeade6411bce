"""The verb that proves: verify."""

from __future__ import annotations

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.cli.mismatches import exported
from lbmigrate.cli.told import Told
from lbmigrate.migration.runner import Terms
from lbmigrate.records import Document
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import VerifyOptions
from lbmigrate.workers.executor import Executor

ALONE = "a sample is looked at by this process alone: it takes seconds"
HELPED = {True: "--executor is for what has to be repaired", False: "--executor is for --full, and for --repair"}

By = tuple[Executor, str | None]

app = new_app()


@verb(
    app,
    "lbmigrate verify",
    "lbmigrate verify --full --report verdict.html",
    "lbmigrate verify --repair",
    "lbmigrate verify --against users:points",
    works=True,
)
def verify(
    this: Invocation,
    sample: options.Sample = None,
    full: options.Full = False,
    top: options.Top = None,
    seed: options.Seed = None,
    confidence: options.Confidence = None,
    max_error: options.MaxError = None,
    export: options.Export = None,
    repair: options.Repair = False,
    allow: options.Allow = 0,
    max_runtime: options.MaxRuntime = None,
    max_docs: options.MaxDocs = None,
    between: options.Between = None,
    against: options.Against = None,
    report: options.Report = None,
    workers: options.Workers = None,
    executor: options.ExecutorOption = Executor.THREADS,
    scheduler: options.Scheduler = None,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Compare entries with the ledger, and the ledger with its sources, by a second reading.

    The configuration is read once more, document by document. Exits 5 on a mismatch.

    --full compares everything, and resumes where it was stopped. --export writes each mismatch as a line of JSON,
    --repair repairs what can be repaired and verifies again. --report writes a page (.html) or Markdown (.md).
    --against users:points also compares the board with a counter the app had before; that never decides the verdict.
    """
    with this.connected(tell=False) as connection:
        chosen = options.verify_options(connection.config, sample, top, seed, full, confidence, max_error)
        limits = options.limits(connection.config, max_runtime, max_docs, between)
        by = _by(this, options.executor(executor, scheduler), chosen, repair)
        told = Told(against, report)
        told.check(connection)
        before = _verdict(connection)
        try:
            with (
                told.following(this, connection),
                this.running(limits, workers=workers, executor=by, lock_ttl=lock_ttl, wait_lock=wait_lock) as terms,
                exported(export, terms) as heard,
            ):
                _verify(this, connection, chosen, repair, allow, heard)
        finally:  # also of a verification that failed: its verdict says what differs
            found = _verdict(connection)
            found = {} if found == before else found  # one that came to no verdict shows no earlier one as its own
            if found or told.made:
                this.console.verdict(found, told.made.get("against"))
            this.console.result({"verb": "verify", "verdict": found, **told.made})


def _verdict(connection: Connection) -> Document:
    return {} if connection.is_untouched() else connection.state.get("verdict")


def _by(this: Invocation, asked: By, chosen: VerifyOptions, repair: bool) -> By:
    """Who works for a verification: nobody is called together for a sample, which is said."""
    if asked[0] is Executor.THREADS or chosen.full:
        return asked
    this.console.note(f"{ALONE}; {HELPED[repair]}")
    return asked if repair else (Executor.THREADS, None)


def _verify(
    this: Invocation,
    connection: Connection,
    chosen: VerifyOptions,
    repair: bool,
    allow: int,
    terms: Terms,
) -> None:
    if repair:
        commands.repair(connection, options=chosen, allow=allow, terms=terms, tell=this.console.note)
    else:
        commands.verify(connection, options=chosen, terms=terms)
