"""One runner at a time: a lease with an end, and a fence that rises whenever it changes hands.

The lease is taken with one atomic update. Whether it has expired is judged by the server's clock, and how long it still
lasts by this process's monotonic clock, which goes on while the process is stopped: so a runner that slept past the end
knows it before it writes, and the fence on every row stops it if it does not. (The fencing token is described by Martin
Kleppmann, "How to do distributed locking", 2016.)
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError, PyMongoError

from lbmigrate.errors import LeaseLost, Locked
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import soon
from lbmigrate.mongo.faults import other_unique_index
from lbmigrate.records import Document
from lbmigrate.state import fences
from lbmigrate.state.fenced import LAYOUT
from lbmigrate.state.holder import Holder
from lbmigrate.state.rows import State
from lbmigrate.state.shapes import COLLECTION

LOCK = "lock"
FOLLOWING = "lock:tail"  # held by whoever follows change streams, beside the runs
BOARDS = "lock:boards"  # held by whoever rebuilds the boards in Redis or empties their stream, beside the runs
WAIT = 0.5  # seconds between two looks at a lock that is held


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
            except PyMongoError:
                self._give_up()
                raise
            self._done.wait(min(WAIT, self._patience))

    def _give_up(self) -> None:
        """Take our name off a lock that the primary may have and a majority does not: the next run need not wait."""
        rows = soon(self._state.rows.database)[self._state.rows.name]
        with suppress(PyMongoError):
            mine = {"_id": self._row, "run": self._run, "holder": asdict(self._holder)}
            rows.update_one(mine, {"$set": {"holder": None, "run": None, "expiresAt": self._server_time()}})

    def _take_now(self) -> None:
        """Take the lease or raise Locked. A dead holder's lease is taken over at once.

        One whose end cannot be read is somebody's, until `unlock`: its holder puts it right when it renews.
        """
        retrying(lambda: fences.repair(self._state.rows, self._row))
        row = retrying(lambda: self._take({"expiresAt": {"$lte": self._server_time(), "$not": {"$type": "array"}}}))
        if row is None:
            held = self._state.get(self._row)
            holder = Holder.of(held)
            if not (self._is_mine(held) or (holder and holder.is_dead() and "fence" in held)):
                raise Locked(*describe(held))
            row = self._take({"fence": held["fence"]})
        if row is None:  # somebody else found the dead holder first
            raise Locked(*describe(self._state.get(self._row)))
        self._fence = row["fence"] if self._row != LOCK else self._above_all(row["fence"])
        if self._row == LOCK:
            self._state.raise_fence(self._fence)
            self._state.held.begin()

    def _above_all(self, fence: int) -> int:
        """A fence that no row is above, as it is unless somebody edited rows, or deleted the lock's."""
        highest = fences.highest(self._state.rows)
        if highest <= fence:
            return fence
        mine = {"_id": self._row, "fence": fence}
        if self._state.rows.update_one(mine, {"$set": {"fence": highest + 1}}).matched_count == 0:
            raise Locked(*describe(self._state.get(self._row)))
        return highest + 1

    def _take(self, free: Document) -> Document | None:
        began = self._monotonic()
        try:
            row: Document | None = self._state.rows.find_one_and_update(
                {"_id": self._row, **free},
                {"$inc": {"fence": 1}, "$set": self._term() | {"kind": LOCK, "layout": LAYOUT}},
                upsert="expiresAt" in free,  # only the ordinary way may create the row
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError as error:
            if other_unique_index(error.details or {}):
                raise
            return None  # the row is there and its lease has not expired
        self._deadline = began + self._ttl
        return row

    def _is_mine(self, held: Document) -> bool:
        """Whether an attempt that failed was carried out after all; no two runs have one name."""
        return bool(self._run) and held.get("run") == self._run

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
        self._state.held.end()
        now = self._server_time()
        mine = {"_id": self._row, "fence": self._fence}
        free = {"$set": {"holder": None, "run": None, "expiresAt": now}}
        retrying(lambda: self._state.rows.update_one(mine, free), attempts=2)


def is_held(lock: Document, now: dt.datetime) -> bool:
    """Whether somebody can still be at work under a lock.

    So it is until its lease has ended by the server's clock, which says `now`, or its process is known to be gone.
    """
    holder = Holder.of(lock)
    return bool(lock) and lock.get("expiresAt", now) > now and not (holder and holder.is_dead())


def is_taken(lock: Document, now: dt.datetime) -> bool:
    """Whether there is something for `unlock` to take away: a holder, alive or not, or an end that has not come."""
    return bool(lock) and (bool(lock.get("holder")) or is_held(lock, now) or "fence" not in lock)


def break_open(state: State) -> None:
    """Take the lease from whoever holds it; his next renewal and his next checkpoint fail."""
    nobody = {"holder": None, "run": None, "expiresAt": dt.datetime(1970, 1, 1)}
    change = {"$inc": {"fence": 1}, "$set": nobody}
    after = ReturnDocument.AFTER
    retrying(lambda: fences.repair(state.rows, LOCK))
    row = retrying(lambda: state.rows.find_one_and_update({"_id": LOCK}, change, return_document=after))
    if row:
        state.raise_fence(row["fence"])


def describe(row: Document) -> tuple[str, str]:
    """Who holds the lock and what to do about it: a message and a hint."""
    who = str(Holder.of(row) or "somebody")
    ends = row.get("expiresAt", dt.datetime.max)
    until = (
        "until an end that cannot be read"
        if ends == dt.datetime.max
        else f"until {ends.isoformat(timespec='seconds')}Z"
    )
    if row.get("_id") == FOLLOWING:
        gone = f'if it is gone: db.{COLLECTION}.deleteOne({{_id: "{FOLLOWING}"}})'
        return f"another tail follows already: {who}, {until}", f"stop that one, or let it go on: one is enough; {gone}"
    return f"another run holds the lock: {who}, {until}", "lbmigrate status (or `lbmigrate unlock` if it is gone)"
