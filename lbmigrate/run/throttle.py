"""How hard a run may press the server: what holds it, and the pace between holds.

A held run is not a failed one: it waits, a little longer each time, and looks again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pymongo.database import Database

from lbmigrate.config.pace import Throttle
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.context import Context
from lbmigrate.run.indicators import (
    FORBIDDEN,
    Latency,
    Level,
    Operator,
    Reading,
    Signal,
    cached,
    flag_file,
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
        self,
        signals: Sequence[Signal],
        settings: Throttle,
        stop: Stop,
        latency: Latency | None = None,
        steering: Steering | None = None,
    ) -> None:
        self._signals, self._stop, self._latency, self._steering = signals, stop, latency, steering
        self._nice = settings.nice
        self._owed = 0.0
        self._give_up = settings.give_up.total_seconds() if settings.give_up else float("inf")
        self._longest = in_words(settings.give_up) if settings.give_up else ""

    def note(self, seconds: float, documents: int) -> None:
        """Take in a finished chunk: what it took decides how long to rest, and whether chunks become slow."""
        self._owed += seconds * self._nice
        if self._latency:
            self._latency.note(seconds, documents)

    def through(self, items: Iterable[T]) -> Iterator[T | Held]:
        """Every item when its time has come, and a Held, before each wait, while it has not."""
        ahead = iter(items)
        while not self._stop.asked():
            yield from self._hold()
            if self._steering:
                self._nice = self._steering.take_over()
            self._stop.wait(self._owed)
            self._owed = 0.0
            if self._stop.asked():  # while it waited
                return
            try:
                yield next(ahead)
            except StopIteration:
                return

    def _hold(self) -> Iterator[Held]:
        pause, waited = FIRST_WAIT, 0.0
        while (reading := self._held_by()) and not self._stop.asked():
            if reading.by_people:
                waited = 0.0
            elif waited >= self._give_up:
                self._stop.give_up(f"held for {self._longest}: {reading}; lbmigrate doctor says more")
                return
            limited = self._longest and not reading.by_people
            told = f"{reading}; the run gives up after {self._longest}" if limited else str(reading)
            yield Held(told, reading.kind, reading.ends)
            self._stop.wait(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_WAIT)

    def objection(self) -> str:
        """Why nothing may begin now; empty when it may."""
        reading = self._held_by()
        return reading.reason if reading else ""

    def _held_by(self) -> Reading | None:
        return next((each for each in (signal() for signal in self._signals) if each.level is Level.STOP), None)

    def unreadable(self) -> list[str]:
        """Which signals cannot be read at the moment, and why: the run goes on without them.

        Those for which a right is missing are not among them: that does not change, and `doctor` says it.
        """
        readings = [signal() for signal in self._signals]
        return [each.reason for each in readings if each.level is Level.UNKNOWN and each.kind != FORBIDDEN]


class Steering:
    """What an operator has asked of this very run with `tune`, and else what the configuration says."""

    def __init__(self, context: Context, operator: Operator) -> None:
        self._pace, self._operator, self._settings = context.pace, operator, context.config.throttle
        self._workers = context.workers
        self.take_over()

    def take_over(self) -> float:
        """Set the pace by what was read last; how long to rest after a chunk, as a share of the time that it took."""
        tuned, settings = self._operator.tuned, self._settings
        per_second = tuned.get("perSecond", settings.documents_per_second) or None  # none is without limit
        self._pace.set(tuned.get("workers") or self._workers, per_second)
        return float(tuned.get("nice", settings.nice))


def in_words(span: dt.timedelta) -> str:
    """A time span as a configuration says it: `2h`, `90m`, `45s`."""
    seconds = round(span.total_seconds())
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "m"), (1, "s")) if seconds % size == 0)
    return f"{seconds // size}{unit}"


def gate(context: Context) -> Gate:
    """The gate that the configuration asks for. Built once a run: it remembers how fast chunks usually are."""
    settings = context.config.throttle
    latency = Latency(settings.latency_factor) if settings.latency_factor else None
    operator = Operator(context.state, context.run)
    signals: list[Signal] = [readable("an operator's pause", operator)]
    if settings.flag_file:
        signals.append(readable("throttle.flag_file", flag_file(Path(settings.flag_file))))
    if not is_fake(context.target):
        signals += _of_the_server(context.target, settings, context.stop)
    asked: list[Signal] = [*signals, latency] if latency else signals
    return Gate(asked, settings, context.stop, latency, Steering(context, operator))


def _of_the_server(database: Database[Any], settings: Throttle, stop: Stop) -> Iterator[Signal]:
    if settings.max_lag is not None:
        lag = replication_lag(database, settings.max_lag, stop.wait, settings.ignore_members)
        yield cached(readable("replication lag", lag))
    if settings.max_queue is not None:
        yield cached(readable("the server's queue", server_queue(database, settings.max_queue)))
