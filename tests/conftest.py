"""The real server for the tests that need one: one for the whole session, a database of its own for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
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

# The same examples every time and no deadlines; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("quick", settings.get_profile("ci"), max_examples=30)
settings.load_profile("quick")


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
    with embedded.serve(tmp_path_factory.mktemp("server")) as uri:
        yield uri


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
