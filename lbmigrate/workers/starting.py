"""How worker processes are started: as copies of one that has imported what they need, or each from the beginning.

A copy costs no imports, which are two thirds of what a start costs. What is copied has no thread and no client, and is
there for one run only; the run itself has both, and is never copied. Only Linux has copies: libraries of other systems
do not bear that.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import send_handle
from typing import Any, Protocol

from lbmigrate.workers.child import begin, copies, undisturbed

TICK = 0.01  # seconds between two looks at whether a copy has ended
PATIENCE = 2.0  # … until a process that is to end, and does not, is killed


class CannotStart(Exception):
    """No worker process can be started. `was_killed` says whether that may be for want of memory."""

    def __init__(self, told: str, was_killed: bool = True) -> None:
        super().__init__(f"no worker process can be started: {told}")
        self.was_killed = was_killed


class Started(Protocol):
    """A worker process, for who has started it."""

    @property
    def pid(self) -> int | None:
        """Its number."""

    @property
    def exitcode(self) -> int | None:
        """What it ended with, or the signal as a negative number; None while that is not known."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most so many seconds."""

    def kill(self) -> None:
        """End it at once."""


class Starter(Protocol):
    """What starts worker processes."""

    def start(self, pipe: Connection) -> Started:
        """One more, at the other end of a pipe. Raises CannotStart."""

    def close(self) -> None:
        """There will be no more."""


class Afresh:
    """Each worker process from the beginning."""

    def start(self, pipe: Connection) -> Started:
        try:
            return _spawned(begin, pipe)
        except OSError as error:
            raise CannotStart(str(error)) from error

    def close(self) -> None:
        """Nothing of it is left."""


class Copy:
    """A worker process that is a copy."""

    def __init__(self, pid: int, original: Copied) -> None:
        self.pid, self.exitcode, self._original = pid, None, original

    pid: int | None
    exitcode: int | None

    def join(self, timeout: float | None = None) -> None:
        until = time.monotonic() + (PATIENCE if timeout is None else timeout)
        while self.exitcode is None:
            self.exitcode = self._original.told("code", self.pid)
            if self.exitcode is None and time.monotonic() >= until:
                return
            time.sleep(TICK if self.exitcode is None else 0)

    def kill(self) -> None:
        if self.exitcode is None:
            self._original.told("kill", self.pid)


class Copied:
    """Worker processes as copies of one, which is begun with the first of them, and again after it was killed."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._original: SpawnProcess | None = None
        self._channel: Connection | None = None

    def start(self, pipe: Connection) -> Started:
        with self._turn:
            try:
                original, channel = self._begun()
            except OSError as error:
                raise CannotStart(str(error)) from error
            try:
                channel.send(("copy", 0))
                send_handle(channel, pipe.fileno(), original.pid or 0)
                pid, told = channel.recv()
            except (EOFError, OSError) as error:
                self._end()
                code = original.exitcode
                raise CannotStart(f"process {original.pid} {ended(code)}", (code or 0) < 0) from error
        if not pid:
            raise CannotStart(told)
        return Copy(pid, self)

    def told(self, word: str, pid: int | None) -> Any:
        """What the original says of a copy; None where it is gone."""
        with self._turn:
            if self._channel is None:
                return None
            try:
                self._channel.send((word, pid))
                return self._channel.recv()
            except (EOFError, OSError):
                self._end()
                return None

    def close(self) -> None:
        with self._turn:
            self._end()

    def _begun(self) -> tuple[SpawnProcess, Connection]:
        if self._original is None or self._channel is None:
            self._channel, there = multiprocessing.Pipe()
            self._original = _spawned(copies, there)
            there.close()
        return self._original, self._channel

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._original is not None:
            self._original.join(PATIENCE)
            self._original.kill()
            self._original.join()
        self._original = self._channel = None


def _spawned(target: Callable[[Connection], None], pipe: Connection) -> SpawnProcess:
    process = SpawnProcess(target=target, args=(pipe,), name="lbmigrate worker", daemon=True)
    resource_tracker.ensure_running()  # which else lets signals through again
    with undisturbed():
        process.start()
    return process


def ended(code: int | None) -> str:
    """How a process ended, by its exit code."""
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with {code}" if code is not None else "does not answer"


def starter() -> Starter:
    """What starts worker processes on this system."""
    return Copied() if sys.platform.startswith("linux") else Afresh()
