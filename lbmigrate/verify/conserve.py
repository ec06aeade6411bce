"""What is conserved: points, events and users of every period are the same in the ledger and in the entries.

A server adds both sides up itself. While an app writes, the two sums are taken at different moments: what differs says
where to look, and is no verdict. Where users have zones of their own, no server can tell whose day an event is on: then
all periods of a kind are added up, which is the same sum in every zone.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.odd import named_by
from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS, PERIODS
from lbmigrate.schema.layout import homes
from lbmigrate.state import layouts
from lbmigrate.verify.entries import READ, Sums
from lbmigrate.verify.expected import Ledger, is_a_period, names
from lbmigrate.verify.local_time import period_label
from lbmigrate.verify.zones import Clocks

# Conditions on an array are asked of its elements; an event that holds one counts for nobody.
MOST_SUMMED = 20_000_000
NO_ARRAYS: Document = {"$not": {"$or": [{"$isArray": f"${name}"} for name in ("userId", "points", "createdAt")]}}


def both_sides(context: Context) -> dict[str, Sums]:
    """The sums of every period, or of every kind."""
    if context.config.users.timezone:
        return _of_kinds(context)
    sums: dict[str, Sums] = defaultdict(Sums)
    for row in _of_entries(context):
        sums[row["_id"]].add(Sums(row["entries"], row["points"], row["events"]))
    archived = layouts.layout(context.state).archived
    for period, points, events in _of_ledger(context):
        if period not in archived:
            sums[period].ledger_points, sums[period].ledger_events = points, events
    return sums


def comparable(context: Context, sums: Mapping[str, Sums]) -> Mapping[str, Sums]:
    """Sums of periods, under the names that `both_sides` has for them."""
    if not context.config.users.timezone:
        return sums
    found: dict[str, Sums] = defaultdict(Sums)
    has = {kind: is_a_period([kind]) for kind in _kinds(context)}
    for period, each in sums.items():
        for kind in (kind for kind, has_period in has.items() if has_period(period)):
            found[kind].add(each)
    return found


def _of_kinds(context: Context) -> dict[str, Sums]:
    periods = {row["_id"]: Sums(row["entries"], row["points"], row["events"]) for row in _of_entries(context)}
    found = {kind: Sums() for kind in _kinds(context)} | dict(comparable(context, periods))
    points, events = _whole_ledger(context)
    for each in found.values():
        each.ledger_points, each.ledger_events = points, events
    return found


def _kinds(context: Context) -> list[str]:
    """The kinds of periods, but for those of which some are in a backup."""
    archived = layouts.layout(context.state).archived
    return [kind for kind in context.config.periods if not any(map(is_a_period([kind]), archived))]


def _whole_ledger(context: Context) -> tuple[int, int]:
    """The points of all events, and how many these are."""
    if is_fake(context.target):
        rows = _looped(context, ["global"])
    else:
        condition = {**COUNTED, **_named_usually(context), "$expr": NO_ARRAYS}
        total = {"_id": "global", "points": {"$sum": "$points"}, "events": {"$sum": 1}}
        stages: list[Document] = [{"$match": condition}, {"$group": total}]
        found = context.target[EVENTS].aggregate(stages)
        rows = [(row["_id"], row["points"], row["events"]) for row in found]
    return next(((points, events) for _, points, events in rows), (0, 0))


def is_summed(context: Context) -> bool:
    """Whether a sample adds everything up besides. Beyond MOST_SUMMED events that is the work of a full verification.

    A server adds some hundred thousand of them a second: it would be at it for minutes, at every verification.
    """
    return context.target[EVENTS].estimated_document_count() <= MOST_SUMMED


def agree(sums: Sums, but: Sequence[Sums] = ()) -> bool:
    """Whether both sides of a period are the same, but for what some users have more on one of them."""
    points = sum(each.ledger_points - each.points for each in but)
    events = sum(each.ledger_events - each.events for each in but)
    return (sums.points + points, sums.events + events) == (sums.ledger_points, sums.ledger_events)


def _of_entries(context: Context) -> Iterator[Document]:
    """From each collection the periods whose entries belong there."""
    events = {"$sum": {"$ifNull": ["$counted", "$events"]}}
    group = {"_id": "$period", "entries": {"$sum": 1}, "points": {"$sum": "$score"}, "events": events}
    stages: list[Document] = [{"$match": {"rev": {"$exists": True}, **_named_usually(context)}}, {"$group": group}]
    has_period, layout = is_a_period(context.config.periods), layouts.layout(context.state)
    for name in homes(context.target, layout):
        for row in context.target[name].aggregate(stages, allowDiskUse=True):
            period = row["_id"]
            known = type(period) is str and has_period(period) and period not in layout.archived
            if known and layout.home(period) == name:
                yield row


def _named_usually(context: Context) -> Document:
    """The condition that a user is named by an id of the ledger's type: those of others count for nobody's entries."""
    kind = kind_of_users(context)
    return named_by(kind, whole=not is_fake(context.target)) if kind else {}


def _of_ledger(context: Context) -> list[tuple[str, Any, int]]:
    if is_fake(context.target):
        return _looped(context, context.config.periods)
    config = context.config
    day = period_label("$createdAt", PERIODS["day"], config.timezone, config.day_begins)
    stages: list[Document] = [
        {"$match": {**COUNTED, **_named_usually(context), "$expr": NO_ARRAYS}},
        {"$group": {"_id": day, "points": {"$sum": "$points"}, "events": {"$sum": 1}}},
    ]
    kinds, sums = tuple(context.config.periods), defaultdict[str, list[int]](lambda: [0, 0])
    for row in context.target[EVENTS].aggregate(stages, allowDiskUse=True):
        for period in names(kinds, dt.date.fromisoformat(row["_id"])):
            sums[period][0] += row["points"]
            sums[period][1] += row["events"]
    return [(period, points, events) for period, (points, events) in sums.items()]


def _looped(context: Context, kinds: Sequence[str]) -> list[tuple[str, Any, int]]:
    ledger, leavers = Ledger(Clocks(context.config).of), Leavers(context.state)
    ledger.add(context.target[EVENTS].find({**COUNTED, **_named_usually(context)}, READ))
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for user, entries in ledger.entries(kinds):
        for period, entry in entries.items() if user not in leavers else ():
            sums[period][0] += entry.score
            sums[period][1] += entry.events
    return [(period, points, events) for period, (points, events) in sums.items()]
