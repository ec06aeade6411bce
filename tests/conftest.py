"""The real server for the tests that need one: one for the whole session, a database of its own for each test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from pymongo import MongoClient
from pymongo.database import Database

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.program import find_mongod
from lbmigrate.records import Document

MEMORY, ROOM = Path("/dev/shm"), 4 * 1024**3  # a server of the tests holds a few hundred megabytes

# The same examples every time and no deadlines; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=20)
settings.load_profile("quick")

# A job in a script's background ignores Ctrl-C, and so would every process that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `make test-slow` what a quick run has seen: on a server, the cases of a test but for the first.

    Of what holds in memory and on a server alike, a quick run sees the half in memory; of the cases of a `sampled`
    test every fourth.
    """
    begun: Counter[tuple[str, bool]] = Counter()
    for item in items:
        case = getattr(item, "callspec", None)
        on_server = case is not None and case.params.get("anyclient") == "mongod"
        kind = item.nodeid.partition("[")[0], on_server
        repeated = case is not None and "mongod" in item.path.parts and begun[kind] > 0
        left_out = case is not None and item.get_closest_marker("sampled") and begun[kind] % 4
        if repeated or left_out or on_server:
            item.add_marker(pytest.mark.slow)
        begun[kind] += 1


@pytest.fixture(scope="session")
def mongod() -> Path:
    """The program that the embedded server runs; without one the test is skipped."""
    try:
        return find_mongod()
    except LbmigrateError as error:
        pytest.skip(f"{error}; {error.hint}")


@pytest.fixture(scope="session")
def server_uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the tests' own, or the one that MONGODB_TEST_URI names."""
    given = os.environ.get("MONGODB_TEST_URI")
    if given:
        yield given
        return
    request.getfixturevalue("mongod")
    with _in_memory() as directory, embedded.serve(directory or tmp_path_factory.mktemp("server")) as uri:
        yield uri


@contextmanager
def _in_memory() -> Iterator[Path | None]:
    """A directory that no disk has to be waited for, where the machine has one with room."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        yield None
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="lbmigrate-tests-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def client(server_uri: str) -> Iterator[MongoClient[Document]]:
    """A client as the product opens it."""
    with open_client(server_uri) as client:
        yield client


@pytest.fixture
def database(client: MongoClient[Document]) -> Iterator[Database[Document]]:
    """An empty database that nobody else uses."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield client[name]
    client.drop_database(name)
