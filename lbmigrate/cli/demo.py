"""The demo: the whole migration on the embedded server, ending with the board."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate import demodata
from lbmigrate.board.board import Board
from lbmigrate.checks import data
from lbmigrate.checks.finding import refuse
from lbmigrate.cli.desk import Desk, verb
from lbmigrate.config.load import starter_config
from lbmigrate.config.model import Config
from lbmigrate.migration import runner
from lbmigrate.migration.steps import STEPS
from lbmigrate.rehearsal.outcome import summary
from lbmigrate.run.connection import Session
from lbmigrate.run.context import utc_now
from lbmigrate.run.stop import Brake
from lbmigrate.values import extjson

app = typer.Typer()


@verb(app)
def demo(
    desk: Desk,
    users: Annotated[int, typer.Option(envvar="LBMIGRATE_DEMO_USERS", min=1, help="Generated users.")] = 2_000,
    tasks: Annotated[int, typer.Option(envvar="LBMIGRATE_DEMO_TASKS", min=0, help="Generated tasks.")] = 100_000,
    sessions: Annotated[int, typer.Option(envvar="LBMIGRATE_DEMO_SESSIONS", min=0, help="And sessions.")] = 30_000,
    data: Annotated[Path | None, typer.Option(envvar="LBMIGRATE_DATA", help="Take *.ndjson[.gz] from here.")] = None,
    keep: Annotated[Path | None, typer.Option(envvar="LBMIGRATE_KEEP", help="Keep the server's data here.")] = None,
) -> None:
    """Run the whole migration on the embedded server, on generated or given history."""
    if data is not None:
        extjson.collections(data)  # complains about an unusable directory before a server starts
    with _stage(keep) as directory:
        config = _configured(desk, f"local:{directory}")
        with desk.connected(config) as session:
            loaded = _load(session, data, {"users": users, "tasks": tasks, "sessions": sessions})
            desk.console.note("loaded " + ", ".join(f"{count:,} {name}" for name, count in loaded.items()))
            _migrate(desk, session)
            desk.console.board("global", Board(session.target, config).top("global", 10))
            outcome = summary(session.target)
    desk.console.result({"verb": "demo", "loaded": loaded, **outcome})


@contextmanager
def _stage(keep: Path | None) -> Iterator[Path]:
    """Where the embedded server's data lives: a directory that is kept, or one that goes with the demo."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="lbmigrate-demo-") as directory:
        yield Path(directory)


def _configured(desk: Desk, uri: str) -> Config:
    """The given configuration, or the starter's, always on the embedded server: a demo never touches another."""
    if desk.path is not None:
        return desk.loaded(**{"database.uri": uri}).config
    return starter_config({**desk.overrides, "database.uri": uri})


def _load(session: Session, data: Path | None, sizes: dict[str, int]) -> dict[str, int]:
    if data is not None:
        return extjson.load(data, session.sources, session.config.collections)
    counts = {}
    for name, documents in demodata.generate(**sizes, end=utc_now().replace(microsecond=0)).items():
        counts[name] = 0
        while some := list(islice(documents, 10_000)):
            counts[name] += len(session.sources[name].insert_many(some).inserted_ids)
    return counts


def _migrate(desk: Desk, session: Session) -> None:
    refuse(data.check_data(session.context()))
    brake = Brake()
    with desk.heeding_signals(brake):
        context = session.context(run=runner.new_run(), brake=brake, workers=session.config.backfill.workers)
        lease = session.lease("lbmigrate demo")
        with runner.recorded(context, lease, "demo", {}):
            desk.console.follow(runner.climb(context, STEPS, lease.check))
            brake.release("lbmigrate demo")
