"""The verbs that correct what is recorded: reconcile, forget."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict, replace
from itertools import islice
from typing import Annotated

import typer

from lbmigrate.checks import server
from lbmigrate.checks.finding import refuse
from lbmigrate.cli import options
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.cli.running import running
from lbmigrate.errors import Refused, UsageError
from lbmigrate.ledger import forget
from lbmigrate.migration import runner
from lbmigrate.reconcile import reconcile
from lbmigrate.records import Document, amount
from lbmigrate.run.connection import Session
from lbmigrate.run.context import Context

LISTED = 1_000  # adjustments that a dry run shows one by one
COLUMNS = ("adjustment", "user", "points", "reason", "at")

app = typer.Typer()


@verb(app, "reconcile")
def reconciling(
    desk: Desk,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", envvar="LBMIGRATE_DRY_RUN", help="List the adjustments, and write nothing.")
    ] = False,
    max_runtime: options.MaxRuntime = None,
    max_docs: options.MaxDocs = None,
    between: options.Between = None,
    workers: options.Workers = None,
    lock_ttl: options.LockTtl = "60s",
    wait_lock: options.WaitLock = None,
) -> None:
    """Add adjustment events for tasks that were undone, moved or are worth something else by now."""
    with desk.connected() as session:
        context = session.context()
        if session.is_virgin():
            raise UsageError(f"there is no leaderboard in {session.target.name} yet", hint="lbmigrate run")
        refuse(server.check_everything(context))
        if dry_run:
            _list(desk, context)
            return
        limits = options.limits(session.config, max_runtime, max_docs, between)
        terms = options.terms(lock_ttl, wait_lock, limits, workers)
        context = replace(context, workers=workers or session.config.backfill.workers)
        with running(desk, session, context, "reconcile", terms) as (started, guard):
            work = runner.carry_out(started, reconcile.NUMBER, reconcile.NAME, reconcile.pieces(started), guard)
            counts = desk.console.follow(work)
        reasons = reconcile.told(context)
        desk.console.note(_summary(reasons))
    desk.console.result({"verb": "reconcile", "counts": asdict(counts), "adjustments": reasons})


def _list(desk: Desk, context: Context) -> None:
    """Every adjustment that is due, the first of them one by one."""
    reasons: Counter[str] = Counter()
    listed: list[Document] = []
    for found in reconcile.differences(context):
        reasons += found.reasons
        listed += islice(found.due, LISTED - len(listed))
    rows = [(e["_id"], e["userId"], e["points"], e["meta"]["reason"], e["createdAt"]) for e in listed]
    desk.console.table("Adjustments", COLUMNS, rows)
    if reasons.total() > len(rows):
        desk.console.note(f"and {amount(reasons.total() - len(rows), 'more adjustment')}")
    desk.console.note(f"dry run: {_summary(reasons)}; nothing was written")
    desk.console.result({"verb": "reconcile", "dry_run": True, "adjustments": reasons, "listed": listed})


def _summary(reasons: dict[str, int]) -> str:
    told = ", ".join(f"{number:,} {reason}" for reason, number in sorted(reasons.items()))
    return told or "every source agrees with the ledger"


@verb(app, "forget")
def forgetting(
    desk: Desk,
    user: Annotated[str, typer.Argument(help="The user's id, as in the users collection.")],
    yes: options.Yes = False,
    lock_ttl: options.LockTtl = "60s",
    wait_lock: options.WaitLock = None,
) -> None:
    """Take a user out for good: the entries go, the events stay under a tombstone, and later ones are left out."""
    with desk.connected() as session:
        if session.is_virgin():
            raise UsageError(f"there is no leaderboard in {session.target.name} yet", hint="lbmigrate run")
        context = session.context()
        forget.check(context, user)
        _confirm(desk, session, user, yes)
        terms = options.terms(lock_ttl, wait_lock)
        # Neither the record of the run nor the lock may tell who it was.
        with running(desk, session, context, "forget", terms, "lbmigrate forget USER --yes") as (started, guard):
            work = runner.carry_out(started, forget.NUMBER, forget.NAME, forget.pieces(started, user), guard)
            desk.console.follow(work)
    desk.console.result({"verb": "forget", "forgotten": True})


def _confirm(desk: Desk, session: Session, user: str, yes: bool) -> None:
    """A user goes only when somebody typed the id again, or `--yes`: there is no way back."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("forget asks before it takes a user out, and there is no terminal to ask on", "add --yes")
    desk.console.warning(f"this takes a user of {session.target.name} out for good")
    if typer.prompt("type the user's id again to go on", err=True) != user:
        raise Refused("that is not the same id; nothing was changed", hint="lbmigrate rank USER")
