"""The verb that migrates: run, for real or as a dry run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lbmigrate import commands
from lbmigrate.cli import confirm, options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.commands._dry_run import DryRun
from lbmigrate.errors import Mismatch, UsageError
from lbmigrate.migration import steps as migration
from lbmigrate.migration.driver import chosen
from lbmigrate.records import amount
from lbmigrate.rehearsal import report
from lbmigrate.rehearsal.engine import Engine, choose
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import Scope
from lbmigrate.workers.executor import Executor, in_memory

SHOWN = 10

app = new_app()


@verb(
    app,
    "lbmigrate run --dry-run --sample 1%",
    "lbmigrate run --to 4 --between 01:00-05:00 --max-runtime 4h",
    'lbmigrate run --backup-ref "snapshot 4711 of 2025-11-03"',
    works=True,
)
def run(
    this: Invocation,
    to: options.To = None,
    only: options.Only = None,
    since: options.Since = None,
    until: options.Until = None,
    max_runtime: options.MaxRuntime = None,
    max_docs: options.MaxDocs = None,
    between: options.Between = None,
    workers: options.Workers = None,
    executor: options.ExecutorOption = Executor.THREADS,
    scheduler: options.Scheduler = None,
    dry_run: options.DryRun = False,
    fixtures: options.Fixtures = None,
    engine: options.EngineOption = Engine.AUTO,
    sample: options.Share = None,
    out: options.Out = None,
    expect: options.Expect = None,
    backup_ref: options.BackupRef = None,
    no_backup: options.NoBackup = False,
    shard: options.Shard = False,
    yes: options.Yes = False,
    lock_ttl: options.LockTtl = options.LOCK_TTL,
    wait_lock: options.WaitLock = None,
) -> None:
    """Apply what is pending, resuming where it stopped.

    --since says where the board begins, for every backfill to come. What somebody turned off is turned on again only
    with --yes, or when a person agrees. --shard spreads the collections over a cluster's shards; exits 6 without one.

    With --dry-run it rehearses in memory, on the real sources or on exported files (--fixtures). --out keeps the
    outcome, --expect compares it with one that was kept, and exits 5 when they differ.
    """
    chosen(migration.STEPS, to, only)  # a wrong number is an error before anything is opened
    bounds = options.scope(since, until)
    if shard and (dry_run or fixtures or out or expect):
        raise UsageError("--shard belongs to a real run: a rehearsal has no shards", "leave out --shard, or --dry-run")
    if engine is not Engine.AUTO and not fixtures:
        raise UsageError("--engine belongs to a dry run on files", "add --dry-run --fixtures DIR, or leave it out")
    if dry_run or fixtures or out or expect:
        if executor is not Executor.THREADS:
            raise in_memory(executor)
        bounds = replace(bounds, share=options.share(sample) if sample else 1.0)
        _rehearse(this, to, only, bounds, fixtures, engine, out, expect)
        return
    if sample:
        raise UsageError("--sample belongs to a dry run; a real run reads everything", "add --dry-run, or leave it out")
    with this.connected(tell=False) as connection:
        limits = options.limits(connection.config, max_runtime, max_docs, between)
        confirmed = yes or _agreed(connection, to, only)
        by = options.executor(executor, scheduler)
        with this.running(limits, workers=workers, executor=by, lock_ttl=lock_ttl, wait_lock=wait_lock) as terms:
            counts = commands.run(
                connection,
                to=to,
                only=only,
                scope=bounds,
                backup_ref=backup_ref,
                no_backup=no_backup,
                confirmed=confirmed,
                shard=shard,
                terms=terms,
            )
    this.console.result({"verb": "run", "counts": asdict(counts)})


def _agreed(connection: Connection, to: int | None, only: int | None) -> bool:
    """Whether somebody agrees to turn on again what was turned off; without a terminal nobody is asked."""
    off = migration.turned_off(connection.context(), chosen(migration.STEPS, to, only))
    if not off or not confirm.is_possible():
        return False
    what = "; ".join(off)
    confirm.agree("run", f"{what}. Turn it on again?", f"{what}, and stays off", "lbmigrate run --to 5")
    return True


def _rehearse(
    this: Invocation,
    to: int | None,
    only: int | None,
    scope: Scope,
    fixtures: Path | None,
    engine: Engine,
    out: Path | None,
    expect: Path | None,
) -> None:
    config = this.loaded().config
    if fixtures is None:
        this.header(config, "read only; the target is in memory")
        this.tell_apart(config)
    else:
        choice = choose(config, fixtures, engine)
        this.header(config, f"fixtures from {fixtures}", choice.words)
        for doubt in choice.doubts:
            this.console.note(f"on a server, since the in-memory database is not known to do as one does: {doubt}")
    with this.running() as terms:
        found = commands.dry_run(
            config,
            to=to,
            only=only,
            scope=scope,
            fixtures=fixtures,
            engine=engine,
            out=out,
            expect=expect,
            terms=terms,
        )
    _show(this, found)
    if out:
        this.console.note(f"kept the outcome in {out}")
    this.console.note("dry run: nothing was written to any server")
    if not fixtures and not found.differences:
        this.console.note("next: lbmigrate run")
    moves = [asdict(move) for move in found.moves]
    differences = found.differences[: report.DIFFERENCES]
    shifts = [asdict(shift) for shift in found.shifts]
    compared = {"moves": moves, "shifts": shifts, "differences": differences}
    this.console.result({"verb": "run", "dry_run": True, **found.report, **compared})
    if found.differences:
        raise _differing(found.differences, expect)


def _show(this: Invocation, found: DryRun) -> None:
    this.console.board("global", found.places)
    if found.report["rejects"]:
        this.console.table("Rejects", ("reason", "documents"), found.report["rejects"].items())
    weeks = list(found.report["points_by_week"].items())[-SHOWN:]
    if weeks:
        this.console.table("Points, newest weeks", ("week", "points"), weeks)
    if found.shifts:
        named = ("action", "points", "after", "stand", "after")
        shifts = [(s.action, s.points_before, s.points_after, s.actions_before, s.actions_after) for s in found.shifts]
        this.console.table("Points of the present board", named, shifts)
    if found.moves:
        rows = [(move.name or move.user, move.before or "-", move.after or "-") for move in found.moves]
        this.console.table("On the present board", ("user", "before", "after"), rows)


def _differing(lines: Sequence[str], expect: Path | None) -> Mismatch:
    more = len(lines) - report.DIFFERENCES
    rest = [f"and {more:,} more"] if more > 0 else []
    return Mismatch(
        f"the outcome differs from {expect} in {amount(len(lines), 'document')}:",
        "look at the differences; keep them with --out if right",
        [*lines[: report.DIFFERENCES], *rest],
    )
