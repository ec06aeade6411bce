"""One action: what its source is worth beside what the ledger has of it. Pure."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bson import Int64

from lbmigrate.records import EARLIEST, LATEST, MOST_POINTS, Document, amount
from lbmigrate.schema import EVENTS
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.id_text import plain_text
from lbmigrate.values.ids import plain_id, same_id
from lbmigrate.values.limits import named, names_a_user
from lbmigrate.verify.expected import change
from lbmigrate.verify.kinds import Heal, Kind
from lbmigrate.verify.reading import Action
from lbmigrate.verify.result import Mismatch

SHOWN = 100  # characters of an `_id`
SETTLED = "; lbmigrate reconcile takes back what no source is behind"

Place = tuple[Any, Any]  # user and time


def counts(event: Document) -> bool:
    """Whether an event is as one must be, so that it counts for somebody."""
    points, at = event.get("points"), event.get("createdAt")
    whole = isinstance(points, Int64) and abs(points) <= MOST_POINTS and type(event["_id"]) is str
    timely = isinstance(at, dt.datetime) and EARLIEST <= at < LATEST
    return whole and timely and names_a_user(event.get("userId"))


def net(events: Sequence[Document]) -> dict[Place, tuple[int, int]]:
    """What events come to at each user and time that something is left at: points, and how many actions stand."""
    points: Counter[Place] = Counter()
    stands: Counter[Place] = Counter()
    for event in events:
        place = (plain_id(event["userId"]), event["createdAt"])
        points[place] += event["points"]
        stands[place] += change(event.get("meta"), event["points"])
    return {place: (points[place], stands[place]) for place in points if points[place] or stands[place]}


def is_plain(action: Action, events: Sequence[Document]) -> bool:
    """Whether the ledger has one event of the action and that is as it should be: nearly always."""
    if len(events) != 1:
        return False
    event = events[0]
    return (
        event.get("points") == action.points
        and type(event.get("points")) is Int64
        and event.get("userId") == action.user
        and event.get("createdAt") == action.at
        and event.get("sourceId") == action.source_id
    )


def judged(action: Action, events: Sequence[Document]) -> Iterator[Mismatch]:
    """What is wrong with all that the ledger has of an action.

    An event by this name about another source stands for it once all of them come to what the source is worth.
    """
    if is_plain(action, events):
        return
    counting = [event for event in events if counts(event)]
    if not counting:
        yield _absent(action, events)
        return
    found = net(counting)
    at = next((place[1] for place, (_, stands) in found.items() if stands > 0), action.at)
    wanted = {(action.user, at if action.approximate else action.at): (action.points, 1)}
    if found != wanted:
        yield from _misfits(action, events)
        yield _differing(action, counting, found, wanted)


def _absent(action: Action, events: Sequence[Document]) -> Mismatch:
    if not events:
        told = f"{named(action.source)} is in scope ({amount(action.points, 'point')} for user {named(action.user)})"
        return _mismatch(
            Kind.UNSCORED_SOURCE, action, "", None, action.points, f"{told}, the ledger has no event of it"
        )
    event = events[0]
    name = next((field for field in ("points", "createdAt", "userId") if not _is_right(event, field)), "points")
    told = f"{EVENTS} {event['_id']!r}: {name} is {excerpt(event.get(name))}, so the event counts for nobody"
    return _mismatch(Kind.TYPE, action, name, event.get(name), None, told)


def _is_right(event: Document, field: str) -> bool:
    usual: Document = {"_id": "", "points": Int64(0), "createdAt": EARLIEST, "userId": "somebody"}
    return counts(usual | {field: event.get(field)})


def _differing(
    action: Action,
    events: Sequence[Document],
    found: dict[Place, tuple[int, int]],
    wanted: dict[Place, tuple[int, int]],
) -> Mismatch:
    """Of several differences the first is told: points, then whether it stands once, then the user, then the time."""
    points, stands = (sum(each[part] for each in found.values()) for part in (0, 1))
    name = named(action.id)
    [(user, at)] = wanted
    if points != action.points:
        told = f"{EVENTS} {name!r}: the ledger has {amount(points, 'point')}, its source is worth {action.points}"
        return _mismatch(Kind.WRONG_POINTS, action, "points", points, action.points, told)
    if stands != 1:
        told = f"{EVENTS} {name!r}: the action stands {amount(stands, 'time')}"
        return _mismatch(Kind.DUPLICATE_ACTION if stands > 1 else Kind.UNSCORED_SOURCE, action, "", stands, 1, told)
    users = [place[0] for place in found]
    if users != [user]:
        told = f"{EVENTS} {name!r} is of user {', '.join(map(named, users))}, its source of user {named(user)}"
        return _mismatch(Kind.WRONG_USER, action, "userId", users[0], user, told)
    told = f"{EVENTS} {name!r} is of {', '.join(str(place[1]) for place in found)}, its source of {at}"
    return _mismatch(Kind.WRONG_TIME, action, "createdAt", events[0]["createdAt"], at, told)


def _misfits(action: Action, events: Sequence[Document]) -> Iterator[Mismatch]:
    for event in events:
        name, source = action.id.partition(":")[0], event.get("sourceId")
        if event.get("actionType") != name or not _is_same(action, source):
            told = f"{EVENTS} has {named(event['_id'])!r}, whose _id does not fit its actionType and sourceId"
            yield _mismatch(Kind.STRUCTURE, action, "sourceId", source, action.source_id, told)
            return


def _is_same(action: Action, source: Any) -> bool:
    return same_id(source, action.source_id) or plain_text(source).lower() == plain_text(action.source_id).lower()


def _mismatch(kind: Kind, action: Action, field: str, found: Any, expected: Any, reason: str) -> Mismatch:
    heals = Heal.BACKFILL if kind is Kind.UNSCORED_SOURCE and found is None else Heal.RECONCILE
    return Mismatch(
        kind, EVENTS, action.id, action.user, None, field, found, expected, reason, heals, source=action.source
    )


def orphan(base: str, events: Sequence[Document]) -> Mismatch:
    """Events that count for something, with no source document behind them that is in scope."""
    first = events[0]
    told = f"{EVENTS} has {named(base)!r} of user {named(first.get('userId'))}, and no source document is behind it"
    points = sum(event["points"] for event in events)
    return Mismatch(
        Kind.ORPHAN_EVENT, EVENTS, base, first.get("userId"), None, "", points, None, told, Heal.RECONCILE,
        source=first.get("sourceId"),
    )  # fmt: skip


def again(base: str, action: Action, events: Sequence[Document]) -> Mismatch:
    """Events of an action that the ledger has already, under another `_id`."""
    told = f"{EVENTS} has {named(base)!r}, whose action is in the ledger as {named(action.id)!r} already"
    points = sum(event["points"] for event in events)
    return Mismatch(
        Kind.DUPLICATE_ACTION, EVENTS, base, events[0].get("userId"), None, "", points, None, told, Heal.RECONCILE,
        source=action.source,
    )  # fmt: skip


def misfit(event: Document, known: bool) -> Mismatch:
    """An event that counts and whose `_id` is not made of its fields; `known` where its action is in the ledger."""
    told = f"{EVENTS} has {named(event['_id'])[:SHOWN]!r}, whose _id does not fit its actionType and sourceId{SETTLED}"
    return Mismatch(
        Kind.DUPLICATE_ACTION if known else Kind.ORPHAN_EVENT, EVENTS, event["_id"], event.get("userId"), None, "_id",
        event["points"], None, told, Heal.RECONCILE, source=event.get("sourceId"),
    )  # fmt: skip
