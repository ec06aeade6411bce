"""Whom a verification looks at: everybody in order, or the first of every period, odd cases, and a seeded sample."""

from __future__ import annotations

import datetime as dt
import heapq
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import CursorNotFound, ExecutionTimeout

from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context, VerifyOptions
from lbmigrate.schema import COUNTED, ENTRIES, EVENTS
from lbmigrate.schema.layout import entries_of, homes, own_periods
from lbmigrate.state import layouts
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import id_type, plain_id
from lbmigrate.values.limits import names_a_user
from lbmigrate.verify.in_order import behind, place
from lbmigrate.verify.people import ZONE
from lbmigrate.verify.zones import Clocks

FEW = 5  # of each odd case
POOL = 5  # users at the edge of a period are looked for among so many times the sample
LONGEST_LOOK = 2_000  # milliseconds for an odd case that no index has
EDGE = dt.timedelta(hours=1)
AT_ONCE, LEAST = 10_000, 100  # users that are held, of all collections and of each
HOP = 100  # rows that are read of an index at once
RANKED = [("period", 1), ("score", -1), ("userId", -1)]
PLACE: Document = {"_id": 0, "userId": 1, "period": 1}


@dataclass(slots=True)
class Chosen:
    """The users to look at. `drawn` is the sample, by lot alone, on which the bound rests; `population` is everybody.

    `cases` has the others by what makes them worth a look.
    """

    population: int
    drawn: list[Any]
    cases: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def users(self) -> list[Any]:
        """Each of them once."""
        named = [user for users in self.cases.values() for user in users]
        return list({exact_text(user): user for user in [*named, *self.drawn]}.values())


