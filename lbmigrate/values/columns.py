"""Columns of values of any BSON type as times and as numbers: what `coerce` makes of each, for all of them at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from fractions import Fraction
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from bson import Int64, ObjectId
from numpy.typing import NDArray

from lbmigrate.records import EARLIEST, LATEST
from lbmigrate.values.coerce import EARLIEST_EPOCH, LATEST_EPOCH, MILLISECONDS_FROM, as_number, as_time
from lbmigrate.values.units import UNITS_IN_SECONDS, Unit

Floats = NDArray[np.float64]
Moments = list[dt.datetime | None]

_NUMBERS = frozenset({int, float, Int64})


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
    usable = (lasted >= 0) & (lasted < LATEST_EPOCH * 1000)
    later = [None if n is None or not ok else n + dt.timedelta(milliseconds=round(ms))
             for n, ms, ok in zip(moments, lasted.tolist(), usable.tolist(), strict=True)]  # fmt: skip
    return [moment if moment is not None and moment < LATEST else None for moment in later]


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


def _from_epoch(values: Floats) -> Moments:
    """NaN does not compare, so it ends as None with what lies out of range; NaT becomes None in a list."""
    return _in_range(values, np.where(np.abs(values) >= MILLISECONDS_FROM, values / 1000, values))


def _in_range(values: Floats, seconds: Floats) -> Moments:
    """Epoch seconds as times, where they lie in the range of those, and the value that they come from is not 0."""
    usable = (values != 0) & (seconds >= EARLIEST_EPOCH) & (seconds < LATEST_EPOCH)
    # through whole microseconds, because 1700000000.1 in binary is a little less than it says
    milliseconds = np.rint(np.where(usable, seconds, 0) * 1e6).astype(np.int64) // 1000
    moments = np.where(usable, milliseconds.astype("datetime64[ms]"), np.datetime64("NaT"))
    return moments.tolist()  # type: ignore[no-any-return]
