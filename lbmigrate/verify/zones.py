"""By which clocks days are told where users have zones of their own, a second time: by the zone that entries show.

Whether that is the zone of the user's document is a question of its own, as it is of a name. Shares no code with who
writes entries.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from lbmigrate.config.model import Config
from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.limits import short
from lbmigrate.verify.kinds import Heal, Kind
from lbmigrate.verify.people import TELLS, ZONE
from lbmigrate.verify.result import Mismatch
from lbmigrate.verify.values import local_day
from lbmigrate.verify.zone_names import LONGEST, minutes_ahead, zone_named

DayOf = Callable[[dt.datetime], dt.date]


class Clocks:
    """What tells of a time (naive UTC) on which day it is for a user; `own` has the zones that are not everybody's."""

    def __init__(self, config: Config, own: Mapping[Any, Any] | None = None) -> None:
        self._starts, self._own = config.day_begins, own or {}
        self._everybody = local_day(config.timezone, self._starts)

    def of(self, user: Any) -> DayOf:
        """The days of a user."""
        zone = zone_named(self._own[user]) if user in self._own else None
        return self._everybody if zone is None else _days(zone, self._starts)


def by_entries(config: Config, there: Mapping[Any, Mapping[str, Document]]) -> dict[Any, Any]:
    """The zone that most of a user's entries show, of each user; nothing where users have no zones of their own."""
    if not config.users.timezone:
        return {}
    return {user: _most(row.get(ZONE) for row in rows.values()) for user, rows in there.items() if rows}


def _most(zones: Iterable[Any]) -> Any:
    counts = Counter(short(zone, LONGEST) if zone is None or isinstance(zone, str) else "" for zone in zones)
    return min(counts, key=lambda zone: (-counts[zone], zone or ""))


def are_several(rows: Iterable[Document]) -> bool:
    """Whether entries were computed by different zones."""
    return len({excerpt(row.get(ZONE)) for row in rows}) > 1


def misfits(key: tuple[Any, str], row: Document, zone: Any, person: Mapping[str, Any] | None) -> Iterator[Mismatch]:
    """What is wrong with the zone of an entry; `zone` is that of the user's other entries."""
    found = row.get(ZONE)
    if ZONE not in row:
        yield _misfit(key, row, zone, "the entry shows no time zone, and users have their own")
    elif found != zone:
        told = f"the entry was computed by the time zone {excerpt(found)}, others of the user by {excerpt(zone)}"
        yield _misfit(key, row, zone, told)
    elif person is not None and found != person[ZONE]:
        told = f"the entry shows the time zone {excerpt(found)}, the user's document says {excerpt(person[ZONE])}"
        yield replace(_misfit(key, row, person[ZONE], told), finding=not person[TELLS])


def _misfit(key: tuple[Any, str], row: Document, right: Any, told: str) -> Mismatch:
    user, period = key
    reason = f"user {user} in {period}: {told}"
    return Mismatch(Kind.SNAPSHOT, ENTRIES, row["_id"], user, period, ZONE, row.get(ZONE), right, reason, Heal.ROLL_UP)


@lru_cache(maxsize=1_000)
def _days(zone: str, starts: dt.timedelta) -> DayOf:
    always = minutes_ahead(zone)
    clocks = ZoneInfo(zone) if always is None else dt.timezone(dt.timedelta(minutes=always))
    return lambda at: (at.replace(tzinfo=dt.UTC).astimezone(clocks).replace(tzinfo=None) - starts).date()
