"""The verbs that change something: run, backfill, verify, rollback, flag."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from lbmigrate import feature_flag
from lbmigrate.backup import record
from lbmigrate.checks import server
from lbmigrate.checks.finding import refuse
from lbmigrate.cli import options, rehearse
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.cli.running import climb
from lbmigrate.errors import Mismatch, Refused, UsageError
from lbmigrate.migration import runner
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo.faults import LOCAL
from lbmigrate.run.connection import Session
from lbmigrate.run.context import Context, utc_now

app = typer.Typer()


@verb(app)
def run(
    desk: Desk,
    to: options.To = None,
    only: options.Only = None,
    since: options.Since = None,
    until: options.Until = None,
    max_runtime: options.MaxRuntime = None,
    max_docs: options.MaxDocs = None,
    between: options.Between = None,
    workers: options.Workers = None,
    dry_run: options.DryRun = False,
    fixtures: options.Fixtures = None,
    sample: options.Share = None,
    out: options.Out = None,
    expect: options.Expect = None,
    backup_ref: options.BackupRef = None,
    no_backup: options.NoBackup = False,
    lock_ttl: options.LockTtl = "60s",
    wait_lock: options.WaitLock = None,
) -> None:
    """Apply what is pending, resuming where it stopped."""
    steps = runner.chosen(STEPS, to, only)
    bounds = options.scope(since, until)
    if dry_run or fixtures or out or expect:
        share = options.share(sample) if sample else 1.0
        rehearse.dry_run(desk, steps, replace(bounds, share=share), rehearse.Rehearsal(fixtures, out, expect))
        return
    if sample:
        raise UsageError("--sample belongs to a dry run; a real run reads everything", "add --dry-run, or leave it out")
    with desk.connected() as session:
        context = session.context(scope=bounds)
        limits = options.limits(session.config, max_runtime, max_docs, between)
        terms = options.terms(lock_ttl, wait_lock, limits, workers)
        refuse(server.check_everything(context))
        _vouched(context, backup_ref, no_backup)
        totals = climb(desk, session, steps, context, "run", terms)
    desk.console.result({"verb": "run", "counts": totals})


def _vouched(context: Context, reference: str | None = None, none: bool = False) -> None:
    """Nothing starts without a backup on record, or somebody on record who did without; the embedded server may."""
    if reference and none:
        raise UsageError("--backup-ref and --no-backup contradict each other", "give one of them")
    embedded = context.config.database.uri.startswith(LOCAL)
    if not embedded and (reference or none):
        record.record(context.state, "reference" if reference else "none", reference or "", context.clock())
    if objection := record.objection(context, embedded):
        raise Refused(objection, hint=record.HINT)


@verb(app)
def backfill(
    desk: Desk,
    since: options.Since = None,
    until: options.Until = None,
    user: options.User = None,
    full: Annotated[bool, typer.Option("--full", envvar="LBMIGRATE_FULL", help="Read everything again.")] = False,
    max_runtime: options.MaxRuntime = None,
    max_docs: options.MaxDocs = None,
    between: options.Between = None,
    workers: options.Workers = None,
    lock_ttl: options.LockTtl = "60s",
    wait_lock: options.WaitLock = None,
) -> None:
    """Step 4 alone, incremental: events and entries for what is new or changed. What cron calls."""
    bounds = options.scope(since, until, user, full)
    with desk.connected() as session:
        context = session.context(scope=bounds)
        limits = options.limits(session.config, max_runtime, max_docs, between)
        terms = options.terms(lock_ttl, wait_lock, limits, workers)
        refuse(server.check_everything(context))
        _vouched(context)
        totals = climb(desk, session, runner.chosen(STEPS, only=4), context, "backfill", terms)
    desk.console.result({"verb": "backfill", "counts": totals})


@verb(app)
def verify(
    desk: Desk,
    sample: options.Sample = None,
    full: options.Full = False,
    top: options.Top = None,
    seed: options.Seed = None,
    lock_ttl: options.LockTtl = "60s",
    wait_lock: options.WaitLock = None,
) -> None:
    """Compare entries with sums made by the server from the ledger. Exits 5 on a mismatch."""
    context_of = {"looking": options.looking(sample, top, seed, full)}
    with desk.connected() as session:
        if session.is_virgin():
            raise Mismatch(f"there is no leaderboard in {session.target.name} yet", hint="lbmigrate run")
        try:
            terms = options.terms(lock_ttl, wait_lock)
            climb(desk, session, runner.chosen(STEPS, only=5), session.context(**context_of), "verify", terms)
        finally:
            found = session.state.get("verdict")
            desk.console.verdict(found)
            desk.console.result({"verb": "verify", "verdict": found})


class Way(StrEnum):
    """Which way a switch goes."""

    on = "on"
    off = "off"


flags = typer.Typer(no_args_is_help=True, help="The feature flag: show, write on|off, read on|off.")
app.add_typer(flags, name="flag")


@verb(flags, "show")
def flag_show(desk: Desk) -> None:
    """Show the flag's document."""
    with desk.connected() as session:
        _show_flag(desk, session)


@verb(flags, "write")
def flag_write(desk: Desk, way: Annotated[Way, typer.Argument(help="on or off")]) -> None:
    """Whether the app records live actions."""
    _turn(desk, "write", way)


@verb(flags, "read")
def flag_read(desk: Desk, way: Annotated[Way, typer.Argument(help="on or off")]) -> None:
    """Whether the app shows the board. Turning it on is step 6, and as strict."""
    _turn(desk, "read", way)


def _turn(desk: Desk, side: feature_flag.Side, way: Way) -> None:
    with desk.connected() as session:
        if side == "read" and way is Way.on:
            list(STEPS[5].apply(session.context()))
        else:
            feature_flag.turn(session.target, session.config, side, way is Way.on, utc_now())
        _show_flag(desk, session)


def _show_flag(desk: Desk, session: Session) -> None:
    document = feature_flag.find(session.target, session.config)
    desk.console.flag(feature_flag.read(session.target, session.config), document)
    desk.console.result({"verb": "flag", "flag": document})
