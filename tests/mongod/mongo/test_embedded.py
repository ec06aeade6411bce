from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import unquote

import psutil
import pytest
from pymongo import MongoClient

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.mongo import embedded, process
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.concerns import durable

pytestmark = pytest.mark.usefixtures("mongod")

USER_OF_THE_SERVER = """
import sys
from pathlib import Path
from lbmigrate.mongo import embedded
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


def servers_on(home: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if f"--dbpath={home / 'data'}" in (p.info["cmdline"] or [])]


def count(uri: str) -> int:
    with open_client(uri) as client:
        return client["app"]["notes"].count_documents({})


def note(uri: str) -> None:
    with open_client(uri) as client:
        durable(client["app"])["notes"].insert_one({"text": "kept"})


def kill_server(home: Path) -> None:
    (server,) = servers_on(home)
    server.kill()
    server.wait()


def test_the_server_is_a_primary_and_is_gone_after_the_block(home: Path) -> None:
    with open_client(f"local:{home}") as client:
        hello = client.admin.command("hello")
        assert (hello["isWritablePrimary"], hello["setName"]) == (True, "lbmigrate")
        with client.start_session() as session, session.start_transaction():
            client["app"]["notes"].insert_one({}, session=session)
        assert len(servers_on(home)) == 1
    assert servers_on(home) == []


@pytest.mark.slow
def test_the_data_and_the_address_stay_from_one_time_to_the_next(home: Path) -> None:
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


@pytest.mark.slow
def test_the_starter_may_leave_first(home: Path) -> None:
    with ExitStack() as later:
        with embedded.serve(home) as ours:
            assert uri_of(later.enter_context(other_process(home))) == ours
        assert len(servers_on(home)) == 1
    assert servers_on(home) == []


@pytest.mark.slow
def test_processes_that_begin_together_share_one_server(home: Path) -> None:
    with ExitStack() as later:
        others = [later.enter_context(other_process(home)) for _ in range(3)]
        assert len({uri_of(other) for other in others}) == 1
        assert len(servers_on(home)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["start.lock", "users.lock"])
def test_nobody_starts_a_server_while_another_starts_or_stops_one(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "PATIENCE", 0.0)
    with (home / name).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LbmigrateError, match="starting or stopping") as caught, embedded.serve(home):
            pass
        assert "end it, then try again" in caught.value.hint
    assert servers_on(home) == []
    monkeypatch.undo()
    with embedded.serve(home) as uri:
        assert count(uri) == 0


@pytest.mark.slow
def test_a_killed_user_leaves_a_server_that_the_next_one_takes_over_and_stops(home: Path) -> None:
    with other_process(home) as other:
        theirs = uri_of(other)
        other.kill()
    (orphan,) = servers_on(home)
    with embedded.serve(home) as ours:
        assert ours == theirs
        assert servers_on(home) == [orphan]
    assert servers_on(home) == []


@pytest.mark.slow
def test_a_killed_server_leaves_its_data_and_a_stale_lock_behind_and_both_are_fine(home: Path) -> None:
    with embedded.serve(home) as uri:
        note(uri)
        kill_server(home)
    assert (home / "data" / "mongod.lock").read_text() != ""
    with embedded.serve(home) as uri:
        assert count(uri) == 1


@pytest.mark.slow
def test_a_directory_that_was_renamed_and_a_copy_of_it_both_open_at_the_same_time(home: Path) -> None:
    with embedded.serve(home / "before") as uri:
        note(uri)
    shutil.copytree(home / "before", home / "copy")
    (home / "before").rename(home / "after")
    with embedded.serve(home / "after") as ours, embedded.serve(home / "copy") as theirs:
        note(ours)
        assert (count(ours), count(theirs)) == (2, 1)


def left_by_an_earlier_version(home: Path) -> process.Server:
    """A directory, a server and a replica set as they were when it listened on a port; the server still runs."""
    server = process.start_mongod(home, process.free_port(), replica_set=embedded.REPLICA_SET)
    with MongoClient(server.uri) as client:
        members = [{"_id": 0, "host": server.address}]
        client.admin.command("replSetInitiate", {"_id": embedded.REPLICA_SET, "members": members})
        server.wait_until(lambda: client.admin.command("hello")["isWritablePrimary"], "become primary")
    note(server.uri)
    (home / "server.json").write_text(json.dumps({"port": server.port}))
    for directory in (home, home / "data"):
        directory.chmod(0o755)
    for name in ("users.lock", "start.lock", "mongod.log", "server.json"):
        (home / name).touch()
        (home / name).chmod(0o644)
    return server


@pytest.mark.slow
def test_a_directory_of_an_earlier_version_opens_with_its_data_and_is_closed_to_others(home: Path) -> None:
    left_by_an_earlier_version(home).stop()
    with embedded.serve(home) as uri:
        assert count(uri) == 1
        note(uri)
    assert [path for path in (home, *home.rglob("*")) if path.lstat().st_mode & 0o077] == [home / "server.json"]


@pytest.mark.slow
def test_a_server_that_an_earlier_version_left_running_on_a_port_makes_way(home: Path) -> None:
    old = left_by_an_earlier_version(home)
    with embedded.serve(home) as uri:
        assert not old.alive
        assert count(uri) == 1


@pytest.mark.slow
def test_a_server_on_a_port_that_is_still_in_use_is_told_and_left_alone(home: Path) -> None:
    old = left_by_an_earlier_version(home)
    with (home / "users.lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(LbmigrateError, match="another process still uses it") as caught:
            embedded.serve(home).__enter__()
    assert f"fuser {home / 'users.lock'}" in caught.value.hint
    assert old.alive
    with embedded.serve(home) as uri:
        assert count(uri) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["long " * 40, "UPPER, and a comma", "ümläut", "100%:[x]", "plain"])
def test_a_directory_of_any_length_and_any_name_is_shared_all_the_same(home: Path, name: str) -> None:
    directory = home / name
    with embedded.serve(directory) as ours:
        note(ours)
        with other_process(directory) as other:
            assert uri_of(other) == ours
        socket = Path(unquote(ours.removeprefix("mongodb://").partition("/")[0]))
        assert len(os.fsencode(socket)) <= embedded.LONGEST
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert count(ours) == 1
    assert servers_on(directory) == []
    assert socket.is_relative_to(home) == socket.parent.exists()  # what was made elsewhere is gone


@pytest.mark.slow
def test_processes_with_different_temporary_directories_share_a_server_too(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = home / "a name that is no address"
    with embedded.serve(directory) as ours:
        (home / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str(home / "tmp"))
        with other_process(directory) as other:
            assert uri_of(other) == ours


@pytest.mark.parametrize("directory", ["file", "file/below", "/proc/nowhere"])
def test_a_directory_that_cannot_be_written_is_a_usage_error(tmp_path: Path, directory: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot hold a database"), embedded.serve(tmp_path / directory):
        pass


@pytest.mark.slow
def test_a_server_that_keeps_silent_is_told_with_its_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with other_process(home) as other:
        assert uri_of(other)
        monkeypatch.setattr(process, "PATIENCE", 0.0)
        (server,) = servers_on(home)
        with pytest.raises(LbmigrateError, match=f"process {server.pid}.* did not become primary") as caught:
            embedded.serve(home).__enter__()
    assert caught.value.hint == f"kill {server.pid}, then try again"
    monkeypatch.undo()
    if server.is_running():  # whoever shared it has ended it already, as a rule
        server.kill()
        server.wait()
    with embedded.serve(home) as uri:
        assert count(uri) == 0
