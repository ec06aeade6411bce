"""Three servers: a run waits for a secondary that lags, and outlives its primary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbmigrate import testing
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.concerns import durable
from lbmigrate.mongo.process import HOST, Server, start_mongod
from lbmigrate.run.indicators import Level, replication_lag
from lbmigrate.run.throttle import gate
from lbmigrate.state import State
from tests.apps import TASKS, UNHURRIED, App, config, task, user
from tests.runs import AT_ONCE, closed_chunks, ended, replica_set, started, until, write_config

pytestmark = pytest.mark.usefixtures("mongod")
ALL = 600


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, mongod: Any) -> Iterator[list[Server]]:
    with replica_set(tmp_path_factory.mktemp("three"), 3) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def uri(nodes: list[Server]) -> str:
    return f"mongodb://{','.join(node.address for node in nodes)}/?replicaSet=tests"


@pytest.fixture(scope="module")
def client(uri: str) -> Iterator[Any]:
    with open_client(uri) as client:
        yield client


@pytest.fixture
def database(client: Any, request: pytest.FixtureRequest) -> Any:
    """An app with tasks, worth ten points each."""
    database = durable(client[f"test_{abs(hash(request.node.name))}"])
    database["users"].insert_many([user(number) for number in range(5)])
    database["tasks"].insert_many([task(number, owner=number % 5) for number in range(ALL)])
    return database


def configured(directory: Path, database: Any, **throttle: Any) -> Path:
    backfill = {"chunk_size": 20, "workers": 2, "target": None}
    settings = {**UNHURRIED, "documents_per_second": 400, **throttle}
    return write_config(directory, database.name, [TASKS], backfill=backfill, throttle=settings)


def assert_all_is_there(database: Any) -> None:
    """Every event once, and the sums of entries that these make."""
    assert {row["sourceId"] for row in database["score_events"].find()} == {task(n)["_id"] for n in range(ALL)}
    assert database["score_events"].count_documents({}) == ALL
    scores = {row["userId"]: row["score"] for row in database["leaderboard_entries"].find({"period": "global"})}
    assert scores == {user(number)["_id"]: 10 * ALL // 5 for number in range(5)}


def newest(database: Any) -> Any:
    return next(iter(State(database).runs(1)), {})


@pytest.mark.slow
def test_a_run_waits_for_a_secondary_that_stands_still_and_goes_on_when_it_catches_up(nodes, uri, database, tmp_path):
    behind = next(node for node in nodes if (HOST, node.port) != database.client.primary)
    with started(uri, configured(tmp_path, database, max_lag="2s", documents_per_second=150), "run") as run:
        until(lambda: closed_chunks(database) >= 2, "two chunks")
        testing.freeze(behind.process.pid)
        try:
            reason = until(lambda: newest(database).get("held"), "the run to hold")
            assert reason.startswith(f"replication lag: {behind.address} is ")
            assert run.alive
            assert database["score_events"].count_documents({}) < ALL
        finally:
            testing.thaw(behind.process.pid)
        code, _, err = run.end()
    assert code == 0, err
    assert f"replication lag: {behind.address}" in err
    assert_all_is_there(database)


@pytest.mark.slow
def test_a_run_outlives_its_primary_and_nothing_is_lost(nodes, uri, database, tmp_path):
    primary = next(node for node in nodes if (HOST, node.port) == database.client.primary)
    with started(uri, configured(tmp_path, database, max_lag="10s"), "run") as run:
        until(lambda: closed_chunks(database) >= 5, "five chunks")
        primary.process.kill()
        code, _, err = run.end()
    assert code == 0, err
    assert_all_is_there(database)
    assert ended(uri, configured(tmp_path, database), "verify", "--full")[0] == 0
    # As it was, for whichever test comes next.
    back = start_mongod(primary.directory, primary.port, replica_set="tests", extra=[AT_ONCE])
    nodes[nodes.index(primary)] = back


def test_the_signals_of_a_set_can_be_read(database):
    most = dt.timedelta(seconds=10)
    allowed = config().throttle.model_copy(update={"max_lag": most, "max_queue": 100})
    app = App(database, config().model_copy(update={"throttle": allowed}))
    assert gate(app.context()).unreadable() == []
    assert replication_lag(database, most)().level is not Level.UNKNOWN
