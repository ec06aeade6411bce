"""In which order those stand who share a score, and how what stands beside a place is asked for. Pure.

By the id of the user, the higher one first, which needs nothing; or by the moment at which each has reached the score
(`ranking.order`), and where that is the same by the id. A moment that is missing stands where an index has it: before
all others. Each is one total order, so pages neither skip nor repeat anybody.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from lbmigrate.records import Document
from lbmigrate.schema import REACHED, WAYS
from lbmigrate.values.brackets import TYPES, rank

Way = Literal[-1, 1]  # down the board, or up
DATE = TYPES.index("date")
BEFORE_DATES: Document = {"$type": list(TYPES[:DATE])}
BEHIND_DATES: Document = {"$type": list(TYPES[DATE + 1 :])}


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

    def has_place(self, entry: Document) -> bool:
        """Whether pages can begin behind an entry: not where somebody has put something else than a moment into it."""
        at = entry.get(REACHED)
        return self.by not in WAYS or at is None or isinstance(at, dt.datetime)

    def position(self, entry: Document) -> Position:
        """Where an entry stands."""
        at = entry.get(REACHED) if self.by in WAYS else None
        return Position(entry["score"], entry["userId"], at if isinstance(at, dt.datetime) else None, self.by)

    def beyond(self, place: Position, way: Way) -> list[Document]:
        """The conditions of which the entries further down (-1) or up meet one."""
        side = "$lt" if way < 0 else "$gt"
        return [{"score": {side: place.score}}, *({"score": place.score, **each} for each in self.tied(place, way))]

    def tied(self, place: Position, way: Way) -> list[Document]:
        """The conditions of which those entries of the same score meet one that are further down (-1) or up."""
        by_user = _users(place.user, way)
        if self.by not in WAYS:
            return by_user
        same: list[Document] = [{REACHED: place.reached, **each} for each in by_user]
        return [*_moments(place.reached, ascending=(way < 0) == (WAYS[self.by] > 0)), *same]

    def between(self, first: Position, last: Position) -> list[Document]:
        """The conditions of which those meet one that stand between two places of one score, and both of these.

        By moments also some of those who share the first or the last one.
        """
        if self.by in WAYS:
            low, high = sorted((first.reached, last.reached), key=lambda at: at or dt.datetime.min)
            return _moments_between(low, high)
        if rank(first.user) == rank(last.user):
            return [{"userId": {"$gte": last.user, "$lte": first.user}}]
        kinds = list(TYPES[rank(last.user) + 1 : rank(first.user)])
        ends: list[Document] = [{"userId": {"$lte": first.user}}, {"userId": {"$gte": last.user}}]
        return [*ends, *([{"userId": {"$type": kinds}}] if kinds else [])]


def _users(user: Any, way: Way) -> list[Document]:
    """The users behind one, or before it: a server compares within a type, and an index has all of one behind another.

    What has no user at all is behind all that can be shown.
    """
    side, place = ("$lt", rank(user)) if way < 0 else ("$gt", rank(user))
    kinds = list(TYPES[:place] if way < 0 else TYPES[place + 1 :])
    return [{"userId": {side: user}}, *([{"userId": {"$type": kinds}}] if kinds else [])]


def _moments_between(low: dt.datetime | None, high: dt.datetime | None) -> list[Document]:
    if low is None:
        return [{REACHED: None}, *([{REACHED: {"$lte": high}}, {REACHED: BEFORE_DATES}] if high else [])]
    return [{REACHED: {"$gte": low, "$lte": high}}]


def _moments(at: dt.datetime | None, ascending: bool) -> list[Document]:
    """The moments that an index has behind this one, or before it; what others have put there and is none counts."""
    if at is None:
        return [{REACHED: {"$type": list(TYPES)}}] if ascending else []
    if ascending:
        return [{REACHED: {"$gt": at}}, {REACHED: BEHIND_DATES}]
    return [{REACHED: {"$lt": at}}, {REACHED: BEFORE_DATES}, {REACHED: None}]


BY_USER = Order()
