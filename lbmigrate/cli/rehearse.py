"""`run --dry-run`: the same steps and the same code on an in-memory target, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pymongo.database import Database

from lbmigrate.board.board import Board
from lbmigrate.checks import data
from lbmigrate.checks.finding import refuse
from lbmigrate.cli.desk import Desk
from lbmigrate.cli.running import REHEARSAL, climb
from lbmigrate.config.model import Config
from lbmigrate.errors import Mismatch
from lbmigrate.migration.steps import Step
from lbmigrate.records import Document
from lbmigrate.rehearsal import report
from lbmigrate.run.connection import Session, rehearse, shadow
from lbmigrate.run.context import Scope

SAMPLE_CHUNK = 500  # documents: small chunks spread a sample over the collection
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a dry run was asked for: fixtures instead of a server, where to keep the outcome, what it should be."""

    fixtures: Path | None = None
    out: Path | None = None
    expect: Path | None = None


def dry_run(desk: Desk, steps: Sequence[Step], scope: Scope, asked: Rehearsal) -> None:
    """Rehearse, report, keep and compare. Raises Mismatch when the outcome is not the expected one."""
    config = _sampled(desk.loaded().config, scope)
    with _stage(desk, config, asked.fixtures) as (session, present, check):
        refuse(data.check_data(session.context()))
        counts = climb(desk, session, steps, session.context(scope=scope), "run", REHEARSAL, check)
        told = {"counts": counts, **report.report(session.target)}
        moves = report.moves(present, session.target)
        _show(desk, config, session, told, moves)
        if asked.out:
            report.keep(session.target, asked.out)
            desk.console.note(f"kept the outcome in {asked.out}")
        differing = report.compare(session.target, asked.expect) if asked.expect else []
    desk.console.note("dry run: nothing was written to any server")
    result = {"verb": "run", "dry_run": True, **told, "moves": [asdict(move) for move in moves]}
    desk.console.result({**result, "differences": differing[: report.DIFFERENCES]})
    if differing:
        raise Mismatch(
            _differing(differing, asked.expect), hint="look at the differences; keep them with --out if right"
        )


def _sampled(config: Config, scope: Scope) -> Config:
    if scope.share == 1.0:
        return config
    small = min(config.backfill.chunk_size, SAMPLE_CHUNK)
    backfill = config.backfill.model_copy(update={"chunk_size": small, "target": None})
    return config.model_copy(update={"backfill": backfill})


@contextmanager
def _stage(
    desk: Desk, config: Config, fixtures: Path | None
) -> Iterator[tuple[Session, Database[Any], Callable[[], None]]]:
    """A session whose target is in memory, the database it stands for, and a check that nothing else was written."""
    if fixtures is not None:
        with rehearse(config, fixtures) as session:
            desk.console.header("in memory", config.database.name, f"fixtures from {fixtures}")
            yield session, session.client["nothing there yet"], lambda: None
        return
    with desk.explained(config), shadow(config) as (session, present, watch):
        desk.console.header(desk.shown_uri(config), config.database.name, "read only; the target is in memory")
        yield session, present, watch.check
        watch.check()


def _show(desk: Desk, config: Config, session: Session, told: Document, moves: list[report.Move]) -> None:
    desk.console.board("global", Board(session.target, config, session.sources).top("global", SHOWN))
    if told["rejects"]:
        desk.console.table("Rejects", ("reason", "documents"), told["rejects"].items())
    weeks = list(told["points_by_week"].items())[-SHOWN:]
    if weeks:
        desk.console.table("Points, newest weeks", ("week", "points"), weeks)
    if moves:
        rows = [(move.name or move.user, move.before or "-", move.after or "-") for move in moves]
        desk.console.table("On the present board", ("user", "before", "after"), rows)


def _differing(lines: Sequence[str], expect: Path | None) -> str:
    shown = "\n  ".join(lines[: report.DIFFERENCES])
    more = len(lines) - report.DIFFERENCES
    rest = f"\n  … and {more:,} more" if more > 0 else ""
    return f"the outcome differs from {expect} in {len(lines):,} documents:\n  {shown}{rest}"
