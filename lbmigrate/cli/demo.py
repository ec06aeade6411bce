"""The demo: the whole migration on the embedded server, ending with the board."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.commands._demo import load_history
from lbmigrate.config.load import starter_config
from lbmigrate.config.model import Config
from lbmigrate.values import extjson

app = new_app()


@verb(app)
def demo(
    this: Invocation,
    users: Annotated[int, typer.Option(envvar="LBMIGRATE_DEMO_USERS", min=1, help="Generated users.")] = 2_000,
    tasks: Annotated[int, typer.Option(envvar="LBMIGRATE_DEMO_TASKS", min=0, help="Generated tasks.")] = 100_000,
    sessions: Annotated[int, typer.Option(envvar="LBMIGRATE_DEMO_SESSIONS", min=0, help="And sessions.")] = 30_000,
    data: Annotated[Path | None, typer.Option(envvar="LBMIGRATE_DATA", help="Take *.ndjson[.gz] from here.")] = None,
    keep: Annotated[Path | None, typer.Option(envvar="LBMIGRATE_KEEP", help="Keep the server's data here.")] = None,
) -> None:
    """Run the whole migration on the embedded server, on generated or given history."""
    if data is not None:
        extjson.collections(data)  # complains about an unusable directory before a server starts
    with _stage(keep) as directory, this.connected(_configured(this, f"local:{directory}")) as connection:
        loaded = load_history(connection, data=data, users=users, tasks=tasks, sessions=sessions)
        this.console.note("loaded " + ", ".join(f"{count:,} {name}" for name, count in loaded.items()))
        with this.running() as terms:
            found = commands.demo(connection, terms=terms)
    this.console.board("global", found.places)
    this.console.result({"verb": "demo", "loaded": loaded, **found.summary})


@contextmanager
def _stage(keep: Path | None) -> Iterator[Path]:
    """Where the embedded server's data lives: a directory that is kept, or one that goes with the demo."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="lbmigrate-demo-") as directory:
        yield Path(directory)


def _configured(this: Invocation, uri: str) -> Config:
    """The given configuration, or the starter's, always on the embedded server: a demo never touches another."""
    if this.path is not None:
        return this.loaded(**{"database.uri": uri}).config
    return starter_config({**this.overrides, "database.uri": uri})
