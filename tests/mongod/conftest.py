from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo.database import Database

from lbmigrate.mongo.process import find_running
from lbmigrate.records import Document
from tests.apps import session, task, user
from tests.terminal import Terminal, in_a_bare_place


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory for a server; whatever still runs on it afterwards is stopped."""
    yield tmp_path
    while server := find_running(tmp_path):
        server.process.kill()
        server.process.wait()


@pytest.fixture
def terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    server_uri: str,
    database: Database[Document],
) -> Terminal:
    """A terminal at the test's own database, in a directory of its own, with no variable of the toolkit set."""
    in_a_bare_place(monkeypatch, tmp_path)
    terminal = Terminal(monkeypatch, capsys, tmp_path / "leaderboard.yaml", server_uri, database.name)
    terminal.configure()
    return terminal


@pytest.fixture
def migrated(database: Database[Document], terminal: Terminal) -> Database[Document]:
    """An app with three users, migrated, with nothing new since."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(12)])
    assert terminal("run").code == 0
    return database
