"""What each question to the board reads: generators that hand out commands and are sent the documents found.

So a blocking client and an asynchronous one carry out the same logic. A step asks for one or more things that do not
depend on each other; those of one database travel in one command. Each question takes two or three.

Hidden users are left out twice: by the snapshot in their entry, by the server; and by what their own document says now.
More entries than asked for are read for those who have opted out since their snapshot; only if there are more of them
than that, side by side, another round of commands is needed. Ranks count everybody, hidden or not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from lbmigrate.board.asked import Position, cursor_of
from lbmigrate.board.place import (
    Freshness,
    Page,
    Place,
    Ranks,
    is_whole,
    place_of,
    slim,
)
from lbmigrate.board.profiles import forms_of, of_document, profile_paths, profiles_from
from lbmigrate.records import Document
from lbmigrate.values.paths import projection_of

if TYPE_CHECKING:
    from lbmigrate.config.model import Config, Users

T = TypeVar("T")
Stages = list[Document]
Way = Literal[-1, 1]  # down the board, or up


class Ask(NamedTuple):
    """One thing to read: from which of the board's collections, and the stages of an aggregation.

    The partitions are the periods that have a collection of their own, each as `{"period": …}`, and no stages.
    Redis is asked for `{"period": …, "above": score}`: how many have a higher score, and nothing if it cannot tell.
    """

    where: Literal["entries", "users", "state", "redis", "partitions"]
    stages: Stages
    period: str = "global"  # of the entries: it says which collection they are in
    keep: Callable[[Document], Document] = slim  # what is kept of each document that is read, so that none is large


Reading = Generator[Sequence[Ask], list[list[Document]], T]

SPARE = 50  # entries read for those who opted out since their snapshot, or a quarter of what was asked for
WIDER = 8  # how much more is read each time that this was not enough
FIELDS = (
    "userId", "period", "score", "streak", "events", "rev",
    "displayNameSnapshot", "avatarSnapshot", "optOutSnapshot",
)  # fmt: skip
SHOWN: Document = {"$project": dict.fromkeys(FIELDS, 1)}


def page(config: Config, period: str, n: int, after: Position | None) -> Reading[Page]:
    """Up to `n` visible places from the top, or behind a position; with a cursor if more may follow."""
    places: list[Place] = []
    more, size = n > 0, n + max(SPARE, n // 4)
    while more and len(places) < n:
        [entries] = yield [_run(period, after, -1, size)]
        found = yield from _places(config, period, entries)
        places += found
        more = len(entries) == size
        after, size = _position(entries[-1]) if entries else after, size * WIDER
    follows = bool(places[:n]) and (more or len(places) > n)
    return Page(places[:n], cursor_of(period, _position_of(places[:n][-1])) if follows else None)


def around(config: Config, period: str, ids: Sequence[Any], n: int) -> Reading[list[Place]]:
    """A user with up to `n` visible neighbours on either side, best first; nothing for one who is not to be seen."""
    [own] = yield [of_users(ids, period)]
    shown = [entry for entry in own[:1] if is_whole(entry) and not entry.get("optOutSnapshot")]
    if not shown:
        return []
    place, size = _position(shown[0]), n + max(SPARE, n // 4)
    while True:
        above, below = yield [_run(period, place, 1, size), _run(period, place, -1, size)]
        found = yield from _places(config, period, [*reversed(above), *shown, *below])
        middle = next((row for row, each in enumerate(found) if _is_of(each, shown[0])), -1)
        over, under = middle, len(found) - middle - 1
        if middle < 0:
            return []
        if (over >= n or len(above) < size) and (under >= n or len(below) < size):
            return found[max(0, middle - n) : middle + n + 1]
        size *= WIDER


def rank(config: Config, period: str, ids: Sequence[Any], hidden: bool) -> Reading[Place | None]:
    """A user's place; of one who is hidden only if that is asked for."""
    [own] = yield [of_users(ids, period)]
    found = yield from _places(config, period, own[:1], hidden)
    return found[0] if found else None


def among(config: Config, period: str, ids: Sequence[Any]) -> Reading[list[Place]]:
    """The places that some users have on the whole board, best first, without those who are hidden."""
    [entries] = yield [of_users(ids, period)]
    found = yield from _places(config, period, entries)
    return found


def percentile(period: str, ids: Sequence[Any]) -> Reading[float | None]:
    """Of 100 entries of the period, how many have a lower score than this user; None without an entry."""
    [own] = yield [of_users(ids, period)]
    if not own or not is_whole(own[0]):
        return None
    score = own[0]["score"]
    lower, others = yield [count_of(period, {"$lt": score}), count_of(period, {"$gte": score})]
    return 100 * number_of(lower) / max(1, number_of(lower) + number_of(others))


