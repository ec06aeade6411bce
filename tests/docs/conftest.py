"""A small app to try documents and jobs on: a scratch directory, a database with a history, and a command line."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
from bson import json_util
from pymongo.database import Database

from lbmigrate import demodata
from lbmigrate.cli.main import status
from lbmigrate.commands import _propose
from lbmigrate.mongo import fake
from lbmigrate.run import connection
from lbmigrate.verify import again
from tests.valkey import Valkey, running

END = dt.datetime(2025, 11, 3)
MEMORY = "mongodb://memory"


@dataclass(frozen=True)
class Said:
    """What a command came to: its exit status, and everything that it printed."""

    status: int
    text: str


Run = Callable[[Sequence[str]], Said]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a new one, with none of the caller's settings in the environment."""
    for variable in [name for name in os.environ if name.startswith("LBMIGRATE_") and name != "LBMIGRATE_MONGOD"]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> tuple[Database[Any], str]:
    """The app's database and its server's URI: on a server, or with the parameter `memory` in memory."""
    if getattr(request, "param", "server") == "memory":
        opened: Callable[[str], Any] = request.getfixturevalue("memory")
        return opened(MEMORY)["app"], MEMORY
    return request.getfixturevalue("database"), request.getfixturevalue("server_uri")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Let each URI lead to an in-memory database of its own, also in the Python of a document."""
    with ExitStack() as stack:
        clients: dict[str, Any] = {}

        def client(uri: str) -> Any:
            return clients[uri] if uri in clients else clients.setdefault(uri, stack.enter_context(fake.client()))

        @contextmanager
        def opened(uri: str, watch: object = None) -> Iterator[Any]:
            yield client(uri)

        for module, name in ((connection, "open_client"), (_propose, "open_client"), (pymongo, "MongoClient")):
            monkeypatch.setattr(module, name, opened)
        monkeypatch.setattr(again, "WAITS", (0.0, 0.0, 0.0))  # nothing else writes meanwhile
        yield client


@pytest.fixture
def app(stage: tuple[Database[Any], str], scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Database[Any]:
    """The app's database, with the same documents in ./fixtures; the environment leads every command there."""
    database, server_uri = stage
    sizes = (20, 300, 120) if server_uri == MEMORY else (60, 1_500, 600)
    (scratch / "fixtures").mkdir()
    for name, documents in demodata.generate(*sizes, end=END).items():
        some = list(documents)
        lines = "".join(json_util.dumps(document) + "\n" for document in some)
        (scratch / "fixtures" / f"{name}.ndjson").write_text(lines, "utf-8")
        database[name].insert_many(some)
    monkeypatch.setenv("MONGODB_URI", server_uri)
    monkeypatch.setenv("LBMIGRATE_DATABASE", database.name)
    return database


@pytest.fixture
def run(scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line, `lbmigrate` first, in this process."""

    def lbmigrate(words: Sequence[str]) -> Said:
        assert words[0] == "lbmigrate", words
        monkeypatch.setattr(sys, "argv", list(words))
        number = status(list(words[1:]))
        said = capsys.readouterr()
        return Said(number, said.err + said.out)

    return lbmigrate


@pytest.fixture
def migrated(app: Database[Any], run: Run) -> Database[Any]:
    """The app where every job and most runbooks begin: configured, filled, verified, shown."""
    for command in ("lbmigrate config init --template", "lbmigrate run --no-backup"):
        said = run(command.split())
        assert said.status == 0, said.text
    return app


@pytest.fixture
def valkey(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """A Valkey that the environment leads every command to."""
    with running(tmp_path) as server:
        monkeypatch.setenv("LBMIGRATE_REDIS_URL", server.url)
        yield server
