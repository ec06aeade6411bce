"""What the board should say, worked out from the app's own documents in plain Python. Shares nothing with the project.

Knows the tasks and sessions of `tests.apps`: 10 points for a finished task, the whole minutes of a focus session but at
most 120.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

Expected = dict[str, tuple[Any, int, dt.datetime]]  # by event id: the user, the points, and when
Periods = dict[tuple[str, Any], tuple[int, int]]  # by period and user: the score and the streak


def actions(database: Any) -> Expected:
    """Every action that the sources tell of."""
    found: Expected = {}
    for task in database["tasks"].find({"status": "done"}):
        found[f"task_complete:{task['_id']}"] = (task["userId"], 10, task["completedAt"])
    for each in database["sessions"].find({"type": "focus"}):
        minutes = min(each["durationSec"] // 60, 120)
        found[f"focus_session:{each['_id']}"] = (each["userId"], minutes, each["endedAt"])
    return found


def board(expected: Expected) -> Periods:
    """The score and streak of every user and period, in UTC, for all time and ISO weeks."""
    scores: dict[tuple[str, Any], int] = defaultdict(int)
    active: dict[Any, set[dt.date]] = defaultdict(set)
    last: dict[tuple[str, Any], dt.date] = {}
    for user, points, at in expected.values():
        day = at.date()
        year, week, _ = day.isocalendar()
        active[user].add(day)
        for key in (("global", user), (f"{year}-W{week:02d}", user)):
            scores[key] += points
            last[key] = max(day, last.get(key, day))
    return {key: (score, _streak(active[key[1]], last[key])) for key, score in scores.items()}


def _streak(days: set[dt.date], day: dt.date) -> int:
    length = 0
    while day in days:
        length, day = length + 1, day - dt.timedelta(days=1)
    return length


def shown(database: Any) -> Periods:
    """What the board says. Periods in which nothing is left are as good as none."""
    entries = database["leaderboard_entries"].find()
    return {(e["period"], e["userId"]): (e["score"], e["streak"]) for e in entries if e["score"] or e["streak"]}


def recorded(database: Any) -> Expected:
    """What the ledger says, adjustments aside."""
    events = database["score_events"].find({"meta.reason": None})
    return {event["_id"]: (event["userId"], event["points"], event["createdAt"]) for event in events}


def check(database: Any) -> None:
    """The ledger holds every action once and nothing else, and the board is their sum."""
    expected = actions(database)
    assert recorded(database) == expected
    assert shown(database) == board(expected)
    for entry in database["leaderboard_entries"].find({"period": "global"}):
        assert entry["events"] == sum(user == entry["userId"] for user, _, _ in expected.values())


def check_sums(database: Any) -> None:
    """Every action is worth in the ledger what its document says, others nothing, and the board is the sum.

    For an app that took things back: reconciled, each action has its event, and perhaps adjustments.
    """
    expected = actions(database)
    sums: dict[str, int] = defaultdict(int)
    firsts: dict[str, int] = defaultdict(int)
    for event in database["score_events"].find():
        name = f"{event['actionType']}:{event['sourceId']}"
        sums[name] += event["points"]
        firsts[name] += event["meta"].get("reason") is None
    assert set(firsts.values()) == {1}
    assert {name: points for name, points in sums.items() if points} == {
        name: points for name, (_, points, _) in expected.items() if points
    }
    assert shown(database) == board(expected)
