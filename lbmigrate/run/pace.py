"""How fast a run reads documents, evenly, and in how many threads: both may be changed while it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lbmigrate.run.stop import LONGEST_NAP, Stop

AT_ONCE = 0.5  # seconds of reading that are let through at once
BETWEEN_PIECES = 2.0  # seconds after which a chunk that is read slowly is to end, so that progress is seen


class Pace:
    """Shared by all threads of a run. `per_second` documents are read in all; None is without limit."""

    def __init__(self, workers: int = 1, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.workers: int = workers
        self.per_second: float | None = None
        self._monotonic = monotonic
        self._turn = threading.Lock()
        self._mine = threading.local()
        self._free = 0.0  # when the next documents may be read
        self._changes = self._at_work = 0

    def set(self, workers: int, per_second: float | None) -> None:
        """From now on so many threads, and so many documents a second."""
        with self._turn:
            if per_second != self.per_second:
                self._free, self._changes = self._monotonic(), self._changes + 1
            self.workers, self.per_second = workers, per_second

    def threads(self) -> int:
        return self.workers

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within the block this thread counts as one that works."""
        with self._turn:
            self._at_work += 1
        try:
            yield
        finally:
            with self._turn:
                self._at_work -= 1

    def idle(self) -> int:
        """How many threads have nothing left to do, while others of those that are counted work."""
        return max(0, self.workers - self._at_work) if self._at_work else 0

    def batch(self, most: int) -> int:
        """How many documents to read at a time, so that what is let through at once is little."""
        return most if self.per_second is None else max(1, int(min(most, self.per_second * AT_ONCE)))

    def chunk(self, most: int) -> int:
        """How many documents a new chunk should have at most."""
        return most if self.per_second is None else max(1, int(min(most, self.per_second * BETWEEN_PIECES)))

    def take(self, documents: int, stop: Stop) -> None:
        """Wait until so many documents are due; a stop, or another pace, ends the wait."""
        with self._turn:
            if self.per_second is None:
                return
            now, changes = self._monotonic(), self._changes
            due = max(now, self._free)
            self._free = due + documents / self.per_second
        while self._changes == changes and not stop.asked() and (left := due - self._monotonic()) > 0:
            stop.wait(min(left, LONGEST_NAP))
        self._mine.rested = self._rested() + self._monotonic() - now

    def clock(self) -> float:
        """Seconds from anywhere, without those that this thread has waited here: they are no work."""
        return self._monotonic() - self._rested()

    def _rested(self) -> float:
        return float(getattr(self._mine, "rested", 0.0))


class AskedPace(Pace):
    """The same in a worker: it is the run that says when documents may be read, to all of them together."""

    def __init__(self, ask: Callable[[int], None], per_second: float | None) -> None:
        super().__init__()
        self._ask, self.per_second = ask, per_second

    def take(self, documents: int, stop: Stop) -> None:
        if self.per_second is not None:
            began = self._monotonic()
            self._ask(documents)
            self._mine.rested = self._rested() + self._monotonic() - began
