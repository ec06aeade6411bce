"""The board as the app reads it: the top of a period, a user's rank, the neighbours. Opted-out users never appear."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bson import Decimal128
from pymongo.database import Database

from lbmigrate.board.profiles import profiles_of
from lbmigrate.board.ranks import Ranks
from lbmigrate.errors import UsageError
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import AVATAR_LENGTH, Document
from lbmigrate.schema import ENTRIES
from lbmigrate.values.ids import id_type, parse_id
from lbmigrate.values.limits import SMALL, is_lost, names_a_user, short

if TYPE_CHECKING:
    from lbmigrate.config.model import Config


SHOWN = dict.fromkeys((
    "userId", "period", "score", "streak", "events", "rev", "optOutSnapshot", "displayNameSnapshot", "avatarSnapshot",
), 1)  # fmt: skip
PERIOD = r"^[^\n]{1,64}$"  # what is longer names no period
Ranked = tuple[Document, Callable[[], int]]  # an entry, and what knows its rank
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
        """The first `n` visible users of a period, best first. Raises UsageError for a period that is no text."""
        _refuse_odd_period(period)
        return self._visible({"period": period}, n, descending=True)

    def rank(self, user: Any, period: str = "global") -> Place | None:
        """A user's own place; None when there is no entry, or the user has opted out.

        `user` is an id as the board has it, or how that is written. Raises UsageError for anything else.
        """
        entry = self._entry(user, period)
        return next(iter(self._places([(entry, partial(self._counted, entry))])), None) if entry else None

    def around(self, user: Any, period: str = "global", n: int = 3) -> list[Place]:
        """A user with up to `n` visible neighbours on either side, best first. Raises UsageError as `rank` does."""
        entry = self._entry(user, period)
        own = self._places([(entry, partial(self._counted, entry))]) if entry else []
        if not entry or not own:
            return []
        above = self._visible({"period": period, "$or": _beyond(entry, "$gt")}, n, descending=False)
        below = self._visible({"period": period, "$or": _beyond(entry, "$lt")}, n, descending=True)
        return [*reversed(above), *own, *below]

    def periods(self, n: int = 10) -> list[str]:
        """The newest periods that have entries, `global` among them."""
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
        if not isinstance(user, str) and id_type(user) is None:
            what = f"a user is an id or how it is written, not {type(user).__name__}"
            raise UsageError(what, "give rank and around the `user` of a Place, or its text")
        forms = parse_id(user) if isinstance(user, str) else [user]
        return self._entries.find_one({"userId": {"$in": forms}, "period": period}, SHOWN)

    def _visible(self, condition: Document, n: int, descending: bool) -> list[Place]:
        """Up to `n` places in board order; reads on past hidden users, page by page."""
        way = -1 if descending else 1
        places: list[Place] = []
        page: list[Ranked] = []
        if n < 1:
            return []
        ranks = Ranks(self._counted, numbering=descending)
        for entry in self._entries.find(condition, SHOWN).sort([("period", 1), ("score", way), ("userId", way)]):
            rank = ranks.of(entry)
            if _is_whole(entry):
                page.append((_slim(entry), rank))
            if len(page) == min(n, PAGE):
                places += self._places(page)
                page = []
            if len(places) >= n:
                return places[:n]
        return (places + self._places(page))[:n]

    def _places(self, entries: Iterable[Ranked]) -> list[Place]:
        """Entries as places, without the users who opted out: by the snapshot, or since then by their own document."""
        shown = [(entry, rank) for entry, rank in entries if _is_whole(entry) and not entry.get("optOutSnapshot")]
        profiles = profiles_of(self._users, self._config, [entry["userId"] for entry, _ in shown])
        seen = [(entry, rank, profiles[entry["userId"]]) for entry, rank in shown]
        return [_place(*each) for each in seen if not each[2]["optOutSnapshot"]]

    def _counted(self, entry: Document) -> int:
        """An entry's rank, asked for: one question more."""
        return 1 + self._entries.count_documents({"period": entry["period"], "score": {"$gt": entry["score"]}})


def _place(entry: Document, rank: Callable[[], int], profile: Document) -> Place:
    """A name or a picture that the user's own document has no more, or that went with it, is not shown either."""
    name, avatar = (profile[field] and entry.get(field) for field in ("displayNameSnapshot", "avatarSnapshot"))
    score, streak, events = int(entry["score"]), _count(entry.get("streak")), _count(entry.get("events"))
    return Place(rank(), entry["userId"], _text(name), _text(avatar), score, streak, events)


def _refuse_odd_period(period: object) -> None:
    """An app may hand on what a request says, and a mapping would be an operator of MongoDB."""
    if not isinstance(period, str):
        raise UsageError(f"a period is text, not {type(period).__name__}", "name one: global, 2025-W44, 2025-11-04")


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
