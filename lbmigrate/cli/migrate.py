"""The verbs that change something: run, backfill, verify, rollback, flag."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate import doctor, flag, runner
from lbmigrate.board import Board
from lbmigrate.cli import options
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.context import Context, Scope, utc_now
from lbmigrate.errors import Mismatch, Refused, UsageError
from lbmigrate.models import Document
from lbmigrate.outcome import summary
from lbmigrate.session import Session, rehearse
from lbmigrate.steps import STEPS, Step

app = typer.Typer()


@verb(app)
def run(
    desk: Desk,
    to: options.To = None,
    only: options.Only = None,
    since: options.Since = None,
    until: options.Until = None,
    workers: options.Workers = None,
    dry_run: options.DryRun = False,
    fixtures: options.Fixtures = None,
    lock_ttl: options.LockTtl = "60s",
) -> None:
    """Apply what is pending, resuming where it stopped."""
    steps = runner.chosen(STEPS, to, only)
    bounds = options.scope(since, until)
    if dry_run or fixtures:
        _rehearsal(desk, steps, bounds, fixtures)
        return
    with desk.connected() as session:
        context = session.context(scope=bounds)
        doctor.refuse(context)
        totals = _climb(desk, session, steps, context, "run", workers, lock_ttl)
    desk.console.result({"verb": "run", "counts": totals})


@verb(app)
def backfill(
    desk: Desk,
    since: options.Since = None,
    until: options.Until = None,
    user: options.User = None,
    full: Annotated[bool, typer.Option(envvar="LBMIGRATE_FULL", help="Read everything again.")] = False,
    workers: options.Workers = None,
    lock_ttl: options.LockTtl = "60s",
) -> None:
    """Step 4 alone, incremental: events and entries for what is new or changed. What cron calls."""
    bounds = options.scope(since, until, user, full)
    with desk.connected() as session:
        context = session.context(scope=bounds)
        doctor.refuse(context)
        totals = _climb(desk, session, runner.chosen(STEPS, only=4), context, "backfill", workers, lock_ttl)
    desk.console.result({"verb": "backfill", "counts": totals})


@verb(app)
def verify(
    desk: Desk,
    sample: options.Sample = None,
    full: options.Full = False,
    top: options.Top = None,
    seed: options.Seed = None,
    lock_ttl: options.LockTtl = "60s",
) -> None:
    """Compare entries with sums made by the server from the ledger. Exits 5 on a mismatch."""
    context_of = {"looking": options.looking(sample, top, seed, full)}
    with desk.connected() as session:
        if session.is_virgin():
            raise Mismatch(f"there is no leaderboard in {session.target.name} yet", hint="lbmigrate run")
        try:
            _climb(desk, session, runner.chosen(STEPS, only=5), session.context(**context_of), "verify", None, lock_ttl)
        finally:
            found = session.state.get("verdict")
            desk.console.verdict(found)
            desk.console.result({"verb": "verify", "verdict": found})


@verb(app)
def rollback(
    desk: Desk,
    to: Annotated[int, typer.Option(envvar="LBMIGRATE_TO", min=0, max=5, help="The step to come down to.")] = 0,
    keep_data: Annotated[bool, typer.Option(envvar="LBMIGRATE_KEEP_DATA", help="Turn off, remove nothing.")] = False,
    yes: options.Yes = False,
    lock_ttl: options.LockTtl = "60s",
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
        with _running(desk, session, context, "rollback", lock_ttl) as (running, guard):
            desk.console.follow(runner.descend(running, steps, guard))
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


# --- running -----------------------------------------------------------------------------------------------------


def _climb(
    desk: Desk,
    session: Session,
    steps: Sequence[Step],
    context: Context,
    word: str,
    workers: int | None,
    lock_ttl: str,
) -> Document:
    """Take the lease, apply the steps, and tell what became of the documents."""
    context = replace(context, workers=workers or session.config.backfill.workers)
    with _running(desk, session, context, word, lock_ttl) as (running, guard):
        counts = desk.console.follow(runner.climb(running, steps, guard))
    return asdict(counts)


@contextmanager
def _running(
    desk: Desk, session: Session, context: Context, word: str, lock_ttl: str
) -> Iterator[tuple[Context, runner.Guard]]:
    """A recorded run under the lease that heeds signals; ends in Stopped when one came."""
    again = shlex.join(["lbmigrate", *sys.argv[1:]])
    lease = session.lease(again, options.seconds(lock_ttl, "--lock-ttl"))
    with desk.heeding_signals() as request:
        running = replace(context, run=runner.new_run(), stopping=request)
        with runner.recorded(running, lease, word, {"command": again}):
            yield running, lease.check
            request.raise_if_asked(again)


# --- rehearsing --------------------------------------------------------------------------------------------------


def _rehearsal(desk: Desk, steps: Sequence[Step], bounds: Scope, fixtures: Path | None) -> None:
    """The same steps on an in-memory database. Nothing is written to any server."""
    if fixtures is None:
        raise UsageError("a dry run needs documents to rehearse on", "add --fixtures DIR that holds tasks.ndjson …")
    config = desk.loaded().config
    with rehearse(config, fixtures) as session:
        desk.console.header("in memory", config.database.name, f"fixtures from {fixtures}")
        doctor.refuse(session.context())
        context = session.context(scope=bounds)
        totals = _climb(desk, session, steps, context, "run", 1, "60s")
        outcome = summary(session.target)
        desk.console.board("global", Board(session.target, config).top("global", 10))
    desk.console.note("dry run: nothing was written to any server")
    desk.console.result({"verb": "run", "dry_run": True, "counts": totals, **outcome})
