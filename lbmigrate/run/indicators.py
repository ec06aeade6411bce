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
from pymongo.errors import PyMongoError

from lbmigrate.run.members import members
from lbmigrate.state import State
from lbmigrate.telling.secrets import hidden

LAG, QUEUE = "throttle.max_lag, throttle.ignore_members", "throttle.max_queue"
LOOK_AGAIN = 1.0  # seconds for which a look at the server holds good


class Level(Enum):
    """What a signal says."""

    NORMAL = "normal"
    STOP = "stop"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal's say, and why. `by_people` says that somebody wants it so, and will say when it is over.

    `settings` are the names of those that decide it.
    """

    level: Level
    reason: str = ""
    by_people: bool = False
    settings: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.reason} ({self.settings})" if self.settings else self.reason


NORMAL = Reading(Level.NORMAL)
Signal = Callable[[], Reading]


def operator_pause(state: State) -> Signal:
    """Stop while an operator's `pause` stands."""

    def read() -> Reading:
        paused = state.get("control").get("paused")
        if not paused:
            return NORMAL
        return Reading(Level.STOP, f"paused by {paused['by']} since {paused['at']:%Y-%m-%dT%H:%M:%SZ}", by_people=True)

    return read


def flag_file(path: Path) -> Signal:
    """Stop while the file exists: the stop for people without access to the database."""
    return lambda: Reading(Level.STOP, f"{path} exists", by_people=True) if path.exists() else NORMAL


def replication_lag(database: Database[Any], most: dt.timedelta, ignored: Collection[str] = ()) -> Signal:
    """Stop while a member that a run waits for is further behind than `most`, or does not answer."""

    def read() -> Reading:
        told = (member.objection(most) for member in members(database, ignored))
        reason = next(filter(None, told), "")
        return Reading(Level.STOP, f"replication lag: {reason}", settings=LAG) if reason else NORMAL

    return read


def server_queue(database: Database[Any], most: int) -> Signal:
    """Stop while more than `most` operations wait for the server, or it has no write ticket left."""

    def read() -> Reading:
        status = database.command("serverStatus", metrics=0, repl=0)
        waiting = status["globalLock"]["currentQueue"]["total"]
        if waiting > most:
            return Reading(Level.STOP, f"{waiting} operations wait in the server's queue", settings=QUEUE)
        tickets = status.get("wiredTiger", {}).get("concurrentTransactions", {}).get("write", {}).get("available", 1)
        return Reading(Level.STOP, "the server has no write ticket left", settings=QUEUE) if tickets < 1 else NORMAL

    return read


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
        return Reading(Level.STOP, told, settings="throttle.latency_factor")


def readable(name: str, signal: Signal) -> Signal:
    """The signal, and where it cannot be read (a right is missing, the server has no such figure) Unknown."""

    def read() -> Reading:
        try:
            return signal()
        except (PyMongoError, NotImplementedError, OSError, LookupError, TypeError, ValueError) as error:
            return Reading(Level.UNKNOWN, f"{name} cannot be read: {hidden(str(error).partition(', full error')[0])}")

    return read


def cached(signal: Signal, monotonic: Callable[[], float] = time.monotonic) -> Signal:
    """Look at most once in LOOK_AGAIN seconds."""
    looked, kept = float("-inf"), NORMAL

    def read() -> Reading:
        nonlocal looked, kept
        if monotonic() - looked >= LOOK_AGAIN:
            kept, looked = signal(), monotonic()
        return kept

    return read
