"""What the ledger says of users, added up in plain Python; shares no code with the roll-up."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from bson import Int64

from lbmigrate.records import LARGEST_SCORE, Document
from lbmigrate.schema import PERIODS
from lbmigrate.values.ids import plain_id
from lbmigrate.values.limits import names_a_user

ONE_DAY = dt.timedelta(days=1)
CHANGES = {"voided": -1, "restored": 1, "rescored": 0}  # by how much an adjustment makes its action stand


@dataclass(slots=True)
class Day:
    """A user's day: points, how many events, by how many the actions that stand have grown, and the newest time."""

    points: int = 0
    events: int = 0
    stands: int = 0
    last: dt.datetime = dt.datetime.min


@dataclass(slots=True)
class Entry:
    """What an entry should say."""

    score: int = 0
    events: int = 0
    last: dt.datetime = dt.datetime.min
    streak: int = 0


@dataclass(slots=True)
class Ledger:
    """The days of users, to which events are added one by one."""

    day_of: Callable[[dt.datetime], dt.date]
    days: dict[Any, dict[dt.date, Day]] = field(default_factory=dict)

    def add(self, events: Iterable[Document]) -> int:
        """Take in events as they are stored; how many of them count."""
        counted = 0
        for event in events:
            user, points, at = event.get("userId"), event.get("points"), event.get("createdAt")
            if not isinstance(points, Int64) or not isinstance(at, dt.datetime) or not names_a_user(user):
                continue
            theirs = self.days.setdefault(plain_id(user), {})
            date = self.day_of(at)
            day = theirs.get(date)
            if day is None:
                day = theirs[date] = Day()
            day.points += points
            day.events += 1
            day.stands += change(event.get("meta"), points)
            day.last = max(day.last, at)
            counted += 1
        return counted

    def entries(self, kinds: Iterable[str]) -> Iterator[tuple[tuple[Any, str], Entry]]:
        """What the entries of all these users should say, by user and period."""
        kinds = tuple(kinds)
        for user, theirs in self.days.items():
            found: dict[str, Entry] = {}
            streak = 0
            before: dt.date | None = None
            for date in sorted(theirs):
                day = theirs[date]
                if day.stands > 0:
                    streak = streak + 1 if before is not None and date - before == ONE_DAY else 1
                    before = date
                for period in names(kinds, date):
                    entry = found.get(period)
                    if entry is None:
                        entry = found[period] = Entry()
                    _grow(entry, day, streak if day.stands > 0 else entry.streak)
            for period, entry in found.items():
                entry.score = max(-LARGEST_SCORE, min(entry.score, LARGEST_SCORE))
                yield (user, period), entry


def _grow(entry: Entry, day: Day, streak: int) -> None:
    entry.score += day.points
    entry.events += day.events
    entry.last = max(entry.last, day.last)
    entry.streak = streak


def change(meta: Any, points: int) -> int:
    """By how much an event with this `meta` changes whether its action stands."""
    reason = meta.get("reason") if isinstance(meta, dict) else None
    if reason is None:
        return 1
    if reason == "moved":
        return (points > 0) - (points < 0)
    return CHANGES.get(reason, 1) if isinstance(reason, str) else 1


@lru_cache(maxsize=200_000)
def names(kinds: tuple[str, ...], date: dt.date) -> tuple[str, ...]:
    """The names of the periods of a day, of every kind."""
    return tuple(_name(kind, date) for kind in kinds)


def _name(kind: str, date: dt.date) -> str:
    if kind == "global":
        return "global"
    year, week, _ = date.isocalendar()
    words = {
        "%Y": f"{date.year:04}", "%m": f"{date.month:02}", "%d": f"{date.day:02}", "%G": f"{year:04}",
        "%V": f"{week:02}",
    }  # fmt: skip
    return re.sub("%.", lambda found: words[found[0]], PERIODS[kind])


def is_a_period(kinds: Iterable[str]) -> Callable[[str], bool]:
    """What tells whether a text names a period of one of these kinds."""
    digits = ("%Y", "%G")
    shapes = [re.sub("%.", lambda found: r"\d{4}" if found[0] in digits else r"\d\d", PERIODS[kind]) for kind in kinds]
    whole = re.compile("|".join(f"(?:{shape})" for shape in shapes)).fullmatch
    return lambda period: whole(period) is not None
