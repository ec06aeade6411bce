"""The embedded MongoDB: a real `mongod` on a directory, shared by every process that names this directory.

Two lock files in DIR make the sharing safe; the kernel lets go of them when a process dies, so nothing goes stale:
`users.lock` is held shared by every user, and whoever can have it alone on the way out was the last and stops the
server; `start.lock` lets one process at a time look for a running server or start one.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.process import (
    HOST,
    LOG,
    PATIENCE,
    TICK,
    Server,
    find_running,
    free_port,
    prepare_home,
    start_mongod,
)
from lbmigrate.records import Document

REPLICA_SET = "lbmigrate"
USERS, START = "users.lock", "start.lock"
NOT_INITIATED, NOT_A_MEMBER = 94, 93


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """Have a primary run on `directory` while the block runs; yields its URI.

    Joins the server that already runs there, whoever started it, and leaves it running if others still use it.
    Raises UsageError if `directory` cannot be written, LbmigrateError if no server comes up.
    """
    home = prepare_home(directory, USERS, START, LOG)
    with (home / USERS).open("ab") as users:
        _lock(users.fileno(), fcntl.LOCK_SH, home)
        try:
            yield _join(home).uri
        finally:
            if _lock_now(users.fileno(), fcntl.LOCK_EX) and (server := find_running(home)):
                server.stop()
            # A forked child shares this lock, so closing the file would not be enough.
            fcntl.flock(users, fcntl.LOCK_UN)


def _lock_now(file: int, how: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, how | fcntl.LOCK_NB)
        return True
    return False


def _lock(file: int, how: int, home: Path) -> None:
    # Twice the patience: the holder may be waiting for a server itself.
    deadline = time.monotonic() + 2 * PATIENCE
    while not _lock_now(file, how):
        if time.monotonic() > deadline:
            raise LbmigrateError(
                f"another process has been starting or stopping the mongod on {home} for {2 * PATIENCE:.0f} s",
                hint=f"see who it is (fuser {home}/*.lock), end it, then try again",
            )
        time.sleep(TICK)


def _join(home: Path) -> Server:
    with (home / START).open("ab") as turn:
        _lock(turn.fileno(), fcntl.LOCK_EX, home)
        server = find_running(home) or start_mongod(home, _port_for(home), replica_set=REPLICA_SET)
        _make_primary(server)
        _remember(server)
    return server


def _port_for(home: Path) -> int:
    # The port of the last time is the one that the replica set's configuration names.
    with suppress(OSError, ValueError, KeyError, TypeError), socket.socket() as probe:
        port = int(json.loads((home / "server.json").read_text())["port"])
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))
        return port
    return free_port()


def _remember(server: Server) -> None:
    created = dt.datetime.fromtimestamp(server.process.create_time(), dt.UTC).isoformat(timespec="seconds")
    record = {"port": server.port, "pid": server.process.pid, "created": created}
    (server.directory / "server.json").write_text(json.dumps(record) + "\n")


def _make_primary(server: Server) -> None:
    client: MongoClient[Document] = MongoClient(server.uri, serverSelectionTimeoutMS=1000, socketTimeoutMS=5000)
    with client:
        server.wait_until(lambda: _is_primary(client, server.address), "become primary")


def _is_primary(client: MongoClient[Document], address: str) -> bool:
    if client.admin.command("hello")["isWritablePrimary"]:
        return True
    try:
        client.admin.command("replSetGetStatus")
    except OperationFailure as error:
        members = [{"_id": 0, "host": address}]
        if error.code == NOT_INITIATED:
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        elif error.code == NOT_A_MEMBER:  # the port changed, so the configuration names an address that is not ours
            config = client.admin.command("replSetGetConfig")["config"]
            client.admin.command("replSetReconfig", {**config, "members": members}, force=True)
        else:
            raise
    return False
