"""Three servers: a run waits for a secondary that lags, and outlives its primary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, PyMongoError

from lbmigrate import ScoreRecorder, commands, testing
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.concerns import durable
from lbmigrate.mongo.process import HOST, Server, start_mongod
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.run.indicators import Level, replication_lag
from lbmigrate.run.stop import Stop
from lbmigrate.run.throttle import gate
from lbmigrate.state import State
from tests.apps import TASKS, UNHURRIED, App, config, task, user
from tests.runs import AT_ONCE, FAILPOINTS, PATIENCE, closed_chunks, ended, replica_set, started, until, write_config

pytestmark = pytest.mark.usefixtures("mongod")
ALL = 600


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, mongod: Any) -> Iterator[list[Server]]:
    with replica_set(tmp_path_factory.mktemp("three"), 3, FAILPOINTS) as nodes:
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
    back = start_mongod(primary.directory, primary.port, replica_set="tests", extra=[AT_ONCE, FAILPOINTS])
    nodes[nodes.index(primary)] = back


@pytest.mark.slow
def test_a_primary_that_steps_down_again_and_again_costs_nothing_though_the_driver_retries_nothing(
    uri, client, database, tmp_path
):
    settings = configured(tmp_path, database, max_lag="30s", documents_per_second=300)
    with started(f"{uri}&retryWrites=false&retryReads=false", settings, "run") as run:
        for number in range(3):
            until(lambda least=5 * number: closed_chunks(database) > least or not run.alive, "more chunks")
            step_down(client)
            database["tasks"].insert_one(task(ALL + number, owner=0, updatedAt=dt.datetime.now(dt.UTC)))
        code, _, err = run.end(PATIENCE * 2)
    assert code == 0, err
    assert ended(uri, configured(tmp_path, database), "backfill", "--full")[0] == 0
    assert ended(uri, configured(tmp_path, database), "verify", "--full")[0] == 0
    made = [event["_id"] for event in database["score_events"].find()]
    assert sorted(made) == sorted(f"task_complete:{task(number)['_id']}" for number in range(ALL + 3))


def step_down(client: Any) -> None:
    """The primary gives way to another, which is there when this returns."""
    before = client.admin.command("hello")["primary"]
    with suppress(AutoReconnect):
        client.admin.command({"replSetStepDown": 2, "force": True})
    until(lambda: another_primary(client, before), "another primary")


def another_primary(client: Any, before: str) -> bool:
    with suppress(PyMongoError):
        found = client.admin.command("hello")
        return bool(found["isWritablePrimary"] and found["primary"] != before)
    return False


@pytest.mark.slow
def test_the_signals_of_a_set_can_be_read(database):
    most = dt.timedelta(seconds=10)
    allowed = config().throttle.model_copy(update={"max_lag": most, "max_queue": 100})
    app = App(database, config().model_copy(update={"throttle": allowed}))
    assert gate(app.context()).unreadable() == []
    assert replication_lag(database, most, Stop().wait)().level is not Level.UNKNOWN


# --- a secondary that shows what was ----------------------------------------------------------------------------------

ASKED = (
    "readPreference=secondary&readPreferenceTags=which:stale&readConcernLevel=local&w=1&journal=false&timeoutMS=60000"
)


@contextmanager
def reconfigured(client: Any, **changes: Any) -> Iterator[str]:
    """The set with one of its secondaries changed; yields that member's address.

    A primary cannot be made one that is never elected, and which member is primary changes from test to test.
    """
    before = client.admin.command("replSetGetConfig")["config"]
    primary = client.admin.command("hello")["primary"]
    chosen = next(member["host"] for member in before["members"] if member["host"] != primary)
    reconfigure(client, [{**each, **changes} if each["host"] == chosen else each for each in before["members"]])
    try:
        yield chosen
    finally:
        reconfigure(client, before["members"])


def reconfigure(client: Any, members: Any) -> None:
    now = client.admin.command("replSetGetConfig")["config"]
    client.admin.command("replSetReconfig", {**now, "version": now["version"] + 1, "members": members})


@contextmanager
def standing_still(address: str) -> Iterator[None]:
    """A secondary that answers reads with what it had when the block began."""
    with MongoClient(f"mongodb://{address}/?directConnection=true") as client:
        client.admin.command({"configureFailPoint": "rsSyncApplyStop", "mode": "alwaysOn"})
        try:
            yield
        finally:
            client.admin.command({"configureFailPoint": "rsSyncApplyStop", "mode": "off"})


@pytest.mark.slow
def test_no_verb_goes_by_what_a_secondary_shows_whatever_the_uri_asks_for(uri, client, database, tmp_path):
    settings = config(TASKS, database={"uri": f"{uri}&{ASKED}", "name": database.name})
    flags = database["feature_flags"]
    with reconfigured(client, tags={"which": "stale"}, priority=0) as address, standing_still(address):
        with MongoClient(settings.database.uri) as reader:
            assert reader[database.name]["score_events"].count_documents({}) == 0
        commands.run(settings, no_backup=True)
        assert_all_is_there(database)
        with MongoClient(settings.database.uri) as reader:
            assert reader[database.name]["score_events"].count_documents({}) == 0, "the secondary stands still"
            database["tasks"].insert_one(task(ALL, owner=0))
            assert ScoreRecorder(reader[database.name], settings, budget=30, strict=True).record_source(
                "tasks", task(ALL)["_id"]
            )
        assert commands.status(settings).events == ALL + 1
        assert not any(step.todo for step in commands.plan(settings).steps[:4])
        assert commands.verify(settings, options=VerifyOptions(full=True))["passed"]
        assert commands.backfill(settings, scope=Scope(full=True)).duplicates == ALL + 1
        assert commands.turn_flag(settings, "read", False)["read"] is False is flags.find_one()["read"]
        assert commands.turn_flag(settings, "read", True)["read"] is True is flags.find_one()["read"]
        commands.rollback(settings, to=5)
        assert flags.find_one()["read"] is False
        database["tasks"].update_one({"_id": task(1)["_id"]}, {"$set": {"status": "todo"}})
        assert commands.preview_reconcile(settings).reasons == {"voided": 1}
        assert commands.reconcile(settings).reasons == {"voided": 1}
        assert commands.pause(settings)["paused"]
        assert commands.resume(settings)
        assert commands.unlock(settings)
        commands.forget(settings, str(user(4)["_id"]))
        assert database["leaderboard_entries"].find_one({"userId": user(4)["_id"]}) is None
        backup = commands.make_backup(settings, tmp_path / "backup")
        assert {entry.collection: entry.documents for entry in backup.collections}["score_events"] == ALL + 2
        commands.rollback(settings)
        assert {"score_events", "leaderboard_entries"}.isdisjoint(database.list_collection_names())
        database["feature_flags"].drop()
        State(database).rows.drop()
        commands.restore_backup(settings, tmp_path / "backup")
        assert database["score_events"].count_documents({}) == ALL + 2


# --- members that no run waits for ------------------------------------------------------------------------------------

OUT_OF_THE_WAY = {
    "delayed": {"hidden": True, "priority": 0, "votes": 0, "secondaryDelaySecs": 3600},
    "delayed, and votes": {"hidden": True, "priority": 0, "secondaryDelaySecs": 3600},
    "hidden without a vote": {"hidden": True, "priority": 0, "votes": 0},
    "without a vote": {"priority": 0, "votes": 0},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", OUT_OF_THE_WAY)
def test_a_run_does_not_wait_for_a_member_that_is_behind_on_purpose_or_out_of_service(
    nodes, uri, client, database, tmp_path, kind
):
    path = configured(tmp_path, database, max_lag="1s", documents_per_second=None)
    with reconfigured(client, **OUT_OF_THE_WAY[kind]) as address:
        last = next(node for node in nodes if node.address == address)
        if "delayed" not in kind:
            testing.freeze(last.process.pid)
        try:
            if "delayed" not in kind:
                until(lambda: not member_health(client, last.address), "its silence to be noticed")
            code, _, err = ended(uri, path, "run")
            assert (code, "replication lag" in err) == (0, False), err
        finally:
            testing.thaw(last.process.pid)
        assert_all_is_there(database)


def member_health(client: Any, name: str) -> bool:
    members = client.admin.command("replSetGetStatus")["members"]
    return next(bool(each["health"]) for each in members if each["name"] == name)


@pytest.mark.slow
def test_a_lag_that_lasts_ends_the_run_with_work_left_and_the_setting_by_name(uri, client, database, tmp_path):
    path = configured(tmp_path, database, max_lag="1s", give_up="3s", documents_per_second=100)
    with reconfigured(client, priority=0) as address, standing_still(address):
        code, _, err = ended(uri, path, "run")
        assert code == 3
        assert f"held for 3s: replication lag: {address} is" in err
        assert "throttle.ignore_members" in err
        ignoring = configured(tmp_path, database, max_lag="1s", documents_per_second=None, ignore_members=[address])
        code, _, err = ended(uri, ignoring, "run")
        assert code == 0, err
    assert_all_is_there(database)
