"""The demo: the whole migration on the embedded server, ending with the board."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lbmigrate import commands
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.commands._demo import in_memory, load_history
from lbmigrate.config.load import starter_config
from lbmigrate.config.model import Config
from lbmigrate.console.format import counted
from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.connection import Connection
from lbmigrate.values import extjson

app = new_app()

SIZES = {"users": 2_000, "tasks": 100_000, "sessions": 30_000}
SIZES_IN_MEMORY = {"users": 200, "tasks": 5_000, "sessions": 1_500}
Users = Annotated[
    int | None, typer.Option(envvar="LBMIGRATE_DEMO_USERS", min=1, help="Generated users: 2,000; in memory 200.")
]
Tasks = Annotated[
    int | None, typer.Option(envvar="LBMIGRATE_DEMO_TASKS", min=0, help="Generated tasks: 100,000; in memory 5,000.")
]
Sessions = Annotated[
    int | None, typer.Option(envvar="LBMIGRATE_DEMO_SESSIONS", min=0, help="And sessions: 30,000; in memory 1,500.")
]


@verb(app, "lbmigrate demo", "lbmigrate demo --users 50 --tasks 2000 --keep demo-data")
def demo(
    this: Invocation,
    users: Users = None,
    tasks: Tasks = None,
    sessions: Sessions = None,
    data: Annotated[Path | None, typer.Option(envvar="LBMIGRATE_DATA", help="Take *.ndjson[.gz] from here.")] = None,
    keep: Annotated[Path | None, typer.Option(envvar="LBMIGRATE_KEEP", help="Keep the server's data here.")] = None,
) -> None:
    """Run the whole migration on the embedded server, on generated or given history.

    Where no server can run it is the in-memory database, with less of everything.
    """
    if data is not None:
        extjson.collections(data)  # complains about an unusable directory before a server starts
    given = {"users": users, "tasks": tasks, "sessions": sessions}
    with _stage(this, keep) as connection:
        usual = SIZES_IN_MEMORY if is_fake(connection.target) else SIZES
        sizes = {name: usual[name] if size is None else size for name, size in given.items()}
        loaded = load_history(connection, data=data, **sizes)
        this.console.note("loaded " + ", ".join(counted(count, name) for name, count in loaded.items()))
        with this.running() as terms:
            found = commands.demo(connection, terms=terms)
    this.console.board("global", found.places)
    this.console.note(_next(this, keep))
    this.console.result({"verb": "demo", "loaded": loaded, **found.summary})


def _next(this: Invocation, keep: Path | None) -> str:
    if keep is None:
        return (
            "all of it is gone again; next: lbmigrate demo --keep DIR to look around, lbmigrate config init --uri URI"
        )
    uri = shlex.quote(f"local:{keep}")
    if this.path is not None:
        return f"kept in {keep}; next: lbmigrate status --config {shlex.quote(str(this.path))} --uri {uri}"
    return f"kept in {keep}; next: lbmigrate config init --template, then: lbmigrate status --uri {uri}"


@contextmanager
def _stage(this: Invocation, keep: Path | None) -> Iterator[Connection]:
    """The embedded server, or where none can run the in-memory database. Only a server's data can be kept."""
    with _directory(keep) as directory, ExitStack() as stack:
        config = _configured(this, f"local:{directory}")
        try:
            found = stack.enter_context(this.connected(config))
        except LbmigrateError as error:
            if keep is not None or isinstance(error, UsageError):
                raise
            found = stack.enter_context(in_memory(config))
            this.header(config, server="in memory")
            this.console.note(f"no server can run here, so it is the in-memory database: {_why(error)}")
        yield found


def _why(error: LbmigrateError) -> str:
    """In a line: of a server that did not start the last that it said."""
    return error.details[-1] if error.details else error.message


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
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
