"""When an action happened where a path alone does not say it; shares no code with the scoring."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from lbmigrate.config.times import At
from lbmigrate.records import EARLIEST, LATEST
from lbmigrate.verify.values import EPOCH, NANOSECONDS, moment, number

MICROSECOND, MILLISECOND = 10**3, 10**6  # nanoseconds


def when(rule: At, value: Any, lasted: Any, zone: ZoneInfo) -> dt.datetime | None:
    """The time that a value says, as naive UTC; `lasted` is the duration to be added, where the rule has one."""
    if value is None:
        return None
    counted = number(value) if rule.epoch else None
    at = moment(value, zone) if counted is None else _since_epoch(counted, NANOSECONDS[str(rule.epoch)])
    if at is None or rule.plus is None:
        return at
    length = number(lasted)
    if length is None or length < 0:
        return None
    return _later(at, round(length * NANOSECONDS[rule.plus.unit] / MILLISECOND))


def _since_epoch(number: float, unit: int) -> dt.datetime | None:
    return _later(EPOCH, round(number * unit / MICROSECOND) // 1000) if number else None


def _later(at: dt.datetime, milliseconds: int) -> dt.datetime | None:
    try:
        found = at + dt.timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
    return found if EARLIEST <= found < LATEST else None