def everybody(context: Context, after: Any = None) -> Iterator[Any]:
    """Every user of the entries and of the ledger once, in order, from the one after `after` on. Holds nobody."""
    names = (*homes(context.target, layouts.layout(context.state)), EVENTS)
    each = max(LEAST, AT_ONCE // len(names))
    streams = (_users(context, name, after, each) for name in names)
    last = None
    for user in heapq.merge(*streams, key=place):
        name = exact_text(user)
        if name != last:
            yield user
        last = name


def _users(context: Context, name: str, after: Any, at_once: int) -> Iterator[Any]:
    """The users of a collection in order, by hops along its index; what only others have is among them.

    A server closes a cursor that nobody has asked anything for ten minutes; then it is opened again.
    """
    while True:
        try:
            for user in _stream(context, name, after, at_once):
                yield user
                after = user
        except CursorNotFound:
            continue
        return


def _stream(context: Context, name: str, after: Any, at_once: int) -> Iterator[Any]:
    stages: list[Document] = [{"$match": behind(after)}] if after is not None else []
    stages += [{"$sort": {"userId": 1}}, {"$group": {"_id": "$userId"}}, {"$sort": {"_id": 1}}]
    found = lenient(context.target)[name].aggregate(stages, allowDiskUse=True, batchSize=at_once)
    users = (row["_id"] for row in found)
    return (plain_id(user) for user in users if names_a_user(user))


# --- a sample ------------------------------------------------------------------------------------------------------


def chosen(context: Context, options: VerifyOptions, size: int, kind: str | None) -> Chosen:
    """The first of every period, a few of each odd case, and `size` users drawn with the seed of the options."""
    generator = random.Random(options.seed)
    population, pool = _drawn((u for u in everybody(context) if _is_kind(u, kind)), size * POOL, generator)
    found = Chosen(population, pool[:size])
    for name, users in _cases(context, options, pool).items():
        found.cases[name] = [user for user in users if names_a_user(user) and _is_kind(user, kind)]
    return found


def _is_kind(user: Any, kind: str | None) -> bool:
    return kind is None or id_type(user) == kind


def _drawn(users: Iterable[Any], size: int, generator: random.Random) -> tuple[int, list[Any]]:
    """How many there are, and `size` of them in the order of the lot: everybody's chance is the same."""
    held: list[tuple[float, int, Any]] = []
    number = 0
    for user in users:
        lot = generator.random()
        if len(held) < size:
            heapq.heappush(held, (lot, number, user))
        elif held and lot > held[0][0]:
            heapq.heapreplace(held, (lot, number, user))
        number += 1
    return number, [user for _, _, user in sorted(held, key=lambda each: -each[0])]


def _cases(context: Context, options: VerifyOptions, pool: list[Any]) -> dict[str, list[Any]]:
    if not options.top and options.sample is not None:
        return {}
    target = lenient(context.target)
    entries, events = target[ENTRIES], target[EVENTS]
    overall: Document = {"period": "global"}
    return {
        "first": list(_leaders(context, options.top)) if options.top else [],
        "heavy": _some(context, entries.find(overall, {"userId": 1}).sort("events", -1)),
        "light": _some(context, entries.find(overall, {"userId": 1}).sort([("period", 1), ("score", 1)])),
        "one event": _some(context, entries.find({**overall, "events": 1}, {"userId": 1})),
        "opted out": _some(context, entries.find({**overall, "optOutSnapshot": True}, {"userId": 1})),
        "newest": _some(context, events.find({}, {"userId": 1}).sort("$natural", -1)),
        "adjusted": _some(context, events.find({"_id": {"$regex": "#[1-9][0-9]*$"}}, {"userId": 1})),
        "forgotten": _some(context, events.find({"meta.forgotten": True}, {"userId": 1})),
        "edge": _at_edges(context, pool),
    }


def _some(context: Context, found: Any) -> list[Any]:
    """The users of the first rows; nobody where no index helps and it takes too long."""
    limited = found.limit(FEW)
    if not is_fake(context.target):
        limited = limited.max_time_ms(LONGEST_LOOK)
    try:
        return [plain_id(row.get("userId")) for row in limited]
    except ExecutionTimeout:
        return []


def _at_edges(context: Context, pool: list[Any]) -> list[Any]:
    """Of some users those whose newest action of a period is within an hour of the beginning of a day of theirs."""
    asked = {"userId": {"$in": pool}, "lastEventAt": {"$type": "date"}}
    found: dict[str, Any] = {}
    for row in context.target[ENTRIES].find(asked, {"userId": 1, "lastEventAt": 1, ZONE: 1}):
        at, user = row["lastEventAt"], plain_id(row["userId"])
        day = Clocks(context.config, {user: row.get(ZONE)}).of(user)
        if isinstance(at, dt.datetime) and day(at - EDGE) != day(at + EDGE):
            found[exact_text(row["userId"])] = row["userId"]
            if len(found) == FEW:
                break
    return list(found.values())


def _leaders(context: Context, top: int) -> Iterator[Any]:
    """The first of every period."""
    layout = layouts.layout(context.state)
    for period in own_periods(context.target, layout):
        rows = entries_of(context.target, layout, period).find({"period": period}, PLACE).sort(RANKED).limit(top)
        yield from (plain_id(row.get("userId")) for row in rows)
    for period, users in _first_of_each(context, top):
        if not layout.has_own(period):
            yield from users


def _first_of_each(context: Context, top: int) -> Iterator[tuple[str, list[Any]]]:
    """The first of each period of the base collection, by hops along its index: small periods come several at once."""
    after, limit = "", max(2 * top, HOP)
    while True:
        asked = {"period": {"$gt": after}}
        rows = list(context.target[ENTRIES].find(asked, PLACE).sort(RANKED).limit(limit))
        found: dict[str, list[Any]] = {}
        for row in rows:
            if type(row["period"]) is str:
                found.setdefault(row["period"], []).append(plain_id(row.get("userId")))
        if len(rows) == limit and len(found) > 1:
            found.popitem()  # whose rows may not all be among these
        for period, users in found.items():
            yield period, users[:top]
            after = period
        if len(rows) < limit or not found:
            return


def newest_period(context: Context) -> str:
    """The last of the periods beside `global`, by its name; empty where there is none."""
    layout = layouts.layout(context.state)
    asked = {"period": {"$lt": "global"}}
    row = context.target[ENTRIES].find_one(asked, PLACE, sort=[("period", -1)])
    return max([*own_periods(context.target, layout)[-1:], row["period"] if row else ""])


def count(context: Context) -> int:
    """About how many users there are, for a progress bar."""
    return context.target[ENTRIES].count_documents({"period": "global"})


def of_users(users: list[Any]) -> Document:
    """The condition for what counts of some users in the ledger."""
    return {"userId": {"$in": users}, **COUNTED}
