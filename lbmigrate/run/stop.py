"""Whatever ends a run before its work does: a signal, a limit on time or documents, the end of a daily window.

Nothing is interrupted: a run asks between pieces, the piece at hand is finished and saved, and the reason becomes the
exit code.
"""

from __future__ import annotations

import datetime as dt
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from lbmigrate.errors import Stopped, WorkRemains
from lbmigrate.records import amount

LONGEST_NAP = 0.2  # seconds: how late a wait notices that a stop is asked for


@dataclass(frozen=True, slots=True)
class Window:
    """A part of every day, in a time zone; `01:00-05:00`, or over midnight `22:00-04:00`."""

    start: dt.time
    end: dt.time
    zone: ZoneInfo

    def holds(self, now: dt.datetime) -> bool:
        """Whether `now` (aware) is inside; the end is outside."""
        local = now.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use: seconds, documents read, and the hours of the day. None is without limit."""

    seconds: float | None = None
    documents: int | None = None
    window: Window | None = None


class Stop:
    """Whether to stop, asked between pieces. `request` is safe in a signal handler."""

    def __init__(
        self,
        limits: Limits = Limits(),
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits, self._monotonic, self._now, self._sleep = limits, monotonic, now, sleep
        self._started = monotonic()
        self._documents = 0
        self._given_up = ""
        self.signal: int | None = None

    def asked(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.signal is not None or bool(self._limit_reached())

    def request(self, number: int) -> None:
        """Ask to stop because of a signal."""
        self.signal = number

    def give_up(self, reason: str) -> None:
        """Ask to stop because the work cannot go on."""
        self._given_up = reason

    @property
    def has_given_up(self) -> bool:
        return bool(self._given_up)

    def count(self, documents: int) -> None:
        """Tell how many more documents were read."""
        self._documents += documents

    def wait(self, seconds: float) -> None:
        """Wait, or return early when a stop is asked for."""
        until = self._monotonic() + seconds
        while not self.asked() and (left := until - self._monotonic()) > 0:
            self._sleep(min(left, LONGEST_NAP))

    def _limit_reached(self) -> str:
        if self._given_up:
            return self._given_up
        asked = self._limits
        if asked.seconds is not None and self._monotonic() - self._started >= asked.seconds:
            return f"ran for {asked.seconds:g} s, as long as it may"
        if asked.documents is not None and self._documents >= asked.documents:
            return f"read {amount(self._documents, 'document')}, as many as it may"
        if asked.window is not None and not asked.window.holds(self._now()):
            return f"outside the hours {asked.window.start:%H:%M}-{asked.window.end:%H:%M} ({asked.window.zone})"
        return ""

    def raise_if_asked(self, again: str) -> None:
        """Raise what ended the run, Stopped or WorkRemains, with the command that goes on; nothing if nothing did."""
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            raise Stopped(f"stopped by {name}; completed work is saved", self.signal, hint=again)
        reason = self._limit_reached()
        if reason:
            raise WorkRemains(f"stopped early: {reason}; completed work is saved", hint=again)
