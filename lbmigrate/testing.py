"""Faults and corruptions on purpose, for tests of an app that carries a leaderboard, and of lbmigrate itself.

A `Proxy` stands between a client and its server and can break in the ways that networks do; `freeze` stops a process in
its tracks; the functions that take a database damage exactly one document of the leaderboard; `messy` makes a history
look as old ones do. Nothing here belongs in production.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

from bson import Decimal128, Int64, ObjectId
from pymongo.database import Database

from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.schema.layout import partitions

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
        """Be as good as new. What was cut stays cut; clients connect anew."""
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


# --- corruption --------------------------------------------------------------------------------------------------


def change_score(database: Database[Any], entry: str, by: int = 1) -> None:
    """Make an entry's score wrong by `by` points. All of these raise LookupError where there is nothing to damage."""
    _damage(database, _home(database, entry), entry, {"$inc": {"score": Int64(by)}})


def change_points(database: Database[Any], event: str, by: int = 1) -> None:
    """Make the ledger itself wrong: an event counts `by` points more."""
    _damage(database, EVENTS, event, {"$inc": {"points": Int64(by)}})


def drop_entry(database: Database[Any], entry: str) -> None:
    """Lose an entry."""
    _lose(database, _home(database, entry), entry)


def drop_event(database: Database[Any], event: str) -> None:
    """Lose an event, which nothing but a rollback may do."""
    _lose(database, EVENTS, event)


def duplicate_event(database: Database[Any], event: str) -> str:
    """Record an action a second time under an id that it cannot have; returns that id."""
    return _copy(database, EVENTS, event, f"{event}-again", {})


def duplicate_entry(database: Database[Any], entry: str, user: Any) -> str:
    """Give a user whom no event names the entry of another; returns its id."""
    return _copy(database, _home(database, entry), entry, f"{entry}-again", {"userId": user})


def _home(database: Database[Any], entry: str) -> str:
    """The collection that an entry is in; the base one if it is nowhere."""
    names = (name for name in partitions(database) if database[name].find_one({"_id": entry}, {"_id": 1}))
    return next(names, ENTRIES)


def _damage(database: Database[Any], collection: str, key: str, change: Document) -> None:
    if database[collection].update_one({"_id": key}, change).matched_count == 0:
        raise LookupError(f"{collection} has no {key!r}")


def _lose(database: Database[Any], collection: str, key: str) -> None:
    if database[collection].delete_one({"_id": key}).deleted_count == 0:
        raise LookupError(f"{collection} has no {key!r}")


def _copy(database: Database[Any], collection: str, key: str, other: str, change: Document) -> str:
    found = database[collection].find_one({"_id": key})
    if found is None:
        raise LookupError(f"{collection} has no {key!r}")
    database[collection].insert_one({**found, "_id": other, **change})
    return other


# --- messy documents ---------------------------------------------------------------------------------------------

MISSING = object()
ODD_VALUES: tuple[Any, ...] = (
    MISSING, None, "", " ", "today", "3/13", "2024-02-30", "2024-05-06T07:08:09+02:00", "12", "NaN",
    0, -1, 1_700_000_000, Int64(1_700_000_000_000), 1.7e12, 0.1, 1e308, float("nan"), float("inf"), Int64(2**63 - 1),
    True, [], ["done"], {}, {"$oid": "x"}, b"\xff\x00", Decimal128("1.5"), ObjectId("0" * 24),
    dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_000), "\u202e\x1b[31m\u0000", "é" * 300,
)  # fmt: skip


def messy(
    documents: Iterable[Document], *, share: float = 0.3, seed: int = 0, spare: Collection[str] = ("_id",)
) -> Iterator[Document]:
    """The documents, a `share` of them with a value that old data holds in the wrong place. Equal seeds, equal mess.

    A damaged document has one top-level field of its own replaced or removed; never one of `spare`.
    """
    rng = random.Random(seed)
    for document in documents:
        fields = sorted(document.keys() - set(spare))
        yield _damaged(document, rng.choice(fields), rng.choice(ODD_VALUES)) if _hit(rng, share, fields) else document


def _hit(rng: random.Random, share: float, fields: list[str]) -> bool:
    return rng.random() < share and bool(fields)


def _damaged(document: Document, field: str, value: Any) -> Document:
    rest = {name: each for name, each in document.items() if name != field}
    return rest if value is MISSING else rest | {field: value}
