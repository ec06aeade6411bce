"""What each question to the board reads: generators that hand out commands and are sent the documents found.

So a blocking client and an asynchronous one carry out the same logic. A step asks for one or more things that do not
depend on each other; those of one database travel in one command. Each question takes two or three.

Hidden users are left out twice: by the snapshot in their entry, by the server; and by what their own document says now.
More entries than asked for are read for those who have opted out since their snapshot; only if there are more of them
than that, side by side, another round of commands is needed. Ranks count everybody, hidden or not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from lbmigrate.board.asked import Position, cursor_of
from lbmigrate.board.numbering import Ask, Reading, Stages, first_places, histogram_of, how_many, number, places
from lbmigrate.board.place import Freshness, Page, Place, is_whole
from lbmigrate.records import Document

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

Way = Literal[-1, 1]  # down the board, or up

SPARE = 50  # entries read for those who opted out since their snapshot, or a quarter of what was asked for
NEAR = 10  # the same, for each side of a user
WIDER = 8  # how much more is read each time that this was not enough
FIELDS = (
    "userId", "period", "score", "streak", "events", "rev",
    "displayNameSnapshot", "avatarSnapshot", "optOutSnapshot",
)  # fmt: skip
BEST_FIRST: Document = {"score": -1, "userId": -1}  # the order of a board
SHOWN: Document = {"$project": dict.fromkeys(FIELDS, 1)}


def page(config: Config, period: str, n: int, after: Position | None) -> Reading[Page]:
    """Up to `n` visible places from the top, or behind a position; with a cursor if more may follow."""
    seen: list[Place] = []
    more, size = n > 0, n + max(SPARE, n // 4)
    while more and len(seen) < n:
        if after:
            entries, *kept = yield [_run(period, after, -1, size), *histogram_of(config, period)]
            found = yield from places(config, period, entries, kept)
        else:
            [entries] = yield [_beginning(period, size)]
            found = yield from first_places(config, entries, n)
        seen += found
        more = len(entries) == size
        after, size = _position(entries[-1]) if entries else after, size * WIDER
    follows = bool(seen[:n]) and (more or len(seen) > n)
    return Page(seen[:n], cursor_of(period, _position_of(seen[:n][-1])) if follows else None)


def around(config: Config, period: str, ids: Sequence[Any], n: int) -> Reading[list[Place]]:
    """A user with up to `n` visible neighbours on either side, best first; nothing for one who is not to be seen."""
    own, *kept = yield [of_users(ids, period), *histogram_of(config, period)]
    shown = [entry for entry in own[:1] if is_whole(entry) and not entry.get("optOutSnapshot")]
    if not shown:
        return []
    place, size = _position(shown[0]), n + max(NEAR, n // 4)
    while True:
        above, below = yield [_run(period, place, 1, size), _run(period, place, -1, size)]
        found = yield from places(config, period, [*reversed(above), *shown, *below], kept)
        middle = next((row for row, each in enumerate(found) if _is_of(each, shown[0])), -1)
        over, under = middle, len(found) - middle - 1
        if middle < 0:
            return []
        if (over >= n or len(above) < size) and (under >= n or len(below) < size):
            return found[max(0, middle - n) : middle + n + 1]
        size *= WIDER


def rank(config: Config, period: str, ids: Sequence[Any], hidden: bool) -> Reading[Place | None]:
    """A user's place; of one who is hidden only if that is asked for."""
    own, *kept = yield [of_users(ids, period), *histogram_of(config, period)]
    found = yield from places(config, period, own[:1], kept, hidden)
    return found[0] if found else None


def among(config: Config, period: str, ids: Sequence[Any]) -> Reading[list[Place]]:
    """The places that some users have on the whole board, best first, without those who are hidden."""
    match, shown = of_users(ids, period).stages
    asked = Ask("entries", [match, {"$sort": BEST_FIRST}, shown], period)
    entries, *kept = yield [asked, *histogram_of(config, period)]
    found = yield from places(config, period, entries, kept)
    return found


def percentile(period: str, ids: Sequence[Any]) -> Reading[float | None]:
    """Of 100 entries of the period, how many have a lower score than this user; None without an entry."""
    [own] = yield [of_users(ids, period)]
    if not own or not is_whole(own[0]):
        return None
    score = own[0]["score"]
    lower, others = yield [how_many(period, {"$lt": score}), how_many(period, {"$gte": score})]
    return 100 * number(lower) / max(1, number(lower) + number(others))


def total(period: str) -> Reading[int]:
    """How many entries a period has, hidden ones included, as ranks count them."""
    [count] = yield [how_many(period, None)]
    return number(count)


def freshness(config: Config) -> Reading[Freshness]:
    """Until when the board has everything: the oldest watermark of the sources that are configured."""
    rows = [f"watermark:{source.name}" for source in config.sources]
    [found] = yield [Ask("state", [{"$match": {"_id": {"$in": rows}}}, {"$project": {"value": 1}}])]
    moments = [row["value"] for row in found if isinstance(row.get("value"), dt.datetime)]
    if len(moments) < len(rows):
        return Freshness(None, None)
    until = min(each.astimezone(dt.UTC).replace(tzinfo=None) if each.tzinfo else each for each in moments)
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    return Freshness(until, (now - until).total_seconds())


# --- commands ------------------------------------------------------------------------------------------------------


def _beginning(period: str, most: int) -> Ask:
    """The first entries of a board, hidden ones among them, so that each has the rank at which it stands."""
    first: Stages = [{"$match": {"period": period}}, {"$sort": {"period": 1, **BEST_FIRST}}, {"$limit": most}]
    return Ask("entries", [*first, SHOWN], period)


def _run(period: str, beyond: Position, way: Way, most: int) -> Ask:
    """Entries next to each other in board order, from a position, which is not among them; without hidden ones."""
    side = "$lt" if way < 0 else "$gt"
    same = {"score": beyond.score, "userId": {side: beyond.user}}
    further = [{"score": {side: beyond.score}}, same]
    condition: Document = {"period": period, "optOutSnapshot": {"$ne": True}, "$or": further}
    order = {"period": 1, "score": way, "userId": way}
    return Ask("entries", [{"$match": condition}, {"$sort": order}, {"$limit": most}, SHOWN], period)


def of_users(ids: Sequence[Any], period: str) -> Ask:
    """The entries of some users in a period."""
    return Ask("entries", [{"$match": {"userId": {"$in": list(ids)}, "period": period}}, SHOWN], period)


def _position(entry: Document) -> Position:
    return Position(entry.get("score"), entry.get("userId"))  # type: ignore[arg-type]  # beyond an odd one is nothing


def _position_of(place: Place) -> Position:
    return Position(place.score, place.original)


def _is_of(place: Place, entry: Document) -> bool:
    return type(place.original) is type(entry["userId"]) and place.original == entry["userId"]
