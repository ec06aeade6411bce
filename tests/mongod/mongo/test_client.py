from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.mongo import faults
from lbmigrate.mongo.client import open_client, retrying, server_time
from lbmigrate.mongo.concerns import durable, is_fake
from lbmigrate.mongo.process import HOST, Server, free_port, start_mongod
from lbmigrate.records import Document

pytestmark = pytest.mark.usefixtures("mongod")

AT_ONCE = "--setParameter=shutdownTimeoutMillisForSignaledShutdown=0"
PATIENT = "serverSelectionTimeoutMS=30000"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A standalone server that asks for a password; bob may read `app` and nothing else."""
    home = tmp_path_factory.mktemp("guarded")
    server = start_mongod(home, free_port())
    with open_client(server.uri) as client:
        client.admin.command("createUser", "bob", pwd="hunter22", roles=[{"role": "read", "db": "app"}])
    server.stop()
    server = start_mongod(home, server.port, extra=["--auth"])
    yield server
    server.stop()


@pytest.mark.slow
def test_a_wrong_password_is_told_at_once_and_not_shown(guarded: Server) -> None:
    with pytest.raises(LbmigrateError, match="rejected the user name or the password") as caught:
        open_client(f"mongodb://bob:wrong-hunter@{guarded.address}/").__enter__()
    assert "hunter" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.slow
def test_a_missing_right_is_refused_with_the_command_that_misses_it(guarded: Server) -> None:
    uri = f"mongodb://bob:hunter22@{guarded.address}/"
    with open_client(uri) as client:
        assert client["app"]["tasks"].count_documents({}) == 0
        with pytest.raises(OperationFailure) as caught:
            client["app"]["tasks"].insert_one({"secret": 1})
    told = faults.explain(caught.value, uri)
    assert isinstance(told, Refused)
    assert str(told).endswith('not authorized on app to execute command { insert: "tasks" }')


def test_a_login_that_is_missing_altogether_is_refused(guarded: Server) -> None:
    with open_client(guarded.uri) as client, pytest.raises(OperationFailure) as caught:
        client["app"]["tasks"].find_one()
    told = faults.explain(caught.value, guarded.uri)
    assert isinstance(told, Refused)
    assert "USER:PASSWORD" in told.hint


@pytest.mark.slow
def test_a_standalone_server_takes_durable_reads_and_writes(home: Path) -> None:
    server = start_mongod(home, free_port())
    try:
        with open_client(server.uri) as client:
            notes = durable(client["app"])["notes"]
            notes.insert_one({"_id": 1})
            assert notes.find_one() == {"_id": 1}
            assert list(notes.aggregate([{"$match": {}}])) == [{"_id": 1}]
    finally:
        server.stop()


@pytest.mark.slow
def test_three_servers_make_one_replica_set_that_survives_its_primary(tmp_path: Path) -> None:
    with ExitStack() as later:
        nodes = []
        for name in "abc":
            nodes.append(start_mongod(tmp_path / name, free_port(), replica_set="three", extra=[AT_ONCE]))
            later.callback(nodes[-1].stop)
        with open_client(nodes[0].uri) as client:
            client.admin.command("replSetInitiate", replica_set_of(nodes))
        addresses = ",".join(node.address for node in nodes)
        client = later.enter_context(open_client(f"mongodb://{addresses}/?replicaSet=three&{PATIENT}"))
        notes = durable(client["app"])["notes"]
        notes.insert_one({"_id": 1})
        primary = client.primary
        next(node for node in nodes if (HOST, node.port) == primary).process.kill()
        assert retrying(lambda: notes.count_documents({})) == 1
        assert client.primary != primary


def replica_set_of(nodes: list[Server]) -> Document:
    members = [{"_id": n, "host": node.address} for n, node in enumerate(nodes)]
    return {
        "_id": "three",
        "members": members,
        "settings": {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200},
    }


def test_the_servers_clock_is_naive_and_counts_milliseconds(database: Database[Document]) -> None:
    now = server_time(database)
    assert now.tzinfo is None
    assert now.microsecond % 1000 == 0
    assert abs(now - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=5)


def test_the_servers_clock_is_the_same_for_a_client_with_time_zones(server_uri: str) -> None:
    with MongoClient[Document](server_uri, tz_aware=True) as client:
        assert server_time(client["app"]).tzinfo is None


def test_durable_keeps_the_name_and_asks_for_a_majority(database: Database[Document]) -> None:
    found = durable(database)
    assert found.name == database.name
    assert found.write_concern.document["w"] == "majority"
    assert found.read_concern == ReadConcern("majority")
    assert not is_fake(found)


def test_a_date_out_of_range_does_not_spoil_a_batch(database: Database[Document]) -> None:
    database.command("insert", "odd", documents=[{"_id": 1}, {"_id": 2}])
    database["odd"].update_one({"_id": 2}, [{"$set": {"at": {"$toDate": 2**60}}}])
    assert [row["_id"] for row in database["odd"].find().sort("_id")] == [1, 2]
