"""The board as the app reads it: the top of a period, a user's rank, the neighbours. Opted-out users never appear."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bson import Binary, Code, Decimal128
from pymongo.database import Database

from lbmigrate.board.profiles import profiles_of
from lbmigrate.errors import UsageError
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import AVATAR_LENGTH, Document
from lbmigrate.schema import ENTRIES
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.ids import id_type, parse_id
from lbmigrate.values.limits import SMALL, is_half, is_lost, long_id, names_a_user, short

if TYPE_CHECKING:
    from lbmigrate.config.model import Config


SHOWN = dict.fromkeys((
    "userId", "period", "score", "streak", "events", "rev", "optOutSnapshot", "displayNameSnapshot", "avatarSnapshot",
), 1)  # fmt: skip
LONGEST_PERIOD = 64  # characters
PERIOD = rf"^[^\n]{{1,{LONGEST_PERIOD}}}$"
NAMES = "name one: global, 2025-W44, 2025-11-04"
PAGE = 500  # the most entries read at once while skipping over users who opted out


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the board. `rank` is the competition rank: 1 + the entries of the period with a higher score."""

    rank: int
    user: Any
    name: str | None
    avatar: str | None
    score: int
    streak: int
    events: int


class Board:
    """Reads the leaderboard of `database`. Never writes. `sources` is where the users live, by default the same."""

    def __init__(self, database: Database[Any], config: Config, sources: Database[Any] | None = None) -> None:
        self._entries = lenient(database)[ENTRIES]
        self._users = database if sources is None else sources
        self._config = config

    def top(self, period: str = "global", n: int = 10) -> list[Place]:
        """The first `n` visible users of a period, best first. Raises UsageError for what is none."""
        _refuse_odd_period(period)
        _refuse_odd_number(n)
        return self._visible({"period": period}, n, descending=True)

    def rank(self, user: Any, period: str = "global") -> Place | None:
        """A user's own place; None when there is no entry, or the user has opted out.

        `user` is an id as the board has it, or how that is written. Raises UsageError for anything else.
        """
        entry = self._entry(user, period)
        return next(iter(self._places([entry])), None) if entry else None

    def around(self, user: Any, period: str = "global", n: int = 3) -> list[Place]:
        """A user with up to `n` visible neighbours on either side, best first. Raises UsageError as `rank` does."""
        _refuse_odd_number(n)
        entry = self._entry(user, period)
        own = self._places([entry]) if entry else []
        if not entry or not own:
            return []
        above = self._visible({"period": period, "$or": _beyond(entry, "$gt")}, n, descending=False)
        below = self._visible({"period": period, "$or": _beyond(entry, "$lt")}, n, descending=True)
        return [*reversed(above), *own, *below]

    def periods(self, n: int = 10) -> list[str]:
        """The newest periods that have entries, `global` among them."""
        _refuse_odd_number(n)
        found: list[str] = []
        newest: Document = {"$type": "string", "$regex": PERIOD}
        while len(found) < n:  # by hops along the index
            asked = {**newest, "$lt": found[-1]} if found else newest
            row = self._entries.find_one({"period": asked}, {"period": 1}, sort=[("period", -1)])
            if row is None:
                break
            found.append(row["period"])
        return found

    def _entry(self, user: Any, period: str) -> Document | None:
        _refuse_odd_period(period)
        return self._entries.find_one({"userId": {"$in": _user_forms(user)}, "period": period}, SHOWN)

    def _visible(self, condition: Document, n: int, descending: bool) -> list[Place]:
        """Up to `n` places in board order; reads on past hidden users, page by page."""
        way = -1 if descending else 1
        places: list[Place] = []
        page: list[Document] = []
        if n < 1:
            return []
        for entry in self._entries.find(condition, SHOWN).sort([("period", 1), ("score", way), ("userId", way)]):
            if _is_whole(entry):
                page.append(_slim(entry))
            if len(page) == min(n, PAGE):
                places += self._places(page)
                page = []
            if len(places) >= n:
                return places[:n]
        return (places + self._places(page))[:n]

    def _places(self, entries: Iterable[Document]) -> list[Place]:
        """Entries as places, without the users who opted out: by the snapshot, or since then by their own document."""
        shown = [entry for entry in entries if _is_whole(entry) and not entry.get("optOutSnapshot")]
        profiles = profiles_of(self._users, self._config, [entry["userId"] for entry in shown])
        return [self._place(entry) for entry in shown if not profiles[entry["userId"]]["optOutSnapshot"]]

    def _place(self, entry: Document) -> Place:
        higher = {"period": entry["period"], "score": {"$gt": entry["score"]}}
        return Place(
            rank=1 + self._entries.count_documents(higher),
            user=entry["userId"],
            name=_text(entry.get("displayNameSnapshot")),
            avatar=_text(entry.get("avatarSnapshot")),
            score=int(entry["score"]),
            streak=_count(entry.get("streak")),
            events=_count(entry.get("events")),
        )


def _refuse_odd_period(period: object) -> None:
    """An app may hand on what a request says, and a mapping would be an operator of MongoDB."""
    if not isinstance(period, str):
        raise UsageError(f"a period is text, not {type(period).__name__}", NAMES)
    if len(period) > LONGEST_PERIOD or is_half(period):
        raise UsageError(f"a period is at most {LONGEST_PERIOD} characters, not {excerpt(period)}", NAMES)


def _refuse_odd_number(n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, int):
        raise UsageError(f"n is a whole number, not {excerpt(n)}", "give as many as are to be shown at most")


def _user_forms(user: Any) -> list[Any]:
    """The ids that may be meant, each as any client can ask for it. Raises UsageError for what is none."""
    is_text = isinstance(user, str) and not isinstance(user, Code)
    if (is_text and (long_id(user) or is_half(user))) or (not is_text and id_type(user) is None):
        what = f"a user is an id or how it is written, not {excerpt(user)}"
        raise UsageError(what, "give rank and around the `user` of a Place, or its text")
    if is_text:
        return parse_id(user)
    return [Binary.from_uuid(user) if isinstance(user, uuid.UUID) else user]


def _is_whole(entry: Document) -> bool:
    """Whether an entry can be shown; somebody else may have put another into the collection."""
    user, whole = entry.get("userId"), isinstance(entry.get("score"), int) and isinstance(entry.get("period"), str)
    known = names_a_user(user) and not isinstance(user, float | Decimal128)
    return whole and known and "rev" in entry and not is_lost(entry["_id"])


def check_period(period: str, board: Board) -> None:
    """Raise UsageError for a period that has no entries while others do."""
    known = board.periods(8)
    if known and not board.top(period, 1) and period not in known:
        raise UsageError(f"no entries for period {period!r}; there are {', '.join(known)}", "lbmigrate top --period …")


def _slim(entry: Document) -> Document:
    """An entry with no more of what others may have written into it than is shown."""
    return {name: value if type(value) in SMALL else short(value, AVATAR_LENGTH) for name, value in entry.items()}


def _text(value: Any) -> str | None:
    return value[:AVATAR_LENGTH] if isinstance(value, str) else None


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int) else 0


def _beyond(entry: Document, operator: str) -> list[Document]:
    """Entries on one side of this one in board order: by score, then by user id."""
    return [
        {"score": {operator: entry["score"]}},
        {"score": entry["score"], "userId": {operator: entry["userId"]}},
    ]
