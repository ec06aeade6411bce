"""Ranks of entries that are read in board order: counted for the first two scores, and numbered from there on.

A walk may begin amid a score, of which it does not see all; from the second score on it sees everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from bson import Decimal128

from lbmigrate.records import Document


class Ranks:
    """Hands out what knows the rank of each entry of a walk, whether it is shown or not.

    `counted` asks the server. Without `numbering`, as for a walk from the lowest to the highest, it is asked for each.
    """

    def __init__(self, counted: Callable[[Document], int], *, numbering: bool) -> None:
        self._counted, self._numbering = counted, numbering
        self._score: Any = None
        self._scores = self._equal = 0
        self._rank: Callable[[], int] = lambda: 1

    def of(self, entry: Document) -> Callable[[], int]:
        """What knows the rank of the next entry."""
        score = entry.get("score")
        value = score.to_decimal() if isinstance(score, Decimal128) else score
        if isinstance(value, bool) or not hasattr(value, "__float__"):
            return lambda: 0  # no number: it is nobody's place, and counts for nobody's rank
        if not self._numbering:
            return partial(self._counted, entry)
        if self._scores == 0 or value != self._score:
            self._rank = self._next(entry)
            self._score, self._equal = value, 0
            self._scores += 1
        self._equal += 1
        return self._rank

    def _next(self, entry: Document) -> Callable[[], int]:
        if self._scores < 2:
            return cache(partial(self._counted, entry))
        before, equal = self._rank, self._equal
        rank = before() + equal
        return lambda: rank
