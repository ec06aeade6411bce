from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.mongo import embedded, process
from lbmigrate.mongo.client import durable, open_client

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


def test_a_server_that_keeps_silent_is_told_with_its_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with other_process(home) as other:
        assert uri_of(other)
        monkeypatch.setattr(process, "PATIENCE", 0.0)
        (server,) = servers_on(home)
        with pytest.raises(LbmigrateError, match=f"process {server.pid}.* did not become primary") as caught:
            embedded.serve(home).__enter__()
    assert f"kill {server.pid}" in caught.value.hint
