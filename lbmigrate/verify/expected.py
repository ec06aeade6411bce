"""What the ledger says of users, added up in plain Python; shares no code with the roll-up."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    """A user's day: points, how many events, by how many the actions that stand have grown, and the newest time.

    `moments` has the points of each moment, where that is asked for.
    """

    points: int = 0
    events: int = 0
    stands: int = 0
    last: dt.datetime = dt.datetime.min
    moments: dict[dt.datetime, int] | None = None


@dataclass(slots=True)
class Entry:
    """What an entry should say: `events` are those of the ledger, `actions` how many stand."""

    score: int = 0
    events: int = 0
    actions: int = 0
    last: dt.datetime = dt.datetime.min
    streak: int = 0
    reached: dt.datetime | None = None
    begun: dt.datetime | None = None

    def grow(self, day: Day, streak: int) -> None:
        """Take in the next day, and the streak up to it if something stands on that day."""
        self.score += day.points
        self.events += day.events
        self.actions += day.stands
        self.last = max(self.last, day.last)
        if day.stands > 0:
            self.streak = streak
        if day.moments:
            self._grow_older(day.moments)

    def _grow_older(self, moments: Mapping[dt.datetime, int]) -> None:
        """Since when the score is what it is: the newest moment with points to give or to take, or the first of all."""
        self.begun = min([*moments, *([self.begun] if self.begun else [])])
        changing = [at for at, points in moments.items() if points] + ([self.reached] if self.reached else [])
        self.reached = max(changing, default=None)

    @property
    def since(self) -> dt.datetime | None:
        return self.reached or self.begun


@dataclass(slots=True)
class Ledger:
    """The days of users, to which events are added one by one; with their `moments` where somebody asks for those."""

    days_of: Callable[[Any], Callable[[dt.datetime], dt.date]]  # of a user: on which day a time falls
    days: dict[Any, dict[dt.date, Day]] = field(default_factory=dict)
    moments: bool = False

    def add(self, events: Iterable[Document]) -> int:
        """Take in events as they are stored; how many of them count. Fastest where those of a user are in a row."""
        counted = 0
        user: Any = None
        theirs: dict[dt.date, Day] = {}
        day_of: Callable[[dt.datetime], dt.date] = dt.datetime.date
        for event in events:
            named, points, at = event.get("userId"), event.get("points"), event.get("createdAt")
            if not isinstance(points, Int64) or not isinstance(at, dt.datetime):
                continue
            if user is None or named != user or type(named) is not type(user):
                if not names_a_user(named):
                    continue
                user, plain = named, plain_id(named)
                theirs, day_of = self.days.setdefault(plain, {}), self.days_of(plain)
            date, meta = day_of(at), event.get("meta")
            day = theirs.get(date)
            if day is None:
                day = theirs[date] = Day(moments={} if self.moments else None)
            day.points += points
            day.events += 1
            day.stands += change(meta, points) if meta else 1
            day.last = max(day.last, at)
            if day.moments is not None:
                day.moments[at] = day.moments.get(at, 0) + points
            counted += 1
        return counted

    def entries(self, kinds: Iterable[str]) -> Iterator[tuple[Any, dict[str, Entry]]]:
        """What the entries of each of these users should say, by period."""
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
                    entry.grow(day, streak)
            for entry in found.values():
                entry.score = max(-LARGEST_SCORE, min(entry.score, LARGEST_SCORE))
            yield user, found


def change(meta: Any, points: int) -> int:
    """By how much an event with this `meta` changes whether its action stands."""
    reason = meta.get("reason") if isinstance(meta, dict) else None
    if reason is None:
        return 1
    if reason == "moved":
        return (points > 0) - (points < 0)
    return CHANGES.get(reason, 1) if type(reason) is str else 1


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
