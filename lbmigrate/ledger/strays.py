"""Strays that the ledger holds: events that count and are about nothing, and what has been taken back of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pymongo.database import Database
from pymongo.errors import ExecutionTimeout

from lbmigrate.records import Document
from lbmigrate.rules.adjustments import above, base_id, without_number
from lbmigrate.rules.event import of_other_actions
from lbmigrate.rules.strays import LONGEST_GROUP, about, is_apart, slim, stray_group, stray_of, weight
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS
from lbmigrate.values.ids import in_parts, portions
from lbmigrate.values.limits import short

AT_ONCE, AT_ONCE_SIZE = 5_000, 4_000_000  # events, and characters of ids, after which settled sums are dropped
FIELDS = dict.fromkeys(("actionType", "sourceId", "points"), 1)
SHOWN = 100  # characters of an `_id`
LOOKED_AT, LOOKING_MS = 1_000, 500  # events before a run, and the time for them


def of_no_source(context: Context, most: int = 0, ms: int = 0) -> Iterator[str]:
    """The beginning of the `_id` of what counts under an action that no source has, and is not taken back yet.

    With `most` only so many events of each range are looked at. Raises ExecutionTimeout where that takes over `ms`.
    """
    database = context.target
    asked = ({**COUNTED, **each} for each in of_other_actions(context.config))
    found = (database[EVENTS].find(each, FIELDS).limit(most) for each in asked)
    events = (slim(event) for rows in found for event in (rows.max_time_ms(ms) if ms else rows))
    for group, points in unsettled(database, events):
        if not is_apart(group) or worth(database, group, points):  # which may stand elsewhere
            yield stray_of(group)[0][:SHOWN]


def first_of_no_source(context: Context) -> str:
    """The first of those, as far as a moment suffices to look for it; empty where there is none."""
    try:
        for name in of_no_source(context, LOOKED_AT, LOOKING_MS):
            return name
    except ExecutionTimeout:
        pass
    return ""


def unsettled(database: Database[Any], events: Iterable[Document]) -> Iterator[tuple[str, int]]:
    """The groups of those events that still count for something, and for how much."""
    sums: Counter[str] = Counter()
    for some in portions(events, weight, AT_ONCE, AT_ONCE_SIZE):
        strays = [event for event in some if base_id(event) is None]
        parents = _rows(database, [without_number(event["_id"]) for event in strays])
        for event in some:
            sums[short(base_id(event) or stray_group(event, parents), LONGEST_GROUP)] += event["points"]
        sums = Counter({name: points for name, points in sums.items() if points})
    yield from sums.items()


def _rows(database: Database[Any], names: list[str]) -> dict[str, Document]:
    found = (database[EVENTS].find({"_id": {"$in": part}}, FIELDS) for part in in_parts(names))
    return {row["_id"]: row for rows in found for row in map(slim, rows)}


def worth(database: Database[Any], group: str, points: int) -> int:
    """What a stray of `points` counts for, with the adjustments to it, which fit and so are no strays themselves."""
    if is_apart(group):
        return _sum_apart(database, group)
    found = database[EVENTS].find({"_id": {"$gt": group, "$lt": above(group)}, **COUNTED}, FIELDS)
    return points + sum(int(event["points"]) for event in map(slim, found) if base_id(event) == group)


def _sum_apart(database: Database[Any], group: str) -> int:
    """What the ledger has of a stray whose adjustments do not stand beside it."""
    found = (e for each in about(group) for e in map(slim, database[EVENTS].find({**COUNTED, **each}, FIELDS)))
    return sum(int(event["points"]) for event in found if (base_id(event) or stray_group(event, {})) == group)
