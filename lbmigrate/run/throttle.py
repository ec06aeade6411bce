"""How hard a run may press the server: what holds it, and the pace between holds.

A held run is not a failed one: it waits, a little longer each time, and looks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pymongo.database import Database

from lbmigrate.config.pace import Throttle
from lbmigrate.mongo.client import is_fake
from lbmigrate.run.context import Context
from lbmigrate.run.indicators import (
    Latency,
    Level,
    Signal,
    cached,
    flag_file,
    operator_pause,
    readable,
    replication_lag,
    server_queue,
)
from lbmigrate.run.stop import Stop
from lbmigrate.run.workers import Held

T = TypeVar("T")
FIRST_WAIT, LONGEST_WAIT = 0.5, 5.0  # seconds


class Gate:
    """Lets one piece of work through after another, as fast as the signals and the settings allow."""

    def __init__(
        self, signals: Sequence[Signal], settings: Throttle, stop: Stop, latency: Latency | None = None
    ) -> None:
        self._signals, self._settings, self._stop, self._latency = signals, settings, stop, latency
        self._owed = 0.0

    def note(self, seconds: float, documents: int) -> None:
        """Take in a finished chunk: what it took decides how long to rest, and whether chunks become slow."""
        rest = seconds * self._settings.nice
        if self._settings.documents_per_second:
            rest = max(rest, documents / self._settings.documents_per_second - seconds)
        self._owed += max(0.0, rest)
        if self._latency:
            self._latency.note(seconds, documents)

    def through(self, items: Iterable[T]) -> Iterator[T | Held]:
        """Every item when its time has come, and a Held, before each wait, while it has not."""
        ahead = iter(items)
        while not self._stop.asked():
            yield from self._hold()
            self._stop.wait(self._owed)
            self._owed = 0.0
            if self._stop.asked():  # while it waited
                return
            try:
                yield next(ahead)
            except StopIteration:
                return

    def _hold(self) -> Iterator[Held]:
        pause = FIRST_WAIT
        while (reason := self.objection()) and not self._stop.asked():
            yield Held(reason)
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_WAIT)

    def objection(self) -> str:
        """Why nothing may begin now; empty when it may."""
        return next(iter(self._reasons(Level.STOP)), "")

    def unreadable(self) -> list[str]:
        """Which signals cannot be read at the moment, and why: the run goes on without them."""
        return list(self._reasons(Level.UNKNOWN))

    def _reasons(self, level: Level) -> Iterator[str]:
        readings = (signal() for signal in self._signals)
        return (reading.reason for reading in readings if reading.level is level)


def gate(context: Context) -> Gate:
    """The gate that the configuration asks for. Built once a run: it remembers how fast chunks usually are."""
    settings = context.config.throttle
    latency = Latency(settings.latency_factor) if settings.latency_factor else None
    signals = [readable("an operator's pause", operator_pause(context.state))]
    if settings.flag_file:
        signals.append(readable("throttle.flag_file", flag_file(Path(settings.flag_file))))
    if not is_fake(context.target):
        signals += _of_the_server(context.target, settings)
    return Gate([*signals, latency] if latency else signals, settings, context.stop, latency)


def _of_the_server(database: Database[Any], settings: Throttle) -> Iterator[Signal]:
    if settings.max_lag is not None:
        yield cached(readable("replication lag", replication_lag(database, settings.max_lag)))
    if settings.max_queue is not None:
        yield cached(readable("the server's queue", server_queue(database, settings.max_queue)))
