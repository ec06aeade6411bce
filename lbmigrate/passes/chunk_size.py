"""How many documents the next chunk should have, so that it takes about as long as it should."""

from __future__ import annotations

import threading

SMOOTHING = 0.3  # the weight of the newest chunk
GROWTH = 1.2  # a chunk is at most this many times the one before
LEAST = 100


class ChunkSize:
    """Starts at `most`, never exceeds it, and follows `target` seconds; None keeps it where it is.

    The idea of batches that follow a target duration, with smoothing and bounded growth, is GitLab's for its batched
    background migrations.
    """

    def __init__(self, most: int, target: float | None) -> None:
        self._most, self._target = most, target
        self._size = float(most)
        self._pace: float | None = None  # seconds a document, smoothed
        self._turn = threading.Lock()

    def __call__(self) -> int:
        return int(self._size)

    def note(self, seconds: float, documents: int) -> None:
        """Take in a finished chunk; one without documents says nothing."""
        if self._target is None or documents == 0:
            return
        with self._turn:
            newest = seconds / documents
            self._pace = newest if self._pace is None else SMOOTHING * newest + (1 - SMOOTHING) * self._pace
            wanted = self._target / self._pace if self._pace > 0 else self._most
            self._size = max(min(wanted, self._size * GROWTH, self._most), min(LEAST, self._most))
