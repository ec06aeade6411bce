"""A dry run: the same steps and the same code on a target of its own, and what that came to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.board.board import Board
from lbmigrate.board.order import BY_USER, Order
from lbmigrate.board.place import Place
from lbmigrate.checks.data import check_data
from lbmigrate.checks.finding import refuse
from lbmigrate.config.model import Config
from lbmigrate.migration import runner
from lbmigrate.migration import steps as migration
from lbmigrate.migration.driver import Guard, chosen, unguarded
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import BACKFILL
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.records import Counts, Document
from lbmigrate.rehearsal import fixtures as files
from lbmigrate.rehearsal import report
from lbmigrate.rehearsal.engine import Engine, choose
from lbmigrate.rehearsal.report import Move
from lbmigrate.rehearsal.shifts import Shift, shifts
from lbmigrate.rehearsal.told import rehearsed
from lbmigrate.run.connection import Connection, explained, shadow
from lbmigrate.run.context import Scope
from lbmigrate.state import State, layouts

SAMPLE_CHUNK = 500  # documents: small chunks spread a sample over the collection
SHOWN = 10
SERVER = "server"  # which decides the filters where the sources are the real ones
DAY = 86_400.0  # seconds: nobody else can reach an in-memory database


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a dry run came to: counts, digests and samples, the top of the board, what was expected of it.

    And beside the present board: who would move, and which actions would be worth something else.
    """

    report: Document
    places: list[Place]
    moves: list[Move]
    shifts: list[Shift]
    differences: list[str]


def dry_run(
    config: Config,
    *,
    to: int | None = None,
    only: int | None = None,
    scope: Scope = Scope(),
    fixtures: Path | None = None,
    engine: Engine | str = Engine.AUTO,
    out: Path | None = None,
    expect: Path | None = None,
    terms: Terms = Terms(),
) -> DryRun:
    """Rehearse on the real sources, or on exported files in `fixtures`; nothing is written to any server.

    The outcome is kept in `out`, and compared with one that was kept in `expect`. `scope.share` reads a part. On files,
    `engine` says what decides the filters (`rehearsal.engine.choose`); the report has what did, `server` for the real
    one. Raises Refused if anything else would have been written.
    """
    steps, scope = chosen(migration.STEPS, to, only), replace(scope, lasting=True)
    terms = replace(terms, lock_ttl=DAY, wait_lock=0.0, workers=1, listen=rehearsed(terms.listen))
    chosen_engine = choose(config, fixtures, Engine(engine)).engine if fixtures else None
    with _stage(_sampled(config, scope), fixtures, chosen_engine) as (connection, present, check):
        refuse(check_data(connection.context()))
        with runner.started(connection, "run", terms, guard=check, bears=None, scope=scope) as driver:
            counts = driver.apply(steps).get(BACKFILL.NAME) or Counts()
        came_to = report.report(connection.target)
        found = {"engine": chosen_engine or SERVER, "counts": asdict(counts), **came_to}  # type: ignore[call-overload]
        ordered = Order(config.ranking.order[1])
        if out:
            report.keep(connection.target, out)
        return DryRun(
            report=found,
            places=Board(connection.target, connection.config, connection.sources).top("global", SHOWN),
            moves=report.moves(present, connection.target, config.ranking.ties, (_order_of(config, present), ordered)),
            shifts=shifts(present, connection.target) if scope.share == 1.0 else [],
            differences=report.compare(connection.target, expect) if expect else [],
        )


def _order_of(config: Config, present: Database[Any]) -> Order:
    """The order of those who share a score on the present board, as far as the state may be read."""
    try:
        return Order(layouts.layout(State(present.client[config.state.database or present.name])).order)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return BY_USER


def _sampled(config: Config, scope: Scope) -> Config:
    config = config.model_copy(update={"layout": "single"})  # in memory: what entries say does not depend on it
    if scope.share == 1.0:
        return config
    small = min(config.backfill.chunk_size, SAMPLE_CHUNK)
    backfill = config.backfill.model_copy(update={"chunk_size": small, "target": None})
    return config.model_copy(update={"backfill": backfill})


@contextmanager
def _stage(
    config: Config, fixtures: Path | None, engine: Engine | None
) -> Iterator[tuple[Connection, Database[Any], Guard]]:
    """A connection to a target of its own, the database it stands for, and a check that nothing else was written."""
    if fixtures is not None and engine is not None:
        with files.loaded(config, fixtures, engine) as connection:
            yield connection, connection.client["nothing_there_yet"], unguarded
        return
    with explained(config), shadow(config) as (connection, present, watch):
        yield connection, present, watch.check
        watch.check()
