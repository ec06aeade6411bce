"""Values of any BSON type as times and as numbers, one at a time; a column at a time: `columns`.

None and NaN stand for "does not convert"; nothing here raises because of a value.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any
from zoneinfo import ZoneInfo

from bson import Decimal128, ObjectId

from lbmigrate.records import EARLIEST, LATEST

EPOCH = dt.datetime(1970, 1, 1)
EARLIEST_EPOCH, LATEST_EPOCH = (edge.replace(tzinfo=dt.UTC).timestamp() for edge in (EARLIEST, LATEST))
# as seconds 1e11 is the year 5138, as milliseconds it is March 1973
MILLISECONDS_FROM = 1e11
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


def _moment(value: Any, zone: ZoneInfo) -> dt.datetime | None:
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, ObjectId):
        return value.generation_time
    if isinstance(value, str):
        return _from_iso(value.strip().upper(), zone) if len(value) <= LONGEST_TEXT else None
    return _from_epoch(as_number(value))


def _from_epoch(value: float) -> dt.datetime | None:
    """An epoch number other than 0 as a time; NaN does not compare, so it ends as None with what lies out of range."""
    seconds = value / 1000 if abs(value) >= MILLISECONDS_FROM else value
    if value == 0 or not EARLIEST_EPOCH <= seconds < LATEST_EPOCH:
        return None
    # through whole microseconds, because 1700000000.1 in binary is a little less than it says
    return EPOCH + dt.timedelta(milliseconds=round(seconds * 1e6) // 1000)


def _from_iso(text: str, zone: ZoneInfo) -> dt.datetime | None:
    if not _is_iso(text):
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
