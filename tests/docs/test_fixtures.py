"""The kept outcome of `config/fixtures`, worked out a second time by plain Python that uses nothing of lbmigrate."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from bson import json_util

FIXTURES = Path(__file__).parents[2] / "config" / "fixtures"
BERLIN = ZoneInfo("Europe/Berlin")
WORTH = {"low": 5, "medium": 10, "high": 20}
HIDING = (True, "yes")
NAIVE = json_util.JSONOptions(tz_aware=False)


def read(path):
    return [json_util.loads(line, json_options=NAIVE) for line in path.read_text("utf-8").splitlines()]


def kept(name):
    return {document["_id"]: document for document in read(FIXTURES / "expected" / f"{name}.ndjson")}


def moment(value):
    """A date, an ISO time with its offset, or milliseconds; None for anything else."""
    if isinstance(value, int):
        return dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=value)
    if isinstance(value, str):
        try:
            return dt.datetime.fromisoformat(value).astimezone(dt.UTC).replace(tzinfo=None)
        except ValueError:
            return None
    return value


def local(at):
    return at.replace(tzinfo=dt.UTC).astimezone(BERLIN).date()


def tasks():
    for task in read(FIXTURES / "tasks.ndjson"):
        if task["status"] != "done" or task.get("deletedAt") or task.get("isTemplate"):
            continue
        done, edited = moment(task.get("completedAt")), moment(task["updatedAt"])
        if "userId" not in task or "priority" not in task or not (done or edited):
            continue
        meta = {"priority": task["priority"], "origin": "backfill"}
        meta |= {} if done else {"approximate": "updatedAt"}
        yield "task_complete", task, WORTH.get(task["priority"], 5), meta, done or edited


def sessions():
    for session in read(FIXTURES / "sessions.ndjson"):
        if session["type"] == "focus" and session["completed"] and "durationSec" in session:
            meta = {"task": session["taskId"]} if "taskId" in session else {}
            points = min(int(session["durationSec"] // 60), 120)
            yield "focus_session", session, points, {**meta, "origin": "backfill"}, session["endedAt"]


@pytest.fixture(scope="module")
def ledger():
    found = {}
    for action, source, points, meta, at in [*tasks(), *sessions()]:
        event = {"userId": source["userId"], "actionType": action, "points": points, "sourceId": source["_id"]}
        found[f"{action}:{source['_id']}"] = {**event, "meta": meta, "createdAt": at}
    return found


def periods(at):
    day = local(at)
    year, week, _ = day.isocalendar()
    return "global", f"{year}-W{week:02}", f"{day.year}-{day.month:02}"


def streak(days, last):
    length = 0
    while last - dt.timedelta(days=length) in days:
        length += 1
    return length


def face(user):
    names = [name for name in (user.get("displayName"), user.get("name")) if name and "@" not in name]
    return {
        "optOutSnapshot": user.get("settings", {}).get("leaderboardOptOut") in HIDING,
        "displayNameSnapshot": names[0] if names else None,
        "avatarSnapshot": user.get("avatarUrl"),
    }


def test_the_kept_events_are_those_of_a_plain_computation(ledger):
    assert {
        key: {k: v for k, v in event.items() if k != "_id"} for key, event in kept("score_events").items()
    } == ledger


def test_the_kept_entries_are_those_of_a_plain_computation(ledger):
    users = {user["_id"]: face(user) for user in read(FIXTURES / "users.ndjson")}
    groups = defaultdict(list)
    for event in ledger.values():
        for period in periods(event["createdAt"]):
            groups[event["userId"], period].append(event)
    entries = {}
    for (user, period), events in groups.items():
        last = max(event["createdAt"] for event in events)
        days = {local(event["createdAt"]) for event in ledger.values() if event["userId"] == user}
        entries[f"{period}:{user}"] = {
            "_id": f"{period}:{user}",
            "userId": user,
            "period": period,
            "score": sum(event["points"] for event in events),
            "streak": streak(days, local(last)),
            "events": len(events),
            "lastEventAt": last,
            **users.get(user, face({})),
            "rev": 1,
        }
    assert kept("leaderboard_entries") == entries


def test_the_fixtures_hold_what_real_collections_hold(ledger):
    """An outcome without these would prove little."""
    users, everyone = {user["_id"] for user in read(FIXTURES / "users.ndjson")}, kept("leaderboard_entries").values()
    starts = {period for event in ledger.values() for period in periods(event["createdAt"])}
    assert {"2024-W52", "2025-W01", "2024-12", "2025-01", "2025-02", "2025-W13", "2025-W14"} <= starts
    assert sum("approximate" in event["meta"] for event in ledger.values()) == 6
    assert any(event["userId"] not in users for event in ledger.values()), "nobody left"
    assert any(entry["optOutSnapshot"] for entry in everyone), "nobody hides"
    assert any(entry["streak"] > 2 for entry in everyone), "nobody comes back the next day"
    assert max(event["points"] for event in ledger.values()) == 120
    assert len(ledger) > 200
