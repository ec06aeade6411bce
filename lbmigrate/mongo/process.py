"""One `mongod` process: how it starts, how it ends, and how a running one is found."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
from pymongo.errors import PyMongoError

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.files import private
from lbmigrate.mongo.program import find_mongod, is_mongod

HOST = "127.0.0.1"
LOG = "mongod.log"
FILES = {"data", LOG, "users.lock", "start.lock", "server.json"}  # all that a directory of ours holds, or once held
PATIENCE = 45.0  # more than the 30 s that mongod itself waits for a mute stranger on a port that it had before
TICK = 0.02
OPTIONS = (
    "--nounixsocket",  # none but the one that is named
    "--networkMessageCompressors=disabled",  # CVE-2025-14847
    "--quiet",
    "--wiredTigerCacheSizeGB=1",
    "--setParameter=diagnosticDataCollectionEnabled=false",
)


@dataclass(frozen=True, slots=True)
class Server:
    """A `mongod` process, the address where it listens and the directory that holds its data and its log.

    The address is the path of a Unix socket or `host:port`, as a replica set's configuration names its members.
    """

    process: psutil.Process
    address: str
    directory: Path

    @property
    def port(self) -> int:
        """The TCP port of one that listens on a port."""
        return int(self.address.removeprefix(f"{HOST}:"))

    @property
    def is_private(self) -> bool:
        """Whether nobody else on this machine can reach it, or stand in for it: its socket is behind a door of ours."""
        place = Path(self.address).parent
        return self.address.startswith("/") and private.is_private(place) and private.stays_in_place(place)

    @property
    def uri(self) -> str:
        """The URI that reaches this very server, whatever replica set it is in."""
        return f"mongodb://{quote(self.address, safe=':')}/?directConnection=true"

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
                raise self._failure(f"stopped before it could {goal}", "fix what the log says and try again")
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
        quoted = [line[:300] for line in (telling or lines)[-5:] if line]
        return LbmigrateError(f"mongod on {self.directory} {what}; the end of {log}:", hint, quoted)

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


def prepare_home(directory: Path, *files: str) -> Path:
    """Make `directory`, a place for data and the `files` in it, where they are missing; its absolute path.

    All of it is closed to other users, also what was made before; a directory that holds other things too keeps its
    rights. Raises UsageError if it cannot be written, belongs to somebody else or can be written by others.
    """
    try:
        home = private.resolved(directory.expanduser())
        private.make_directory(home)
        if FILES.issuperset(os.listdir(home)):
            private.tighten(home)
        private.make_directory(home / "data")
        private.tighten(home / "data")
        for name in files:
            private.open_file(home / name).close()
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"{directory} cannot hold a database: {getattr(error, 'strerror', error)}",
            hint=getattr(error, "remedy", "name a directory that may be written: local:DIR"),
        ) from error
    return home


def free_port() -> int:
    """Find a loopback port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def start_mongod(
    directory: Path, listen: int | Path, *, replica_set: str | None = None, extra: Sequence[str] = ()
) -> Server:
    """Start a `mongod` on `directory`/data and wait until it takes connections.

    It listens on the Unix socket or the loopback port `listen` and nowhere else; whoever uses this machine can reach a
    port. Standalone without `replica_set`; with one it waits to be initiated. `extra` are further options of `mongod`.
    Raises UsageError if `directory` cannot be written, LbmigrateError with the end of its mongod.log if the server
    stops or keeps silent for PATIENCE seconds.
    """
    home = prepare_home(directory, LOG)
    command = [str(find_mongod()), f"--dbpath={home / 'data'}", *_binding(listen), *OPTIONS]
    command += [f"--replSet={replica_set}", "--oplogSize=1024"] if replica_set else []
    process = _spawn([*command, *extra], home / LOG)
    server = Server(process, str(listen) if isinstance(listen, Path) else f"{HOST}:{listen}", home)
    try:
        server.wait_until(lambda: _listens(listen), "take connections")
    except BaseException:
        server.stop()
        raise
    return server


def _binding(listen: int | Path) -> list[str]:
    return [f"--bind_ip={listen}"] if isinstance(listen, Path) else [f"--bind_ip={HOST}", f"--port={listen}"]


def _spawn(command: list[str], log: Path) -> psutil.Process:
    # Not subprocess.Popen: the server may well outlive this process, and Popen warns about a child left behind.
    # A session of its own keeps a Ctrl-C in the terminal away from the server.
    with private.open_file(log) as output:
        output.truncate()
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), number) for number in (1, 2)]
        return psutil.Process(_spawned(command, actions))


def _spawned(command: list[str], actions: list[tuple[int, int, int]]) -> int:
    try:
        return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    except OSError as error:
        raise LbmigrateError(
            f"{command[0]} cannot be started: {error.strerror}", hint="name another mongod in LBMIGRATE_MONGOD"
        ) from error


def _listens(listen: int | Path) -> bool:
    family, address = (socket.AF_UNIX, str(listen)) if isinstance(listen, Path) else (socket.AF_INET, (HOST, listen))
    with suppress(OSError), socket.socket(family) as probe:
        probe.settimeout(1)
        probe.connect(address)
        return True
    return False


def find_running(home: Path) -> Server | None:
    """The server of ours that runs on `home` (as `prepare_home` returns it), whichever process started it.

    It is found by its command line rather than by a pid file: that is right whoever was killed, and when. Anybody can
    give a process such a command line, so only a `mongod` that runs as we do counts, and nothing is known yet of who
    answers at its address: see `Server.is_private`.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it ended meanwhile, or may not be looked at
            # All three: a program that somebody else started may have got our rights by its set-user-ID bit.
            ours = set(process.uids()) == {os.geteuid()}
            if ours and (address := _address(process.cmdline(), home / "data")) and is_mongod(process.exe()):
                return Server(process, address, home)
    return None


def _address(command: Sequence[str], data: Path) -> str | None:
    """Where a server says that it listens, if it says that it runs on `data`."""
    said = dict(word.split("=", 1) for word in command if word.startswith("--") and "=" in word)
    if said.get("--dbpath") != str(data):
        return None
    place, port = said.get("--bind_ip", ""), said.get("--port", "")
    return place if place.startswith("/") else f"{HOST}:{port}" if port.isdigit() else None
