"""What is conserved: points, events and users of every period are the same in the ledger and in the entries.

A server adds both sides up itself. While an app writes, the two sums are taken at different moments: what differs says
where to look, and is no verdict.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from lbmigrate.ledger.leavers import Leavers
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS, PERIODS
from lbmigrate.schema.layout import homes
from lbmigrate.state import layouts
from lbmigrate.verify.entries import READ, Sums
from lbmigrate.verify.expected import Ledger, is_a_period, names
from lbmigrate.verify.local_time import period_label
from lbmigrate.verify.values import local_day

# Conditions on an array are asked of its elements; an event that holds one counts for nobody.
NO_ARRAYS: Document = {"$not": {"$or": [{"$isArray": f"${name}"} for name in ("userId", "points", "createdAt")]}}


def both_sides(context: Context) -> dict[str, Sums]:
    """The sums of every period."""
    sums: dict[str, Sums] = defaultdict(Sums)
    for row in _of_entries(context):
        sums[row["_id"]].add(Sums(row["entries"], row["points"], row["events"]))
    archived = layouts.layout(context.state).archived
    for period, points, events in _of_ledger(context):
        if period not in archived:
            sums[period].ledger_points, sums[period].ledger_events = points, events
    return sums


def agree(sums: Sums, but: Sequence[Sums] = ()) -> bool:
    """Whether both sides of a period are the same, but for what some users have more on one of them."""
    points = sum(each.ledger_points - each.points for each in but)
    events = sum(each.ledger_events - each.events for each in but)
    return (sums.points + points, sums.events + events) == (sums.ledger_points, sums.ledger_events)


def _of_entries(context: Context) -> Iterator[Document]:
    """From each collection the periods whose entries belong there."""
    group = {"_id": "$period", "entries": {"$sum": 1}, "points": {"$sum": "$score"}, "events": {"$sum": "$events"}}
    stages: list[Document] = [{"$match": {"rev": {"$exists": True}}}, {"$group": group}]
    has_period, layout = is_a_period(context.config.periods), layouts.layout(context.state)
    for name in homes(context.target, layout):
        for row in context.target[name].aggregate(stages, allowDiskUse=True):
            period = row["_id"]
            known = type(period) is str and has_period(period) and period not in layout.archived
            if known and layout.home(period) == name:
                yield row


def _of_ledger(context: Context) -> list[tuple[str, Any, int]]:
    if is_fake(context.target):
        return _looped(context)
    day = period_label("$createdAt", PERIODS["day"], context.config.timezone)
    stages: list[Document] = [
        {"$match": {**COUNTED, "$expr": NO_ARRAYS}},
        {"$group": {"_id": day, "points": {"$sum": "$points"}, "events": {"$sum": 1}}},
    ]
    kinds, sums = tuple(context.config.periods), defaultdict[str, list[int]](lambda: [0, 0])
    for row in context.target[EVENTS].aggregate(stages, allowDiskUse=True):
        for period in names(kinds, dt.date.fromisoformat(row["_id"])):
            sums[period][0] += row["points"]
            sums[period][1] += row["events"]
    return [(period, points, events) for period, (points, events) in sums.items()]


def _looped(context: Context) -> list[tuple[str, Any, int]]:
    ledger, leavers = Ledger(local_day(context.config.timezone)), Leavers(context.state)
    ledger.add(context.target[EVENTS].find(COUNTED, READ))
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for user, entries in ledger.entries(context.config.periods):
        for period, entry in entries.items() if user not in leavers else ():
            sums[period][0] += entry.score
            sums[period][1] += entry.events
    return [(period, points, events) for period, (points, events) in sums.items()]
