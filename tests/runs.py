"""Servers with faults to order, the command line as a process of its own, and waiting for what the database shows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from pymongo import MongoClient
from pymongo.database import Database

from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.process import Server, free_port, start_mongod
from lbmigrate.records import Document
from lbmigrate.state import State
from tests.apps import UNHURRIED, USERS, untimed

T = TypeVar("T")
by_hand = pytest.mark.skipif(
    not os.environ.get("LBMIGRATE_LONG"), reason="takes many minutes: LBMIGRATE_LONG=1 make test-slow"
)
PATIENCE = 40.0  # seconds after which a test that would hang fails instead
TICK = 0.01
FAILPOINTS = "--setParameter=enableTestCommands=1"
AT_ONCE = "--setParameter=shutdownTimeoutMillisForSignaledShutdown=0"


def until(found: Callable[[], T], goal: str, patience: float = PATIENCE) -> T:
    """What `found` finds, as soon as it finds anything."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(TICK)
    raise AssertionError(f"waited {patience:g} s in vain for {goal}")


# --- servers -----------------------------------------------------------------------------------------------------


@contextmanager
def replica_set(directory: Path, size: int, *extra: str, arbiter: bool = False) -> Iterator[list[Server]]:
    """So many servers in one replica set that elects within about a second; its name is `tests`.

    With an `arbiter` the last of them is one.
    """
    with ExitStack() as later:
        nodes: list[Server] = []
        later.callback(lambda: [node.stop() for node in nodes])  # also those that a test has put in another's place
        for number in range(size):
            home = directory / f"node{number}"
            nodes.append(start_mongod(home, free_port(), replica_set="tests", extra=[AT_ONCE, *extra]))
        with open_client(nodes[0].uri) as client:
            client.admin.command("replSetInitiate", _configuration(nodes, arbiter))
            until(lambda: client.admin.command("hello")["isWritablePrimary"], "a primary")
        yield nodes


def _configuration(nodes: Sequence[Server], arbiter: bool) -> Document:
    # The first node has the highest priority, so that tests know who the primary is.
    members: list[Document] = [{"_id": n, "host": node.address, "priority": 1} for n, node in enumerate(nodes)]
    members[0]["priority"] = 2
    if arbiter:
        members[-1] |= {"arbiterOnly": True, "priority": 0}
    pace = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}
    return {"_id": "tests", "members": members, "settings": pace}


def way_to(client: MongoClient[Any]) -> int | str:
    """Where the client's server of this machine listens: the path of its socket, or its port."""
    host, port = client.address or ("", 0)
    return host if host.endswith(".sock") else port


@contextmanager
def failing(client: MongoClient[Any], command: str, times: int | str, **how: Any) -> Iterator[None]:
    """Within the block the next `times` (or "alwaysOn") such commands fail as `how` says, whoever sends them.

    `how` are fields of the failCommand failpoint: errorCode, closeConnection, writeConcernError, namespace …
    """
    mode = times if isinstance(times, str) else {"times": times}
    data = {"failCommands": [command], **how}
    client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
    try:
        yield
    finally:
        client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


# --- runs --------------------------------------------------------------------------------------------------------


def write_config(directory: Path, database: str, sources: Sequence[Document], **parts: Any) -> Path:
    """A configuration file; where the server is comes from the environment of each run."""
    written = {
        "database": {"uri": "${MONGODB_URI}", "name": database},
        "users": USERS,
        "sources": list(sources),
        "throttle": UNHURRIED,
        **parts,
    }
    path = directory / f"{database}.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return path


class Run:
    """One `lbmigrate` process."""

    def __init__(self, uri: str, config: Path, *arguments: str) -> None:
        environment = {**os.environ, "MONGODB_URI": uri, "PYTHONPATH": os.pathsep.join(sys.path)}
        environment |= {"LBMIGRATE_CONFIG": str(config), "LBMIGRATE_BACKUP_REF": "a test's", "COLUMNS": "200"}
        command = [sys.executable, "-m", "lbmigrate", *arguments]
        # A file: who only watches for the end reads no pipe, and a full one stops the run for ever.
        self._out = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the process, by `kill`
        self.process = subprocess.Popen(command, stdout=self._out, stderr=subprocess.PIPE, text=True, env=environment)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, patience: float = PATIENCE) -> tuple[int, str, str]:
        """Wait for the end, at most `patience` seconds: the exit code, stdout and stderr."""
        _, err = self.process.communicate(timeout=patience)
        return self.process.returncode, self._printed(), err

    def _printed(self) -> str:
        """What it printed, once it has ended: from then on without the file."""
        if not self._out.closed:
            self._out.seek(0)
            self._told = self._out.read()
            self._out.close()
        return self._told

    def kill(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE)
        self._printed()


@contextmanager
def started(uri: str, config: Path, *arguments: str) -> Iterator[Run]:
    """A process that is surely gone after the block."""
    run = Run(uri, config, *arguments)
    try:
        yield run
    finally:
        run.kill()


def ended(uri: str, config: Path, *arguments: str) -> tuple[int, str, str]:
    """Run to the end: the exit code, stdout and stderr."""
    with started(uri, config, *arguments) as run:
        return run.end()


def closed_chunks(database: Database[Any]) -> int:
    """How many chunks have been emitted, as the state says."""
    closed = {"kind": "chunk", "status": {"$in": ["emitted", "rolled"]}}
    return State(database).rows.count_documents(closed)


def state_rows(database: Database[Any]) -> dict[str, Document]:
    return {row["_id"]: row for row in State(database).rows.find()}


def derived(database: Database[Any]) -> Document:
    """Events and entries by their ids, without when and how often they were written."""
    return {
        name: {row["_id"]: untimed(name, row) for row in database[name].find()}
        for name in ("score_events", "leaderboard_entries")
    }
