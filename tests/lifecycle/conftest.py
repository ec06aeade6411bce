"""What these tests promise holds on the in-memory fake and on a real server alike, so each runs on both."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database

from lbmigrate.mongo import fake


@pytest.fixture(params=["fake", "mongod"])
def anyclient(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of either kind; the fake is new for each test."""
    if request.param == "mongod":
        yield request.getfixturevalue("client")
        return
    with fake.client() as client:
        yield client


@pytest.fixture
def database(anyclient: Any) -> Iterator[Database[Any]]:
    """An empty database that nobody else uses."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield anyclient[name]
    for made in anyclient.list_database_names():
        if made.startswith(name):
            anyclient.drop_database(made)
