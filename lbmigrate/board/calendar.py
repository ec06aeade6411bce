"""When a period begins and ends, from its name (`schema.PERIODS`), and whether the board has all of it.

Where users have zones of their own a period begins with the first of them and ends with the last, wherever they live.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from lbmigrate.board.place import About, Freshness
from lbmigrate.schema import PERIODS
from lbmigrate.values.zones import FIRST, LAST, tzinfo_of

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

LONGEST = 366  # days of the longest period
MIDNIGHT, SECOND = dt.timedelta(0), dt.timedelta(seconds=1)

Span = tuple[dt.datetime, dt.datetime]


def about(period: str, config: Config, freshness: Freshness) -> About:
    """What a period's name says of it, beside how far the board is."""
    begins, ends = anywhere(period, config) or (None, None)
    lag = config.backfill.lag
    settled = ends is not None and freshness.until is not None and freshness.until >= ends + lag
    return About(period, begins, ends, settled)


def anywhere(period: str, config: Config) -> Span | None:
    """The first moment at which a period has begun for somebody, and the first one at which it is over for all."""
    if not config.users.timezone:
        return span(period, str(config.timezone), config.day_begins)
    found = span(period, "UTC", config.day_begins)
    return found and (found[0] - FIRST, found[1] - LAST)


@lru_cache(maxsize=1000)
def span(period: str, timezone: str, starts: dt.timedelta = MIDNIGHT) -> Span | None:
    """The first moment of a period and the first one after it (UTC, naive), by the clocks of a zone.

    Days begin `starts` after midnight.
    None for `global`, which has neither, and for what is no period.
    """
    kind, first = _read(period)
    if first is None:
        return None
    days = (first + dt.timedelta(days=number) for number in range(1, LONGEST + 1))
    after = next((day for day in days if _name(kind, day) != period), None)
    return None if after is None else (_begin(first, timezone, starts), _begin(after, timezone, starts))


def _read(period: str) -> tuple[str, dt.date | None]:
    for kind, form in PERIODS.items():
        for day in ("", "-1"):  # %G-W%V names no day until its weekday is said
            try:
                read = dt.datetime.strptime(period + day, form + ("-%u" if day else "")).date()
            except ValueError:
                continue
            if kind != "global" and _name(kind, read) == period:
                return kind, read
    return "", None


def _name(kind: str, day: dt.date) -> str:
    years = {"%Y": day.year, "%G": day.isocalendar().year}  # glibc writes the year 987 in three digits
    return day.strftime(re.sub("%[YG]", lambda found: f"{years[found[0]]:04}", PERIODS[kind]))


def _begin(day: dt.date, timezone: str, starts: dt.timedelta) -> dt.datetime:
    """The first moment of a day, in UTC; where clocks leave out its time of day, the moment at which they change."""
    local = (dt.datetime.combine(day, dt.time()) + starts).replace(tzinfo=tzinfo_of(timezone))
    early, late = sorted(local.replace(fold=fold).astimezone(dt.UTC) for fold in (0, 1))
    if early == late or late.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
        return early.replace(tzinfo=None)
    while late - early > SECOND:
        middle = early + (late - early) // SECOND // 2 * SECOND
        before = middle.astimezone(local.tzinfo).replace(tzinfo=None) < local.replace(tzinfo=None)
        early, late = (middle, late) if before else (early, middle)
    return late.replace(tzinfo=None)
