"""The verbs that change something: run, backfill, verify, rollback, flag."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from lbmigrate import doctor, flag, runner
from lbmigrate.cli import options, rehearse
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.cli.running import climb, running
from lbmigrate.context import utc_now
from lbmigrate.errors import Mismatch, Refused, UsageError
from lbmigrate.session import Session
from lbmigrate.steps import STEPS, Step

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
        doctor.refuse(context)
        limits = options.limits(session.config, max_runtime, max_docs, between)
        terms = options.terms(lock_ttl, wait_lock, limits, workers)
        totals = climb(desk, session, steps, context, "run", terms)
    desk.console.result({"verb": "run", "counts": totals})


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
        doctor.refuse(context)
        limits = options.limits(session.config, max_runtime, max_docs, between)
        terms = options.terms(lock_ttl, wait_lock, limits, workers)
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


@verb(app)
def rollback(
    desk: Desk,
    to: Annotated[int, typer.Option(envvar="LBMIGRATE_TO", min=0, max=5, help="The step to come down to.")] = 0,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", envvar="LBMIGRATE_KEEP_DATA", help="Turn off, remove nothing.")
    ] = False,
    yes: options.Yes = False,
    lock_ttl: options.LockTtl = "60s",
    wait_lock: options.WaitLock = None,
) -> None:
    """Walk the steps down: flags off first, then what this migration made, and nothing else."""
    with desk.connected() as session:
        if session.is_virgin():
            desk.console.note(f"nothing to roll back in {session.target.name}")
            desk.console.result({"verb": "rollback", "steps": []})
            return
        steps = [step for step in STEPS if to < step.NUMBER]
        _confirm(desk, session, steps, yes)
        context = session.context(keep_data=keep_data)
        with running(desk, session, context, "rollback", options.terms(lock_ttl, wait_lock)) as (started, guard):
            desk.console.follow(runner.descend(started, steps, guard))
    desk.console.result({"verb": "rollback", "steps": [step.NUMBER for step in reversed(steps)]})


def _confirm(desk: Desk, session: Session, steps: Sequence[Step], yes: bool) -> None:
    """Data goes only when somebody typed the database's name, or `--yes`."""
    if yes:
        return
    names = ", ".join(f"{step.NUMBER} {step.NAME}" for step in reversed(steps))
    if not sys.stdin.isatty():
        raise UsageError("rollback asks before it removes data, and there is no terminal to ask on", "add --yes")
    desk.console.warning(f"this reverts {names} in {session.target.name}")
    if typer.prompt("type the database's name to go on", err=True) != session.target.name:
        raise Refused("that is not the database's name; nothing was changed", hint="lbmigrate plan")


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


def _turn(desk: Desk, side: flag.Side, way: Way) -> None:
    with desk.connected() as session:
        if side == "read" and way is Way.on:
            list(STEPS[5].apply(session.context()))
        else:
            flag.turn(session.target, session.config, side, way is Way.on, utc_now())
        _show_flag(desk, session)


def _show_flag(desk: Desk, session: Session) -> None:
    document = flag.find(session.target, session.config)
    desk.console.flag(flag.read(session.target, session.config), document)
    desk.console.result({"verb": "flag", "flag": document})
