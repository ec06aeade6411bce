from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pymongo.database import Database

from lbmigrate.errors import Locked
from lbmigrate.mongo.client import server_time
from lbmigrate.mongo.concerns import durable
from lbmigrate.records import Document
from lbmigrate.state import Holder, Lease, State

PROCESSES, ROUNDS = 3, 20
RUNNER = """
import sys
from lbmigrate.mongo.client import open_client, server_time
from lbmigrate.mongo.concerns import durable
from lbmigrate.errors import Locked
from lbmigrate.state import Holder, Lease, State
uri, name = sys.argv[1:]
with open_client(uri) as client:
    database = durable(client[name])
    print("ready", flush=True)
    for _ in sys.stdin:
        state = State(database)
        try:
            Lease(state, Holder.here(), lambda: server_time(database)).take()
            print(state.fence, flush=True)
        except Locked:
            print("locked", flush=True)
"""


@pytest.fixture
def runners(server_uri: str, database: Database[Document]) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that reach for the lease whenever they are given a line, and say which fence they got."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUNNER, server_uri, database.name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with ExitStack() as later:
        started = [subprocess.Popen(command, text=True, env=environment, **pipes) for _ in range(PROCESSES)]
        for process in started:
            later.enter_context(process)
            later.callback(process.kill)
        assert [said(process) for process in started] == ["ready"] * PROCESSES
        yield started


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.slow
def test_of_processes_that_race_for_the_lease_exactly_one_wins(
    runners: list[subprocess.Popen[str]], database: Database[Document]
) -> None:
    for number in range(1, ROUNDS + 1):
        for process in runners:
            tell(process)
        assert sorted(said(process) for process in runners) == [str(number), *["locked"] * (PROCESSES - 1)]
        now = server_time(database)
        State(database).rows.update_one({"_id": "lock"}, {"$set": {"expiresAt": now}})


@pytest.mark.slow
def test_the_lease_of_a_killed_process_is_free_long_before_it_ends(
    runners: list[subprocess.Popen[str]], database: Database[Document]
) -> None:
    first, *_ = runners
    tell(first)
    assert said(first) == "1"
    state = State(durable(database))
    lease = Lease(state, Holder.here(), lambda: server_time(database), ttl=3600)
    with pytest.raises(Locked, match=f"pid {first.pid}"):
        lease.take()
    first.kill()
    first.wait()
    lease.take()
    assert state.fence == 2
