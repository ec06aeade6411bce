"""A dry run: the same steps and the same code on an in-memory target, and what that came to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pymongo.database import Database

from lbmigrate.board.board import Board
from lbmigrate.board.place import Place
from lbmigrate.checks.data import check_data
from lbmigrate.checks.finding import refuse
from lbmigrate.config.model import Config
from lbmigrate.migration import runner
from lbmigrate.migration import steps as migration
from lbmigrate.migration.driver import Guard, chosen, unguarded
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import s4_backfill
from lbmigrate.records import Counts, Document
from lbmigrate.rehearsal import fixtures as files
from lbmigrate.rehearsal import report
from lbmigrate.rehearsal.report import Move
from lbmigrate.run.connection import Connection, explained, shadow
from lbmigrate.run.context import Scope

SAMPLE_CHUNK = 500  # documents: small chunks spread a sample over the collection
SHOWN = 10
DAY = 86_400.0  # seconds: nobody else can reach an in-memory database


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a dry run came to: counts, digests and samples, the top of the board, who would move, what was expected."""

    report: Document
    places: list[Place]
    moves: list[Move]
    differences: list[str]


def dry_run(
    config: Config,
    *,
    to: int | None = None,
    only: int | None = None,
    scope: Scope = Scope(),
    fixtures: Path | None = None,
    out: Path | None = None,
    expect: Path | None = None,
    terms: Terms = Terms(),
) -> DryRun:
    """Rehearse on the real sources, or on exported files in `fixtures`; nothing is written to any server.

    The outcome is kept in `out`, and compared with one that was kept in `expect`. `scope.share` reads a part.
    Raises Refused if anything else would have been written.
    """
    steps = chosen(migration.STEPS, to, only)
    terms = replace(terms, lock_ttl=DAY, wait_lock=0.0, workers=1)
    with _stage(_sampled(config, scope), fixtures) as (connection, present, check):
        refuse(check_data(connection.context()))
        with runner.started(connection, "run", terms, guard=check, scope=scope) as driver:
            counts = driver.apply(steps).get(s4_backfill.NAME) or Counts()
        found = {"counts": asdict(counts), **report.report(connection.target)}  # type: ignore[call-overload]  # a record
        if out:
            report.keep(connection.target, out)
        return DryRun(
            report=found,
            places=Board(connection.target, connection.config, connection.sources).top("global", SHOWN),
            moves=report.moves(present, connection.target),
            differences=report.compare(connection.target, expect) if expect else [],
        )


def _sampled(config: Config, scope: Scope) -> Config:
    if scope.share == 1.0:
        return config
    small = min(config.backfill.chunk_size, SAMPLE_CHUNK)
    backfill = config.backfill.model_copy(update={"chunk_size": small, "target": None})
    return config.model_copy(update={"backfill": backfill})


@contextmanager
def _stage(config: Config, fixtures: Path | None) -> Iterator[tuple[Connection, Database[Any], Guard]]:
    """A connection whose target is in memory, the database it stands for, and a check that nothing else was written."""
    if fixtures is not None:
        with files.loaded(config, fixtures) as connection:
            yield connection, connection.client["nothing there yet"], unguarded
        return
    with explained(config), shadow(config) as (connection, present, watch):
        yield connection, present, watch.check
        watch.check()
