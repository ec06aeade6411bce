"""What a reading of the board comes to: places, pages, a user's history, how old it may be.

Places, pages and histories can be written as JSON as they are (`dataclasses.asdict`). Freshness and About have dates:
`json.dumps(dataclasses.asdict(freshness), default=datetime.isoformat)`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from bson import Decimal128

from lbmigrate.records import AVATAR_LENGTH, Document
from lbmigrate.schema import REACHED
from lbmigrate.values.id_text import plain_text
from lbmigrate.values.limits import SMALL, is_lost, names_a_user, short


@dataclass(frozen=True)
class Place:
    """One line of the board. `rank` is 1 + the entries with a higher score, unless `ranking.ties` says otherwise.

    `user` is the id as a text, and `original` the id itself, which `dataclasses.asdict` leaves out. Both are accepted
    wherever a user is asked for. It leaves out `reached` as well: since when (naive UTC) the score is what it is, where
    `ranking.order` asks for that.
    """

    rank: int
    user: str
    name: str | None
    avatar: str | None
    score: int
    streak: int
    events: int
    key: InitVar[Any] = None
    since: InitVar[Any] = None

    def __post_init__(self, key: Any, since: Any) -> None:
        object.__setattr__(self, "_original", self.user if key is None else key)
        object.__setattr__(self, "_reached", since if isinstance(since, dt.datetime) else None)

    @property
    def original(self) -> Any:
        """The id as the leaderboard has it."""
        return self._original  # type: ignore[attr-defined]  # no field, so that the others are all JSON-safe

    @property
    def reached(self) -> dt.datetime | None:
        """Since when the score is what it is; None where nobody asks for that."""
        return self._reached  # type: ignore[attr-defined,no-any-return]


@dataclass(frozen=True, slots=True)
class Page:
    """Some places in board order, and the cursor of the next page; None after the last."""

    places: list[Place]
    next: str | None


@dataclass(frozen=True, slots=True)
class PastPlace:
    """A user's place in one period."""

    period: str
    rank: int
    score: int
    streak: int
    events: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the board may be: what sources held until `until` (UTC) is on it; None before the first backfill.

    `seconds` is the age of that moment. What is recorded live is on the board sooner.
    """

    until: dt.datetime | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class About:
    """A period: its first moment, and the first one after it, when the next one begins (UTC). `global` has neither.

    Where users have zones of their own, it begins with the first of them and ends with the last: periods overlap.
    `settled` if a backfill has looked at everything until then, and at what came late by less than `backfill.lag`.
    """

    period: str
    begins: dt.datetime | None
    ends: dt.datetime | None
    settled: bool


LONGEST_PERIOD = 64  # characters; what is longer, or has several lines, names no period


def names_a_period(value: Any) -> bool:
    """Whether this is a text that a period may be called by; others may have written anything, code included."""
    return type(value) is str and 0 < len(value) <= LONGEST_PERIOD and "\n" not in value


def slim(entry: Document) -> Document:
    """An entry with no more of what others may have written into it than is shown."""
    if all(type(value) in SMALL or (type(value) is str and len(value) <= AVATAR_LENGTH) for value in entry.values()):
        return entry  # as nearly all are
    return {name: value if type(value) in SMALL else short(value, AVATAR_LENGTH) for name, value in entry.items()}


def is_whole(entry: Document) -> bool:
    """Whether an entry can be shown; somebody else may have put another into the collection."""
    user, score = entry.get("userId"), entry.get("score")
    whole = isinstance(score, int) and type(score) is not bool and type(entry.get("period")) is str
    known = names_a_user(user) and not isinstance(user, float | Decimal128)
    return whole and known and "rev" in entry and not is_lost(entry["_id"])


def place_of(entry: Document, rank: int, profile: Document) -> Place:
    """A whole entry as a place. A name or a picture that the user's own document has no more is not shown either."""
    return Place(
        rank=rank,
        user=plain_text(entry["userId"]),
        name=_text(profile["displayNameSnapshot"] and entry.get("displayNameSnapshot")),
        avatar=_text(profile["avatarSnapshot"] and entry.get("avatarSnapshot")),
        score=int(entry["score"]),
        streak=_count(entry.get("streak")),
        events=_count(entry.get("events")),
        key=entry["userId"],
        since=entry.get(REACHED),
    )


def past_place_of(entry: Document, rank: int) -> PastPlace:
    """A whole entry as a place in a user's history."""
    counted = {name: _count(entry.get(name)) for name in ("score", "streak", "events")}
    return PastPlace(entry["period"], rank, **counted)


class Ranks:
    """Competition ranks from how many entries there are with each score, and above the highest of them."""

    def __init__(self, above: int, counts: Mapping[int, int]) -> None:
        self._ranks: dict[int, int] = {}
        for score in sorted(counts, reverse=True):
            self._ranks[score] = 1 + above
            above += counts[score]

    def of(self, score: int) -> int:
        """The rank of a score; of one that nobody has had when they were counted, that of the next lower one."""
        if score in self._ranks:
            return self._ranks[score]
        return min((rank for known, rank in self._ranks.items() if known < score), default=1)


def _text(value: Any) -> str | None:
    return value[:AVATAR_LENGTH] if isinstance(value, str) else None


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int) else 0
