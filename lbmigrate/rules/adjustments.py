"""What makes up for the difference between what the ledger says of one source and what the source says now.

An event is never changed. The events of one source are added up by user and time, its places; what the source is worth
now stands at one place or at none; and every place that differs gets one adjustment event with the difference.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from bson import Int64

from lbmigrate.records import EARLIEST, LATEST, MOST_POINTS, Document
from lbmigrate.values.id_text import exact_text, former_text, plain_text
from lbmigrate.values.ids import is_document_id
from lbmigrate.values.limits import is_lost, names_a_user

VOIDED, RESTORED, RESCORED, MOVED = "voided", "restored", "rescored", "moved"
REASONS = (VOIDED, RESTORED, RESCORED, MOVED)
FORGOTTEN = "forgotten"  # in an event's `meta`: its user is the tombstone of somebody who left
_STANDS = {VOIDED: -1, RESTORED: 1, RESCORED: 0}
_is_number = re.compile(r"#[1-9][0-9]*").fullmatch


def base_id(event: Document) -> str | None:
    """The id of the first event of the source that `event` is about; None where its `_id` does not fit its fields.

    Told by the fields: the id of a source may itself hold a `#`.
    """
    name, action, source = event["_id"], event.get("actionType"), event.get("sourceId")
    usual = f"{action}:{plain_text(source)}"
    if name == usual:
        return usual
    for write in (plain_text, exact_text, former_text):
        base = f"{action}:{write(source)}"
        if name.startswith(base) and (len(name) == len(base) or _is_number(name[len(base) :])):
            return base
    return None


def without_number(name: str) -> str:
    """The `_id` of an adjustment without its number, whatever its fields say."""
    base, mark, number = name.rpartition("#")
    return base if mark and _is_number(f"#{number}") else name


def counts(event: Document) -> bool:
    """Whether an event of the ledger is as one must be, and so counts for somebody."""
    points, at = event.get("points"), event.get("createdAt")
    whole = (
        type(event["_id"]) is str
        and not is_lost(event["_id"])
        and isinstance(points, Int64)
        and abs(points) <= MOST_POINTS
    )
    return whole and isinstance(at, dt.datetime) and EARLIEST <= at < LATEST and names_a_user(event.get("userId"))


def is_forgotten(event: Document) -> bool:
    """Whether an event has the mark of somebody who left, as a server sees it: it looks into lists as well."""
    mark = event.get("meta", {}).get(FORGOTTEN)
    return mark is True or (isinstance(mark, list) and any(each is True for each in mark))


def above(base: str) -> str:
    """The lowest id after those of all adjustments to `base`: `$` is what follows `#`."""
    return f"{base}$"


def stand(reason: Any, points: int) -> int:
    """By how much an event changes whether its action stands: 1 for an ordinary one, -1 for one that takes it back.

    `reason` is the event's `meta.reason`. Of the two halves of a move the sign tells which is which.
    """
    if reason == MOVED:
        return (points > 0) - (points < 0)
    return _STANDS.get(reason, 1) if type(reason) is str else 1


def takes_back(event: Document) -> bool:
    """Whether an adjustment takes something from somebody: an action, or points of one."""
    return bool(event["meta"]["reason"] == VOIDED or event["points"] < 0)


@dataclass(slots=True)
class _Place:
    """A user and a time, as `event` has them, and what the ledger lacks there."""

    event: Document
    points: int = 0
    stands: int = 0


def adjustments(
    events: Sequence[Document],
    desired: Document | None,
    taken: Container[str] = (),
    origin: str = "backfill",
    group: str = "",
) -> list[Document]:
    """The events that bring `events`, all that the ledger has of one source, to `desired`, its event as scored now.

    `desired` has the id of the source's first event. Without it the source is worth nothing. None are needed when
    nothing differs. Ids in `taken` are not used; whoever inserts them and meets a duplicate key must read the ledger
    and decide again. `group` is what their ids begin with where no event has the name of them all (`rules.strays`).

    A time from a fallback field (`meta.approximate`) does not move an action that stands: such a field changes with
    every edit, and an old task must not come into this week because its title was corrected.
    """
    if not events and desired is None:
        return []
    places = list(_places(events, desired))
    is_move = _is_move([place for place in places if place.stands], events)
    base = group or (base_id(events[0]) or events[0]["_id"] if desired is None else str(desired["_id"]))
    free = (name for number in count(max(1, len(events))) if (name := f"{base}#{number}") not in taken)
    parts = ((place, points, reason) for place in places for points, reason in _parts(place, is_move))
    return [
        _adjustment(name, place, points, reason, origin)
        for (place, points, reason), name in zip(parts, free, strict=False)
    ]


def _places(events: Sequence[Document], desired: Document | None) -> Iterator[_Place]:
    """The places at which the ledger differs from `desired`, those that it has first."""
    found: dict[tuple[Any, Any], _Place] = {}
    for event in events:
        place = found.setdefault((event["userId"], event["createdAt"]), _Place(event))
        place.points -= event["points"]
        place.stands -= stand(event.get("meta", {}).get("reason"), event["points"])
    if desired is not None:
        if "approximate" in desired["meta"]:
            standing = (place.event["createdAt"] for place in found.values() if place.stands < 0)
            desired = desired | {"createdAt": next(standing, desired["createdAt"])}
        place = found.setdefault((desired["userId"], desired["createdAt"]), _Place(desired))
        place.points += desired["points"]
        place.stands += 1
    return (place for place in found.values() if place.points or place.stands)


def _is_move(halves: Sequence[_Place], events: Sequence[Document]) -> bool:
    """Whether one half is missing on either side, or only the one that a move which was cut short still lacks.

    The signs tell the halves apart; where they would not, it is taken back there and given again here.
    """
    cut_short = sum(stand(MOVED, e["points"]) for e in events if e.get("meta", {}).get("reason") == MOVED)
    whole = (len(halves) > 1 or cut_short != 0) and cut_short + sum(half.stands for half in halves) == 0
    return whole and all(half.points * half.stands > 0 for half in halves)


def _parts(place: _Place, is_move: bool) -> Iterator[tuple[int, str]]:
    """What a place lacks, in as many events as that takes, which is nearly always one.

    One has no more points than an event may have, and changes by one how often an action stands.
    """
    points, stands = place.points, place.stands
    while True:
        part = max(-MOST_POINTS, min(points, MOST_POINTS))
        yield part, RESCORED if not stands else MOVED if is_move else RESTORED if stands > 0 else VOIDED
        points -= part
        stands -= (stands > 0) - (stands < 0)
        if not points and not stands:
            return


def _fields(name: str, event: Document) -> tuple[Any, Any]:
    """Action and source id for an adjustment of that `_id`: those of the event, where they fit; else what fits.

    A validator takes nothing else. Where the `_id` names no action nothing does.
    """
    action, source = event.get("actionType"), event.get("sourceId")
    fits = is_document_id(source) and base_id({"_id": name, "actionType": action, "sourceId": source})
    named_action, colon, rest = without_number(name).partition(":")
    return (action, source) if fits or not colon else (named_action, rest)


def _adjustment(name: str, place: _Place, points: int, reason: str, origin: str) -> Document:
    event = place.event
    mark = {FORGOTTEN: True} if is_forgotten(event) else {}
    action, source = _fields(name, event)
    return {
        "_id": name,
        "userId": event["userId"],
        "actionType": action,
        "points": Int64(points),
        "sourceId": source,
        "meta": {"origin": origin, "reason": reason, **mark},
        "createdAt": event["createdAt"],
    }
