"""When a period begins and ends, from its name (`schema.PERIODS`), and whether the board has all of it."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from lbmigrate.board.place import About, Freshness
from lbmigrate.schema import PERIODS

if TYPE_CHECKING:
    from lbmigrate.config.model import Config

LONGEST = 366  # days of the longest period


def about(period: str, config: Config, freshness: Freshness) -> About:
    """What a period's name says of it, beside how far the board is."""
    begins, ends = span(period, str(config.timezone)) or (None, None)
    lag = config.backfill.lag
    settled = ends is not None and freshness.until is not None and freshness.until >= ends + lag
    return About(period, begins, ends, settled)


@lru_cache(maxsize=1000)
def span(period: str, timezone: str) -> tuple[dt.datetime, dt.datetime] | None:
    """The first moment of a period and the first one after it (UTC, naive), where days are those of `timezone`.

    None for `global`, which has neither, and for what is no period.
    """
    kind, first = _read(period)
    if first is None:
        return None
    days = (first + dt.timedelta(days=number) for number in range(1, LONGEST + 1))
    after = next((day for day in days if _name(kind, day) != period), None)
    return None if after is None else (_midnight(first, timezone), _midnight(after, timezone))


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


def _midnight(day: dt.date, timezone: str) -> dt.datetime:
    """The first moment of a day, in UTC; where midnight is left out by a change of clocks, the moment of the change."""
    local = dt.datetime.combine(day, dt.time(), ZoneInfo(timezone))
    return local.astimezone(dt.UTC).replace(tzinfo=None)
