"""A terminal whose server is in memory: an operator's whole way from a message to its end takes a second or two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lbmigrate.mongo import fake
from lbmigrate.run import connection
from lbmigrate.verify import again
from tests.apps import TASKS, session, task, user
from tests.terminal import Terminal, in_a_bare_place


@pytest.fixture(autouse=True)
def looked_at_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory nothing else writes while a verification looks at something again, so it need not wait."""
    monkeypatch.setattr(again, "WAITS", (0.0, 0.0, 0.0))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What every verb connects to, whatever the URI says."""
    with fake.client() as client:

        @contextmanager
        def opened(uri: str, watch: object = None) -> Iterator[Any]:
            yield client

        monkeypatch.setattr(connection, "open_client", opened)
        yield client


@pytest.fixture
def terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, client: Any
) -> Terminal:
    """A terminal at the database `app`, in a directory of its own, with no variable of the toolkit set."""
    in_a_bare_place(monkeypatch, tmp_path)
    made = Terminal(monkeypatch, capsys, tmp_path / "leaderboard.yaml", "mongodb://memory", "app")
    made.configure(TASKS)
    return made


@pytest.fixture
def app(client: Any, terminal: Terminal) -> Any:
    """Two users, six finished tasks and two sessions; not migrated yet."""
    database = client["app"]
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(6)])
    database["sessions"].insert_many([session(number) for number in range(2)])
    return database


@pytest.fixture
def migrated(app: Any, terminal: Terminal) -> Any:
    done = terminal("run")
    assert done.code == 0, done.err
    return app