def total(period: str) -> Reading[int]:
    """How many entries a period has, hidden ones included, as ranks count them."""
    [count] = yield [count_of(period, None)]
    return number_of(count)


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


def _run(period: str, beyond: Position | None, way: Way, most: int) -> Ask:
    """Entries next to each other in board order, from the top or from a position, which is not among them."""
    side = "$lt" if way < 0 else "$gt"
    condition: Document = {"period": period, "optOutSnapshot": {"$ne": True}}
    if beyond:
        same = {"score": beyond.score, "userId": {side: beyond.user}}
        condition["$or"] = [{"score": {side: beyond.score}}, same]
    order = {"period": 1, "score": way, "userId": way}
    return Ask("entries", [{"$match": condition}, {"$sort": order}, {"$limit": most}, SHOWN], period)


def of_users(ids: Sequence[Any], period: str) -> Ask:
    """The entries of some users in a period."""
    return Ask("entries", [{"$match": {"userId": {"$in": list(ids)}, "period": period}}, SHOWN], period)


def count_of(period: str, score: Document | None) -> Ask:
    """How many entries a period has, of these scores if a condition says so."""
    condition = {"period": period} if score is None else {"period": period, "score": score}
    return Ask("entries", [{"$match": condition}, {"$count": "n"}], period)


def _profiles(users: Users, ids: Sequence[Any]) -> Ask:
    wanted = {users.key: {"$in": forms_of(ids)}}
    stages: Stages = [{"$match": wanted}, {"$project": projection_of(profile_paths(users))}]
    return Ask("users", stages, keep=partial(of_document, users))


def _counts(period: str, entries: Sequence[Document]) -> tuple[Ask, Ask]:
    """How many entries there are above the highest of these, and with each score from there to the lowest.

    Counting is five times as fast as grouping, so that only the scores in question are grouped.
    """
    scores = [entry["score"] for entry in entries]
    within = {"period": period, "score": {"$lte": max(scores), "$gte": min(scores)}}
    grouped = Ask("entries", [{"$match": within}, {"$group": {"_id": "$score", "n": {"$sum": 1}}}], period)
    return count_of(period, {"$gt": max(scores)}), grouped


def _places(config: Config, period: str, entries: Iterable[Document], hidden: bool = False) -> Reading[list[Place]]:
    """Entries as places in board order, without the users who opted out unless hidden ones are asked for."""
    whole = [entry for entry in entries if is_whole(entry) and (hidden or not entry.get("optOutSnapshot"))]
    if not whole:
        return []
    ids, users = [entry["userId"] for entry in whole], config.users
    higher, grouped = _counts(period, whole)
    profiles, counts, *above = yield [_profiles(users, ids), grouped, *_quickest(config, period, higher, whole)]
    if len(above) == 2 and (above[0] or not above[1]):  # the boards in Redis are stale, or cannot be asked
        above = yield [higher]
    now, ranks = profiles_from(users, ids, profiles), Ranks(number_of(above[-1]), _by_score(counts))
    shown = [entry for entry in whole if hidden or not now[entry["userId"]]["optOutSnapshot"]]
    places = [place_of(entry, ranks.of(entry["score"]), now[entry["userId"]]) for entry in shown]
    return sorted(places, key=lambda place: place.rank)  # stable: the entries are in board order, or few


def _quickest(config: Config, period: str, counting: Ask, entries: Sequence[Document]) -> Sequence[Ask]:
    """How many there are above these entries: counted, or whether the boards in Redis are stale and what they say."""
    if config.redis.url is None:
        return [counting]
    stale = Ask("state", [{"$match": {"_id": "boards", "stale": True}}])
    return [stale, Ask("redis", [{"period": period, "above": max(entry["score"] for entry in entries)}])]


def _by_score(counts: Iterable[Document]) -> dict[int, int]:
    return {int(row["_id"]): row["n"] for row in counts if isinstance(row["_id"], int)}


def number_of(counts: Sequence[Document]) -> int:
    """What `count_of` has come to."""
    return int(counts[0]["n"]) if counts else 0


def _position(entry: Document) -> Position:
    return Position(entry["score"], entry["userId"])


def _position_of(place: Place) -> Position:
    return Position(place.score, place.original)


def _is_of(place: Place, entry: Document) -> bool:
    return type(place.original) is type(entry["userId"]) and place.original == entry["userId"]
