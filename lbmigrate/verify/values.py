"""Values of any type as numbers and times, one at a time: a second reading, which shares no code with the scoring.

None stands for "does not convert".
"""

from __future__ import annotations

import datetime as dt
import math
import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from bson import Decimal128, ObjectId

from lbmigrate.records import EARLIEST, LATEST, Document
from lbmigrate.verify.local_time import changes

EPOCH, MIDNIGHT = dt.datetime(1970, 1, 1), dt.timedelta(0)
FIRST_MILLISECONDS = 1e11  # from there on a number counts milliseconds, below it seconds
LONGEST = 400  # characters
NANOSECONDS = {
    "ns": 1, "us": 10**3, "ms": 10**6, "seconds": 10**9, "minutes": 60 * 10**9, "hours": 3600 * 10**9,
    "days": 86400 * 10**9,
}  # fmt: skip
_decimal = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII).fullmatch
_iso = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?|\d{8}T.*", re.ASCII).fullmatch

Getter = Callable[[Document], Any]


def getter(path: str) -> Getter:
    """What takes the value at a dotted path out of a document; None where there is none."""
    head, *rest = path.split(".")
    if not rest:
        return lambda document: document.get(head)

    def deep(document: Document) -> Any:
        value = document.get(head)
        for part in rest:
            value = _inner(value, part)
        return value

    return deep


def _inner(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 10:
        return value[int(part)] if int(part) < len(value) else None
    return None


def number(value: Any) -> float | None:
    """A finite float; digits in a text count, true and false do not."""
    if isinstance(value, Decimal128):
        value = str(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and (len(value) > LONGEST or not _decimal(value.strip())):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def moment(value: Any, zone: ZoneInfo) -> dt.datetime | None:
    """A time as naive UTC in whole milliseconds, within what an event may have."""
    if type(value) is dt.datetime and value.tzinfo is None:
        return _within(value if not value.microsecond % 1000 else _milliseconds(value))
    try:
        found = _read(value, zone)
    except (ValueError, OverflowError, TypeError):
        return None
    return None if found is None else _within(found)


def _within(at: dt.datetime) -> dt.datetime | None:
    return at if EARLIEST <= at < LATEST else None


def _milliseconds(at: dt.datetime) -> dt.datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _read(value: Any, zone: ZoneInfo) -> dt.datetime | None:
    if isinstance(value, dt.datetime):
        return _plain(value)
    if isinstance(value, ObjectId):
        return _plain(value.generation_time)
    if isinstance(value, str):
        return _from_text(value.strip().upper(), zone) if len(value) <= LONGEST else None
    given = number(value)
    if not given:
        return None
    seconds = given / 1000 if abs(given) >= FIRST_MILLISECONDS else given
    return EPOCH + dt.timedelta(milliseconds=round(seconds * 1e6) // 1000)


def _from_text(text: str, zone: ZoneInfo) -> dt.datetime | None:
    if not _iso(text):
        return None
    found = dt.datetime.fromisoformat(text)
    return _plain(found if found.tzinfo else found.replace(tzinfo=zone))


def _plain(at: dt.datetime) -> dt.datetime:
    utc = at.astimezone(dt.UTC).replace(tzinfo=None) if at.tzinfo else at
    return _milliseconds(dt.datetime(*utc.timetuple()[:6], utc.microsecond))


def local_day(zone: str, starts: dt.timedelta = MIDNIGHT) -> Callable[[dt.datetime], dt.date]:
    """What tells on which day a time (naive UTC) falls in a zone, where days begin so long after midnight."""
    if zone == "UTC":
        return (lambda at: (at - starts).date()) if starts else dt.datetime.date
    found = changes(zone)
    edges, ahead = [at for at, _ in found], [offset - starts for _, offset in found]
    return lambda at: (at + ahead[max(bisect_right(edges, at) - 1, 0)]).date()


def converted(value: float, unit: str, to: str) -> float:
    """A span of time in another unit, rounded once."""
    common = math.gcd(NANOSECONDS[unit], NANOSECONDS[to])
    return value * (NANOSECONDS[unit] // common) / (NANOSECONDS[to] // common)
