"""Days by each user's own clocks, worked out with zoneinfo in plain Python. Shares nothing with the project."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

MINUTE = dt.timedelta(minutes=1)
FIXED = {"+05:45": 345, "-03:30": -210, "+14:00": 840, "-12:00": -720}  # minutes ahead of UTC
ZONES = ("Pacific/Apia", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca", "UTC", *FIXED)
Event = tuple[Any, int, dt.datetime]  # the user, the points, and when (naive UTC)
Board = dict[tuple[str, Any], tuple[int, int, int]]  # by period and user: score, events and streak


def clocks(zone: str) -> dt.tzinfo:
    return dt.timezone(FIXED[zone] * MINUTE) if zone in FIXED else ZoneInfo(zone)


def day_of(at: dt.datetime, zone: str, starts: dt.timedelta = dt.timedelta(0)) -> dt.date:
    """The day that somebody's clocks are in, where a day begins so long after midnight."""
    return (at.replace(tzinfo=dt.UTC).astimezone(clocks(zone)).replace(tzinfo=None) - starts).date()


def names(date: dt.date) -> list[str]:
    year, week, _ = date.isocalendar()
    return ["global", f"{date}", f"{year:04}-W{week:02}", f"{date:%Y-%m}", f"{date.year:04}"]


def board(events: Iterable[Event], zones: Mapping[Any, str], everybody: str, starts: dt.timedelta) -> Board:
    """What each user has in each period; those without a zone have that of everybody."""
    scores: dict[tuple[str, Any], list[int]] = defaultdict(lambda: [0, 0])
    active: dict[Any, set[dt.date]] = defaultdict(set)
    last: dict[tuple[str, Any], dt.date] = {}
    for user, points, at in events:
        day = day_of(at, zones.get(user, everybody), starts)
        active[user].add(day)
        for period in names(day):
            key = period, user
            scores[key][0] += points
            scores[key][1] += 1
            last[key] = max(day, last.get(key, day))
    return {key: (*scores[key], _streak(active[key[1]], last[key])) for key in scores}


def _streak(days: set[dt.date], day: dt.date) -> int:
    length = 0
    while day in days:
        length, day = length + 1, day - dt.timedelta(days=1)
    return length


def shown(database: Any) -> Board:
    """What the entries say."""
    return {
        (each["period"], each["userId"]): (each["score"], each["events"], each["streak"])
        for each in database["leaderboard_entries"].find()
    }


# Moments at which clocks change (UTC): both changes of two years, Morocco's month of Ramadan, Apia's lost day.
CHANGES = [
    dt.datetime(2011, 12, 30, 10), dt.datetime(2011, 3, 13, 3, 31), dt.datetime(2011, 11, 6, 2, 31),
    dt.datetime(2024, 3, 10, 5, 30), dt.datetime(2024, 11, 3, 4, 30), dt.datetime(2025, 3, 9, 5, 30),
    dt.datetime(2025, 11, 2, 4, 30), dt.datetime(2025, 2, 23, 2), dt.datetime(2025, 4, 6, 2),
]  # fmt: skip
