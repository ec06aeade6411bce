"""What each question to the board reads: generators that hand out commands and are sent the documents found.

So a blocking client and an asynchronous one carry out the same logic. A step asks for one or more things that do not
depend on each other; those of one database travel in one command. Each question takes two or three where all of it is
in one database (`Board` tells of the rest).

Hidden users are left out twice: by the snapshot in their entry, by the server; and by what their own document says now.
More entries than asked for are read for those who have opted out since their snapshot; only if there are more of them
than that, side by side, another round of commands is needed. Ranks count everybody, hidden or not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lbmigrate.board.asked import cursor_of, refuse_of_another_order
from lbmigrate.board.numbering import (
    ANY,
    Ask,
    Reading,
    Stages,
    first_places,
    histogram_of,
    how_many,
    number,
    places,
)
from lbmigrate.board.order import BY_USER, Order, Position, Way
from lbmigrate.board.place import Freshness, Page, Place, is_whole
from lbmigrate.records import Document
from lbmigrate.schema import REACHED

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

InForce = Callable[[], Order]  # which order those stand in who share a score, once a question is under way

SPARE = 50  # entries read for those who opted out since their snapshot, or a quarter of what was asked for
NEAR = 10  # the same, for each side of a user
WIDER = 8  # how much more is read each time that this was not enough
FIELDS = (
    "userId", "period", "score", REACHED, "streak", "events", "rev",
    "displayNameSnapshot", "avatarSnapshot", "optOutSnapshot",
)  # fmt: skip
SHOWN: Document = {"$project": dict.fromkeys(FIELDS, 1)}


def page(config: Config, in_force: InForce, period: str, n: int, after: Position | None) -> Reading[Page]:
    """Up to `n` visible places from the top, or behind a position; with a cursor if more may follow.

    Pages go on in the order in which they have begun, as long as there is an index for it.
    """
    seen: list[Place] = []
    order = _order_of_pages(in_force(), after)
    more, size = n > 0, n + max(SPARE, n // 4)
    while more and len(seen) < n:
        if after:
            entries, *kept = yield [_run(order, period, after, -1, size), *histogram_of(config, period)]
            found = yield from places(config, order, period, entries, kept)
        else:
            [entries] = yield [_beginning(order, period, size)]
            found = yield from first_places(config, order, entries, n)
        seen += found
        more = len(entries) == size
        # Behind an entry that cannot be shown none is looked for: what stands there may be compared with nothing.
        last = _first_whole(order, entries[::-1])
        after, size = order.position(last[0]) if last else after, size * WIDER
    follows = bool(seen[:n]) and (more or len(seen) > n)
    return Page(seen[:n], cursor_of(period, _position_of(order, seen[:n][-1])) if follows else None)


def _order_of_pages(in_force: Order, after: Position | None) -> Order:
    if after is None or after.by in (BY_USER.by, in_force.by):
        return Order(after.by) if after else in_force
    raise refuse_of_another_order()


def around(config: Config, in_force: InForce, period: str, ids: Sequence[Any], n: int) -> Reading[list[Place]]:
    """A user with up to `n` visible neighbours on either side, best first; nothing for one who is not to be seen."""
    order = in_force()
    own, *kept = yield [of_users(ids, period), *histogram_of(config, period)]
    shown = [entry for entry in _first_whole(order, own) if not entry.get("optOutSnapshot")]
    if not shown:
        return []
    place, size = order.position(shown[0]), n + max(NEAR, n // 4)
    while True:
        above, below = yield [_run(order, period, place, 1, size), _run(order, period, place, -1, size)]
        found = yield from places(config, order, period, [*reversed(above), *shown, *below], kept)
        middle = next((row for row, each in enumerate(found) if _is_of(each, shown[0])), -1)
        over, under = middle, len(found) - middle - 1
        if middle < 0:
            return []
        if (over >= n or len(above) < size) and (under >= n or len(below) < size):
            return found[max(0, middle - n) : middle + n + 1]
        size *= WIDER


def rank(config: Config, in_force: InForce, period: str, ids: Sequence[Any], hidden: bool) -> Reading[Place | None]:
    """A user's place; of one who is hidden only if that is asked for."""
    own, *kept = yield [of_users(ids, period), *histogram_of(config, period)]
    order = in_force()
    found = yield from places(config, order, period, _first_whole(order, own), kept, hidden)
    return found[0] if found else None


def among(config: Config, in_force: InForce, period: str, ids: Sequence[Any]) -> Reading[list[Place]]:
    """The places that some users have on the whole board, best first, without those who are hidden."""
    order = in_force()
    match, shown = of_users(ids, period).stages
    asked = Ask("entries", [match, {"$sort": order.sort(-1)}, shown], period)
    entries, *kept = yield [asked, *histogram_of(config, period)]
    found = yield from places(config, order, period, entries, kept, scattered=True)
    return found


def percentile(period: str, ids: Sequence[Any]) -> Reading[float | None]:
    """Of 100 entries of the period, how many have a lower score than this user; None without an entry."""
    [own] = yield [of_users(ids, period)]
    whole = [entry for entry in own if is_whole(entry)]
    if not whole:
        return None
    score = whole[0]["score"]
    lower, others = yield [how_many(period, {"$lt": score}), how_many(period, {"$gte": score})]
    return 100 * number(lower) / max(1, number(lower) + number(others))


def total(period: str) -> Reading[int]:
    """How many entries a period has, hidden ones included, as ranks count them."""
    [count] = yield [how_many(period)]
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


def _beginning(order: Order, period: str, most: int) -> Ask:
    """The first entries of a board, hidden ones among them, so that each has the rank at which it stands."""
    first: Stages = [
        {"$match": {"period": period, "score": ANY}},
        {"$sort": {"period": 1, **order.sort(-1)}},
        {"$limit": most},
    ]
    return Ask("entries", [*first, SHOWN], period)


def _run(order: Order, period: str, beyond: Position, way: Way, most: int) -> Ask:
    """Entries next to each other in board order, from a position, which is not among them; without hidden ones."""
    condition: Document = {"period": period, "optOutSnapshot": {"$ne": True}, "$or": order.beyond(beyond, way)}
    sorted_by = {"period": 1, **order.sort(way)}
    return Ask("entries", [{"$match": condition}, {"$sort": sorted_by}, {"$limit": most}, SHOWN], period)


def of_users(ids: Sequence[Any], period: str) -> Ask:
    """The entries of some users in a period."""
    return Ask("entries", [{"$match": {"userId": {"$in": list(ids)}, "period": period}}, SHOWN], period)


def _first_whole(order: Order, entries: Sequence[Document]) -> list[Document]:
    """The first entry of a user; others may have put one beside it that cannot be shown."""
    return [entry for entry in entries if is_whole(entry) and order.has_place(entry)][:1]


def _position_of(order: Order, place: Place) -> Position:
    return order.position({"score": place.score, "userId": place.original, REACHED: place.reached})


def _is_of(place: Place, entry: Document) -> bool:
    return type(place.original) is type(entry["userId"]) and place.original == entry["userId"]
