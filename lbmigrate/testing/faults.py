"""Faults of networks and processes on purpose."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

HOST = "127.0.0.1"

# --- faults ------------------------------------------------------------------------------------------------------


class Proxy:
    """A way to a server of this machine, at a port or at the path of a socket, that can be cut, frozen and slowed down.

    Listens on `port` of 127.0.0.1 within a `with` block, for whoever uses this machine. Clients of a replica set must
    be told to stay on it: `directConnection=true`, as in `uri`.
    """

    def __init__(self, target: int | str) -> None:
        self._target = target
        self._whole, self._flowing, self._ended = True, threading.Event(), threading.Event()
        self._delay = 0.0
        self._turn = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._flowing.set()

    @property
    def uri(self) -> str:
        """The URI of the server by this way."""
        return f"mongodb://{HOST}:{self.port}/?directConnection=true"

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.cut()
        self._flowing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        """Break every connection, and every new one at once."""
        with self._turn:
            self._whole = False
            for each in self._sockets:
                _hang_up(each)

    def freeze(self) -> None:
        """Let connections stand, but nothing through: what a firewall does that forgot them."""
        self._flowing.clear()

    def delay(self, seconds: float) -> None:
        """Hold every piece of data back for so long, in each direction; 0 ends that."""
        self._delay = seconds

    def heal(self) -> None:
        """Be as good as new. What was cut stays cut; clients connect again."""
        self._whole, self._delay = True, 0.0
        self._flowing.set()

    def _start(self, work: Callable[..., None], *given: Any) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._ended.is_set():
                near, _ = self._listener.accept()
                self._start(self._connect, near)

    def _connect(self, near: socket.socket) -> None:
        with near, suppress(OSError), _connected(self._target) as far:
            with self._turn:
                if not self._whole:
                    return
                self._sockets |= {near, far}
            back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            back.start()
            self._pump(near, far)
            back.join()
            with self._turn:
                self._sockets -= {near, far}

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._ended.wait(self._delay)
                self._flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            _hang_up(end)


def _connected(target: int | str) -> socket.socket:
    if isinstance(target, int):
        return socket.create_connection((HOST, target))
    far = socket.socket(socket.AF_UNIX)
    try:
        far.connect(target)
    except OSError:
        far.close()
        raise
    return far


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def freeze(pid: int) -> None:
    """Stop a process where it stands, as a suspended machine or a long collection of garbage would."""
    os.kill(pid, signal.SIGSTOP)


def thaw(pid: int) -> None:
    """Let a frozen process go on, unaware of the time that passed."""
    os.kill(pid, signal.SIGCONT)
