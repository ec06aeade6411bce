"""What each action is worth on the present board and on that of a dry run: points, and how many actions stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.mongo import faults
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document
from lbmigrate.rules.adjustments import stand
from lbmigrate.schema import COUNTED, EVENTS

GROUPED: Document = {
    "_id": {"action": "$actionType", "reason": "$meta.reason", "up": {"$gt": ["$points", 0]}},
    "points": {"$sum": "$points"},
    "events": {"$sum": 1},
}


@dataclass(frozen=True, slots=True)
class Shift:
    """An action that would be worth something else: its points and how often it stands, before and after."""

    action: str
    points_before: int
    points_after: int
    actions_before: int
    actions_after: int


def shifts(present: Database[Any], target: Database[Any]) -> list[Shift]:
    """The actions that would be worth something else; none where there is no ledger yet, or none that may be read."""
    try:
        before = _by_action(present)
    except OperationFailure as error:
        if error.code != faults.UNAUTHORIZED:
            raise
        return []
    if not before:
        return []
    after = _by_action(target)
    found = []
    for name in sorted(before.keys() | after.keys()):
        (points, standing), (then_points, then_standing) = (each.get(name, (0, 0)) for each in (before, after))
        if (points, standing) != (then_points, then_standing):
            found.append(Shift(name, points, then_points, standing, then_standing))
    return found


def _by_action(database: Database[Any]) -> dict[str, tuple[int, int]]:
    """The points of each action, and how often it stands."""
    points: dict[str, int] = defaultdict(int)
    standing: dict[str, int] = defaultdict(int)
    for action, reason, up, worth, events in _sums(database):
        points[str(action)] += worth
        standing[str(action)] += events * stand(reason, 1 if up else -1)
    return {name: (worth, standing[name]) for name, worth in points.items()}


def _sums(database: Database[Any]) -> Iterator[tuple[Any, Any, bool, int, int]]:
    if is_fake(database):
        for event in database[EVENTS].find(COUNTED, {"actionType": 1, "points": 1, "meta.reason": 1}):
            yield event["actionType"], event["meta"].get("reason"), event["points"] > 0, int(event["points"]), 1
        return
    for row in database[EVENTS].aggregate([{"$match": COUNTED}, {"$group": GROUPED}]):
        key = row["_id"]
        yield key.get("action"), key.get("reason"), bool(key["up"]), int(row["points"]), int(row["events"])
