"""In which order those stand who share a score, and how what stands beside a place is asked for. Pure.

By the id of the user, the higher one first, which needs nothing; or by the moment at which each has reached the score
(`ranking.order`), and where that is the same by the id. A moment that is missing stands where an index has it: before
all others. Each is one total order, so pages neither skip nor repeat anybody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lbmigrate.records import Document
from lbmigrate.schema import REACHED, WAYS
from lbmigrate.values.brackets import rank

Way = Literal[-1, 1]  # down the board, or up
ANY_TIME: Document = {"$type": "date"}


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two entries of a board: behind the one with this score and user, in an order by `by`."""

    score: int
    user: Any
    reached: dt.datetime | None = None
    by: str = "userId"


@dataclass(frozen=True, slots=True)
class Order:
    """`earliest`, `latest` or `userId`."""

    by: str = "userId"

    def sort(self, way: Way) -> Document:
        """Of the entries of a period, down the board (-1) or up."""
        moment = {REACHED: -way * WAYS[self.by]} if self.by in WAYS else {}
        return {"score": way, **moment, "userId": way}

    def position(self, entry: Document) -> Position:
        """Where an entry stands."""
        at = entry.get(REACHED) if self.by in WAYS else None
        moment = at if isinstance(at, dt.datetime) else None
        return Position(entry.get("score"), entry.get("userId"), moment, self.by)  # type: ignore[arg-type]  # odd ones

    def beyond(self, place: Position, way: Way) -> list[Document]:
        """The conditions of which the entries further down (-1) or up meet one."""
        side = "$lt" if way < 0 else "$gt"
        return [{"score": {side: place.score}}, *({"score": place.score, **each} for each in self._tied(place, side))]

    def span(self, places: Sequence[Position]) -> tuple[list[Document], list[Document]]:
        """Conditions for entries with the score of these places: one for those above all of them, one for the rest.

        An entry meets one of them. The rest reaches from the first to the last, and to whoever shares their moments.
        """
        if self.by not in WAYS:
            lowest, highest = (end((place.user for place in places), key=_as_sorted) for end in (min, max))
            return [{"userId": {"$gt": highest}}], [{"userId": {"$gte": lowest, "$lte": highest}}]
        known, some_lack_it = [at for place in places if (at := place.reached)], any(p.reached is None for p in places)
        missing = [{REACHED: None}] if some_lack_it else []
        if WAYS[self.by] > 0:
            above = [] if some_lack_it else _moments(min(known), ascending=False)
            low = {} if some_lack_it else {"$gte": min(known)}
        else:
            above = _moments(max(known), ascending=True) if known else [{REACHED: ANY_TIME}]
            low = {"$gte": min(known)} if known and not some_lack_it else {}
        return above, [*missing, *([{REACHED: {**low, "$lte": max(known)}}] if known else [])]

    def _tied(self, place: Position, side: str) -> list[Document]:
        by_user: Document = {"userId": {side: place.user}}
        if self.by not in WAYS:
            return [by_user]
        ascending = (side == "$lt") == (WAYS[self.by] > 0)
        same: Document = {REACHED: place.reached, **by_user}
        return [*_moments(place.reached, ascending), same]


def _moments(at: dt.datetime | None, ascending: bool) -> list[Document]:
    """The moments that an index has behind this one, or before it."""
    if at is None:
        return [{REACHED: ANY_TIME}] if ascending else []
    return [{REACHED: {"$gt": at}}] if ascending else [{REACHED: {"$lt": at}}, {REACHED: None}]


def _as_sorted(user: Any) -> tuple[int, str, Any]:
    """Sorts users as the server does: all of one type, as they are in a ledger."""
    return rank(user), type(user).__name__, user


BY_USER = Order()
