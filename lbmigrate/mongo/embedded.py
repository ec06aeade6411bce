"""The embedded MongoDB: a real `mongod` on a directory, shared by every process that names this directory.

Two lock files in DIR make the sharing safe; the kernel lets go of them when a process dies, so nothing goes stale:
`users.lock` is held shared by every user, and whoever can have it alone on the way out was the last and stops the
server; `start.lock` lets one process at a time look for a running server or start one.

The server asks nobody for a password, so it listens on a Unix socket alone, in a directory that only its owner may
enter. Others can neither connect to it nor put a socket of their own in its place: whoever answers there runs as we do.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.files import private
from lbmigrate.mongo.process import LOG, PATIENCE, TICK, Server, find_running, prepare_home, start_mongod
from lbmigrate.records import Document

REPLICA_SET = "lbmigrate"
USERS, START, SOCKET = "users.lock", "start.lock", "mongod.sock"
LONGEST = 103  # bytes of a socket's path; Linux takes 107, macOS no more than this
PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")  # what a URI, an option of mongod and a replica set's configuration all take
NOT_INITIATED, NOT_A_MEMBER = 94, 93


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """Have a primary run on `directory` while the block runs; yields its URI.

    Joins the server that already runs there, whoever started it, and leaves it running if others still use it.
    Raises UsageError if `directory` cannot be written, LbmigrateError if no server comes up.
    """
    home = prepare_home(directory, USERS, START, LOG)
    with private.open_file(home / USERS) as users:
        _lock(users.fileno(), fcntl.LOCK_SH, home)
        try:
            yield _join(home, users.fileno()).uri
        finally:
            if _lock_now(users.fileno(), fcntl.LOCK_EX) and (server := find_running(home)):
                _stop(server)
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


def _join(home: Path, users: int) -> Server:
    with private.open_file(home / START) as turn:
        _lock(turn.fileno(), fcntl.LOCK_EX, home)
        server = _running(home, users) or start_mongod(home, _socket_for(home), replica_set=REPLICA_SET)
        _make_primary(server)
    return server


def _running(home: Path, users: int) -> Server | None:
    """The server that runs; one that others can reach, as those of an earlier version, makes way for a new one."""
    server = find_running(home)
    if server is None or server.is_private:
        return server
    if not _lock_now(users, fcntl.LOCK_EX):
        raise LbmigrateError(
            f"other users of this machine can reach the mongod on {home} (process {server.process.pid}), as an earlier "
            "version started it, and another process still uses it",
            hint=f"end that process (fuser {home / USERS}), then try again",
        )
    server.stop()
    _lock(users, fcntl.LOCK_SH, home)
    return None


def _stop(server: Server) -> None:
    server.stop()
    place = Path(server.address).parent
    if place.name == _far(server.directory):
        with suppress(OSError):
            (place / SOCKET).unlink(missing_ok=True)
            place.rmdir()


def _socket_for(home: Path) -> Path:
    """Where the server on `home` is to listen: beside its data, or where that cannot be, in a directory made for it."""
    if _may_hold_it(home / "data") and private.is_private(home / "data"):
        return home / "data" / SOCKET
    for base in (tempfile.gettempdir(), "/tmp"):
        place = Path(base).resolve() / _far(home)
        if _may_hold_it(place):
            return _made(place, home) / SOCKET
    raise _unreachable(home, "there is no directory for its socket with a short name that others cannot change")


def _far(home: Path) -> str:
    return f"lbmigrate-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"


def _may_hold_it(place: Path) -> bool:
    length = len(os.fsencode(place / SOCKET))
    return length <= LONGEST and bool(PLAIN.fullmatch(str(place))) and private.stays_in_place(place)


def _made(place: Path, home: Path) -> Path:
    try:
        private.make_directory(place)
        private.tighten(place)
    except OSError as error:
        raise _unreachable(home, str(error.strerror)) from error
    if not private.is_private(place):
        raise _unreachable(home, f"{place} cannot be closed to others")
    return place


def _unreachable(home: Path, why: str) -> UsageError:
    hint = "name a directory with a short name whose parents nobody else can write, for example local:~/.lbmigrate"
    return UsageError(f"no server on {home} could be reached by its user alone: {why}", hint)


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
        elif error.code == NOT_A_MEMBER:  # the configuration names an address of before
            config = client.admin.command("replSetGetConfig")["config"]
            client.admin.command("replSetReconfig", {**config, "members": members}, force=True)
        else:
            raise
    return False
