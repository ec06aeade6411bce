"""Values of any BSON type as times and as numbers, one at a time and a column at a time.

None and NaN stand for "does not convert"; nothing here raises because of a value.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from bson import Decimal128, Int64, ObjectId
from numpy.typing import NDArray

from lbmigrate.records import EARLIEST, LATEST
from lbmigrate.values.units import UNITS_IN_SECONDS, Unit

Floats = NDArray[np.float64]
Moments = list[dt.datetime | None]

_EARLIEST_EPOCH, _LATEST_EPOCH = (edge.replace(tzinfo=dt.UTC).timestamp() for edge in (EARLIEST, LATEST))
# as seconds 1e11 is the year 5138, as milliseconds it is March 1973
MILLISECONDS_FROM = 1e11
_NUMBERS = frozenset({int, float, Int64})
# Text comes from anybody. What is longer than this is neither a time nor a number, and costs nothing more to refuse;
# every pattern here and elsewhere reads a character once, so that its work grows with the length and no faster.
LONGEST_TEXT = 400
_is_iso = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?|\d{8}T.*", re.ASCII).fullmatch
_is_decimal = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE).fullmatch


def as_time(value: Any, zone: ZoneInfo) -> dt.datetime | None:
    """A naive UTC datetime in whole milliseconds, as BSON keeps it, or None.

    Dates, ObjectIds (their generation time), numbers other than 0 (epoch milliseconds from 1e11 on, else seconds) and
    ISO 8601 strings convert, if they lie in [1900-01-01, 2200-01-01). A string without an offset is local time in
    `zone`, and a bare date its midnight there.
    """
    try:
        moment = _moment(value, zone)
        if moment is None:
            return None
        if moment.tzinfo is not None:
            moment = moment.astimezone(dt.UTC)
        plain = dt.datetime(*moment.timetuple()[:6], moment.microsecond // 1000 * 1000)
    except (ValueError, OverflowError, TypeError):  # out of datetime's range, a calendar's nonsense, pandas' NaT
        return None
    return plain if EARLIEST <= plain < LATEST else None


def times(column: Sequence[Any], zone: ZoneInfo) -> Moments:
    """`as_time` over a column; dates as BSON delivers them are handed on as they are, epoch numbers go by numpy."""
    given = [value for value in column if value is not None]
    if _finished(given):
        return list(column)
    if len(given) == len(column) and _NUMBERS.issuperset(map(type, column)):
        return _from_epoch(numbers(column))
    return [None if value is None else as_time(value, zone) for value in column]


def times_since_epoch(column: Sequence[Any], zone: ZoneInfo, unit: Unit) -> Moments:
    """`times`, but numbers, and texts that are numbers, count `unit` since 1970."""
    counted = numbers(column)
    found = _in_range(counted, convert(counted, unit, "seconds"))
    return [
        as_time(value, zone) if moment is None and isinstance(value, str | dt.datetime | ObjectId) else moment
        for value, moment in zip(column, found, strict=True)
    ]


def after(moments: Moments, durations: Floats, unit: Unit) -> Moments:
    """What is so much later; None where there is no such duration, or a negative one, or where time ends."""
    lasted = convert(durations, unit, "ms")
    usable = (lasted >= 0) & (lasted < _LATEST_EPOCH * 1000)
    later = [None if n is None or not ok else n + dt.timedelta(milliseconds=round(ms))
             for n, ms, ok in zip(moments, lasted.tolist(), usable.tolist(), strict=True)]  # fmt: skip
    return [moment if moment is not None and moment < LATEST else None for moment in later]


def as_number(value: Any) -> float:
    """A finite float, or NaN. Numbers and decimal strings convert; a bool is not a number."""
    if isinstance(value, Decimal128):
        value = str(value)
    if not _is_number(value):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT and _is_decimal(value.strip()) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def numbers(column: Sequence[Any]) -> Floats:
    """`as_number` over a column, as float64."""
    if _NUMBERS.issuperset(map(type, column)):
        try:
            found = np.array(column, dtype=np.float64)
        except OverflowError:
            pass
        else:
            return np.where(np.isfinite(found), found, np.nan)
    return np.array([as_number(value) for value in column], dtype=np.float64)


def convert(values: Floats, unit: Unit, to: Unit) -> Floats:
    """`values` in `unit`, told in `to`; rounded once, so 3e9 ns are 3 seconds exactly and floor() cannot lose one."""
    ratio = Fraction(round(UNITS_IN_SECONDS[unit] * 1e9), round(UNITS_IN_SECONDS[to] * 1e9))
    return values * ratio.numerator / ratio.denominator


def _finished(column: list[Any]) -> bool:
    """Whether these are all dates that need no conversion. A thousand distinct milliseconds make a small set."""
    if set(map(type, column)) != {dt.datetime} or set(map(attrgetter("tzinfo"), column)) != {None}:
        return False
    if any(fraction % 1000 for fraction in set(map(attrgetter("microsecond"), column))):
        return False
    return bool(min(column) >= EARLIEST and max(column) < LATEST)


def _moment(value: Any, zone: ZoneInfo) -> dt.datetime | None:
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, ObjectId):
        return value.generation_time
    if isinstance(value, str):
        return _from_iso(value.strip().upper(), zone) if len(value) <= LONGEST_TEXT else None
    return _from_epoch(np.array([as_number(value)]))[0]


def _from_epoch(values: Floats) -> Moments:
    """NaN does not compare, so it ends as None with what lies out of range; NaT becomes None in a list."""
    return _in_range(values, np.where(np.abs(values) >= MILLISECONDS_FROM, values / 1000, values))


def _in_range(values: Floats, seconds: Floats) -> Moments:
    """Epoch seconds as times, where they lie in the range of those, and the value that they come from is not 0."""
    usable = (values != 0) & (seconds >= _EARLIEST_EPOCH) & (seconds < _LATEST_EPOCH)
    # through whole microseconds, because 1700000000.1 in binary is a little less than it says
    milliseconds = np.rint(np.where(usable, seconds, 0) * 1e6).astype(np.int64) // 1000
    moments = np.where(usable, milliseconds.astype("datetime64[ms]"), np.datetime64("NaT"))
    return moments.tolist()  # type: ignore[no-any-return]


def _from_iso(text: str, zone: ZoneInfo) -> dt.datetime | None:
    if not _is_iso(text):
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
