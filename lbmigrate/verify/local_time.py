"""Local time as an expression for the server, by this host's table of time zones.

The server's own table may be older than this host's, and lack zones: it is never given the name of a zone. What the
clocks of a zone are ahead of UTC is searched for day by day, once, and handed over as a tree of comparisons.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from lbmigrate.records import EARLIEST, LATEST, Document

ONE_DAY, ONE_SECOND = dt.timedelta(days=1), dt.timedelta(seconds=1)  # no zone changes twice within days

Change = tuple[dt.datetime, dt.timedelta]  # from when on (naive UTC) clocks are ahead of UTC by how much


def period_label(path: str, format_: str, zone: str, starts: dt.timedelta = dt.timedelta(0)) -> Document:
    """The expression that names the period of the date at `path`, in the format of $dateToString.

    Days begin `starts` after midnight.
    """
    date: Any = path if zone == "UTC" else {"$add": [path, _ahead(path, changes(zone))]}
    if starts:
        date = {"$add": [date, -(starts // dt.timedelta(milliseconds=1))]}
    return {"$dateToString": {"date": date, "format": format_}}


@lru_cache(maxsize=8)
def changes(zone: str) -> tuple[Change, ...]:
    """Every change of a zone's offset among the times that an event may have, the first offset before all of them."""
    table = ZoneInfo(zone)
    day, ahead = EARLIEST, _read(table, EARLIEST)
    found = [(day, ahead)]
    while day < LATEST:
        following = day + ONE_DAY
        if (next_ahead := _read(table, following)) != ahead:
            found.append((_moment(table, day, following), next_ahead))
        day, ahead = following, next_ahead
    return tuple(found)


def _moment(table: ZoneInfo, before: dt.datetime, after: dt.datetime) -> dt.datetime:
    """The second from which on a zone has the offset that it has at `after` and not at `before`."""
    old = _read(table, before)
    while after - before > ONE_SECOND:
        middle = before + (after - before) // ONE_SECOND // 2 * ONE_SECOND
        before, after = (middle, after) if _read(table, middle) == old else (before, middle)
    return after


def _read(table: ZoneInfo, utc: dt.datetime) -> dt.timedelta:
    return table.fromutc(utc.replace(tzinfo=table)).utcoffset() or dt.timedelta()


def _ahead(path: str, found: tuple[Change, ...]) -> Any:
    """How many milliseconds the clocks are ahead at the date at `path`: halves of the changes, and halves of those."""
    if len(found) == 1:
        return found[0][1] // dt.timedelta(milliseconds=1)
    middle = len(found) // 2
    earlier = {"$lt": [path, found[middle][0]]}
    return {"$cond": [earlier, _ahead(path, found[:middle]), _ahead(path, found[middle:])]}
