"""One runner at a time: a lease with an end, and a fence that rises whenever it changes hands.

The lease is taken with one atomic update. Whether it has expired is judged by the server's clock, and how long it still
lasts by this process's monotonic clock, which goes on while the process is stopped: so a runner that slept past the end
knows it before it writes, and the fence on every row stops it if it does not. (The fencing token is described by Martin
Kleppmann, "How to do distributed locking", 2016.)
"""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from lbmigrate.errors import LeaseLost, Locked
from lbmigrate.records import Document
from lbmigrate.state.rows import LAYOUT, State

LOCK = "lock"
FOLLOWING = "lock:tail"  # held by whoever follows change streams, beside the runs
BOARDS = "lock:boards"  # held by whoever rebuilds the boards in Redis or empties their stream, beside the runs
WAIT = 0.5  # seconds between two looks at a lock that is held
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: a process on a host.

    `born` tells it from a later process with the same number; it counts from the start of the machine, so that setting
    the clock changes nothing. `table` says where the number means something: containers may share their host's name,
    and do not see each other's processes.
    """

    host: str
    pid: int
    born: float
    command: str = ""
    table: str = ""

    @classmethod
    def here(cls, command: str = "") -> Holder:
        process = psutil.Process()
        return cls(socket.gethostname(), process.pid, _born(process), command, _table())

    def is_dead(self) -> bool:
        """True only when this is certain: its table of processes is ours, and it is not in there."""
        if not self.table or self.table != _table():
            return False
        try:
            process = psutil.Process(self.pid)
            return abs(_born(process) - self.born) > 1.0 or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


def _born(process: psutil.Process) -> float:
    return process.create_time() - psutil.boot_time()


def _table() -> str:
    """Which start of which machine, and which process namespace; empty where the system does not say."""
    try:
        return f"{BOOT_ID.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


class Lease:
    """The right to run, for `ttl` seconds at a time. `server_time` tells the server's clock.

    `row` names what is locked: runs, whose state rows carry the fence, or following beside them. `run` is the name of
    the run that it is for: by the lock's row others tell a run that goes on from one that died.
    """

    def __init__(
        self,
        state: State,
        holder: Holder,
        server_time: Callable[[], dt.datetime],
        ttl: float = 60.0,
        patience: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        row: str = LOCK,
        run: str = "",
    ) -> None:
        self._state, self._holder, self._ttl, self._patience = state, holder, ttl, patience
        self._row, self._run, self._fence = row, run, 0
        self._server_time, self._monotonic = server_time, monotonic
        self._deadline = 0.0
        self._done = threading.Event()
        self._keeper: threading.Thread | None = None

    def take(self) -> None:
        """Take the lease, waiting for it at most `patience`, or raise Locked with its holder."""
        self._done.clear()
        until = self._monotonic() + self._patience
        while True:
            try:
                self._take_now()
                return
            except Locked:
                if self._monotonic() >= until:
                    raise
            self._done.wait(min(WAIT, self._patience))

    def _take_now(self) -> None:
        """Take the lease or raise Locked. A dead holder's lease is taken over at once."""
        row = self._take({"expiresAt": {"$lte": self._server_time()}})
        if row is None:
            held = self._state.get(self._row)
            if not (held.get("holder") and Holder(**held["holder"]).is_dead()):
                raise Locked(*describe(held))
            row = self._take({"fence": held["fence"]})
        if row is None:  # somebody else found the dead holder first
            raise Locked(*describe(self._state.get(self._row)))
        self._fence = row["fence"]
        if self._row == LOCK:
            self._state.raise_fence(self._fence)

    def _take(self, free: Document) -> Document | None:
        began = self._monotonic()
        try:
            row: Document | None = self._state.rows.find_one_and_update(
                {"_id": self._row, **free},
                {"$inc": {"fence": 1}, "$set": self._term() | {"kind": LOCK, "layout": LAYOUT}},
                upsert="expiresAt" in free,  # only the ordinary way may create the row
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:  # the row is there and its lease has not expired
            return None
        self._deadline = began + self._ttl
        return row

    def _term(self) -> Document:
        now = self._server_time()
        expires = now + dt.timedelta(seconds=self._ttl)
        return {"holder": asdict(self._holder), "run": self._run, "renewedAt": now, "expiresAt": expires}

    def renew(self) -> None:
        """Extend the lease, or raise LeaseLost when it has changed hands or ended."""
        self.check()
        began = self._monotonic()
        mine = {"_id": self._row, "fence": self._fence}
        if self._state.rows.update_one(mine, {"$set": self._term()}).matched_count == 0:
            self._deadline = 0.0
            self.check()
        self._deadline = began + self._ttl

    def check(self) -> None:
        """Raise LeaseLost unless the lease surely still holds. Costs no round trip."""
        if self._monotonic() >= self._deadline:
            raise LeaseLost(
                "this run lost its lease: it could not renew in time, or another run took over",
                hint="lbmigrate status",
            )

    def keep(self) -> None:
        """Renew in the background, at a third of the lease's life, until `release`."""
        self._keeper = threading.Thread(target=self._renew_until_done, name="lease", daemon=True)
        self._keeper.start()

    def _renew_until_done(self) -> None:
        while not self._done.wait(self._ttl / 3):
            try:
                self.renew()
            except LeaseLost:
                return  # `check` tells the runner, in the runner's own thread
            except PyMongoError:
                continue  # a passing fault: there are two thirds of a life left to try again

    def release(self) -> None:
        """Give the lease back, if it is still ours. The fence stays where it is."""
        self._done.set()
        if self._keeper is not None:
            self._keeper.join()
        self._deadline = 0.0
        now = self._server_time()
        mine = {"_id": self._row, "fence": self._fence}
        self._state.rows.update_one(mine, {"$set": {"holder": None, "run": None, "expiresAt": now}})


def break_open(state: State) -> None:
    """Take the lease from whoever holds it; his next renewal and his next checkpoint fail."""
    row = state.rows.find_one_and_update(
        {"_id": LOCK},
        {"$inc": {"fence": 1}, "$set": {"holder": None, "run": None, "expiresAt": dt.datetime(1970, 1, 1)}},
        return_document=ReturnDocument.AFTER,
    )
    if row:
        state.raise_fence(row["fence"])


def describe(row: Document) -> tuple[str, str]:
    """Who holds the lock and what to do about it: a message and a hint."""
    holder: dict[str, Any] = row.get("holder") or {}
    who = f"pid {holder['pid']} on {holder['host']}" if holder else "somebody"
    until = row["expiresAt"].isoformat(timespec="seconds") + "Z" if "expiresAt" in row else "unknown"
    if row.get("_id") == FOLLOWING:
        return f"another tail follows already: {who}, until {until}", "stop that one, or let it go on: one is enough"
    return f"another run holds the lock: {who}, until {until}", "lbmigrate status (or `lbmigrate unlock` if it is gone)"
