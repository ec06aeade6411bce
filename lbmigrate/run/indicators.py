"""The signals that hold a run, each Normal, Stop or Unknown, with a reason that the operator sees.

One that cannot be read (a right is missing, a server has no such figure) is Unknown and does not stop.
"""

from __future__ import annotations

import datetime as dt
import statistics
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.records import Document, amount
from lbmigrate.run.members import members
from lbmigrate.state import State
from lbmigrate.telling.secrets import hidden

LAG, QUEUE = "throttle.max_lag, throttle.ignore_members", "throttle.max_queue"
FORBIDDEN = "forbidden"  # the kind of what cannot be read for want of a right
CATCHES_UP = 1.0  # seconds in which a member that is not late has the newest write
LOOK_AGAIN = 1.0  # seconds for which a look at the server holds good


class Level(Enum):
    """What a signal says."""

    NORMAL = "normal"
    STOP = "stop"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal's say, and why. `by_people` says that somebody wants it so, and will say when it is over.

    `settings` are the names of those that decide it, `kind` says in one word what holds, `ends` what ends that.
    """

    level: Level
    reason: str = ""
    by_people: bool = False
    settings: str = field(default="", compare=False)
    kind: str = field(default="", compare=False)
    ends: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.reason} ({self.settings})" if self.settings else self.reason


NORMAL = Reading(Level.NORMAL)
Signal = Callable[[], Reading]


class Operator:
    """Stop while an operator's `pause` stands. What was asked for with `tune` is read in the same breath."""

    def __init__(self, state: State, run: str = "") -> None:
        self._state, self._run = state, run
        self.tuned: Document = {}  # for this very run

    def __call__(self) -> Reading:
        row = self._state.get("control")
        tuned = row.get("tuned") or {}
        self.tuned = tuned if tuned.get("run") == self._run else {}
        paused = row.get("paused")
        if not paused:
            return NORMAL
        told = f"paused by {paused['by']} since {paused['at']:%Y-%m-%dT%H:%M:%SZ}"
        return Reading(Level.STOP, told, by_people=True, kind="pause", ends="lbmigrate resume")


def flag_file(path: Path) -> Signal:
    """Stop while the file exists: the stop for people without access to the database."""
    there = Reading(Level.STOP, f"{path} exists", by_people=True, kind="flag_file", ends=f"somebody removes {path}")
    return lambda: there if path.exists() else NORMAL


def replication_lag(
    database: Database[Any], most: dt.timedelta, wait: Callable[[float], object], ignored: Collection[str] = ()
) -> Signal:
    """Stop while a member that a run waits for is further behind than `most`, or does not answer.

    Where nothing was written for a while, every member is for a moment as far behind the next write as that was long; a
    set that nobody uses writes for itself every ten seconds. So one that seems late is looked at twice.
    """

    def objection() -> str:
        told = (member.objection(most) for member in members(database, ignored))
        return next(filter(None, told), "")

    def read() -> Reading:
        reason = objection()
        if reason:
            wait(CATCHES_UP)
            reason = objection()
        ends = "the member has caught up, or does not count any more"
        lag = f"replication lag: {reason}"
        return Reading(Level.STOP, lag, settings=LAG, kind="replication_lag", ends=ends) if reason else NORMAL

    return read


def server_queue(database: Database[Any], most: int) -> Signal:
    """Stop while more than `most` operations wait for the server, or it has no write ticket left."""

    def read() -> Reading:
        status = database.command("serverStatus", metrics=0, repl=0)
        waiting = status["globalLock"]["currentQueue"]["total"]
        if waiting > most:
            return _pressed(
                f"{amount(waiting, 'operation')} {'waits' if waiting == 1 else 'wait'} in the server's queue"
            )
        tickets = status.get("wiredTiger", {}).get("concurrentTransactions", {}).get("write", {}).get("available", 1)
        return _pressed("the server has no write ticket left") if tickets < 1 else NORMAL

    return read


def _pressed(reason: str) -> Reading:
    return Reading(Level.STOP, reason, settings=QUEUE, kind="queue", ends="the server has less to do")


class Latency:
    """Stop once when the newest chunks take several times as long a document as they usually do.

    Slow chunks count towards what is usual, so a server that stays slow holds the run only for a while.
    """

    def __init__(self, factor: float, usual: int = 30, newest: int = 3) -> None:
        self._factor, self._newest = factor, newest
        self._unjudged = 0
        self._seen: deque[float] = deque(maxlen=usual)

    def note(self, seconds: float, documents: int) -> None:
        """Take in a chunk; tiny ones say nothing."""
        if documents >= 100:
            self._seen.append(seconds / documents)
            self._unjudged += 1

    def __call__(self) -> Reading:
        if self._unjudged < self._newest or len(self._seen) < 3 * self._newest:
            return NORMAL
        newest = [self._seen[-place] for place in range(1, self._newest + 1)]
        usual = statistics.median(self._seen)
        if min(newest) <= self._factor * usual:
            return NORMAL
        self._unjudged = 0  # held for these once
        told = f"chunks take {min(newest) / usual:.1f} times as long as they usually do"
        setting = "throttle.latency_factor"
        return Reading(Level.STOP, told, settings=setting, kind="latency", ends="it goes on by itself within seconds")


def readable(name: str, signal: Signal) -> Signal:
    """The signal, and where it cannot be read (a right is missing, the server has no such figure) Unknown."""

    def read() -> Reading:
        try:
            return signal()
        except OperationFailure as error:
            forbidden = FORBIDDEN if error.code == UNAUTHORIZED else ""
            return Reading(Level.UNKNOWN, _unread(name, error), kind=forbidden)
        except (PyMongoError, NotImplementedError, OSError, LookupError, TypeError, ValueError) as error:
            return Reading(Level.UNKNOWN, _unread(name, error))

    return read


def _unread(name: str, error: Exception) -> str:
    return f"{name} cannot be read: {hidden(str(error).partition(', full error')[0])}"


def cached(signal: Signal, monotonic: Callable[[], float] = time.monotonic) -> Signal:
    """Look at most once in LOOK_AGAIN seconds."""
    looked, kept = float("-inf"), NORMAL

    def read() -> Reading:
        nonlocal looked, kept
        if monotonic() - looked >= LOOK_AGAIN:
            kept, looked = signal(), monotonic()
        return kept

    return read
