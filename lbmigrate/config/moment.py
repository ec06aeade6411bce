"""How a moment is written, in a file and as an option: a date, a time, so long ago, or `all` for the very beginning."""

from __future__ import annotations

import datetime as dt
import re

from dateutil.relativedelta import relativedelta

from lbmigrate.records import EARLIEST

ALL = "all"
AGO = re.compile(r"(\d+)\s*(min|h|d|w|mo|y)")
STEPS_BACK = {"min": "minutes", "h": "hours", "d": "days", "w": "weeks", "mo": "months", "y": "years"}
WRITTEN = "write 2025-05-01, 2025-05-01T02:00Z or 6mo"


def moment(words: str, now: dt.datetime) -> dt.datetime:
    """`2025-05-01`, an ISO time (UTC unless it has an offset), a time before `now` such as `6mo`, or `all`; naive UTC.

    Raises ValueError for anything else.
    """
    words = words.strip()
    if words == ALL:
        return EARLIEST
    ago = AGO.fullmatch(words)
    try:
        if ago:
            return _whole(now, ago[2]) - relativedelta(**{STEPS_BACK[ago[2]]: int(ago[1])})  # type: ignore[arg-type]  # one unit
        at = dt.datetime.fromisoformat(words)
        return at.astimezone(dt.UTC).replace(tzinfo=None) if at.tzinfo else at
    except OverflowError as error:
        raise ValueError(f"{words} is longer ago than there are times") from error


def is_ago(words: str) -> bool:
    """Whether the words mean another moment tomorrow."""
    return AGO.fullmatch(words.strip()) is not None


def _whole(now: dt.datetime, unit: str) -> dt.datetime:
    """Now, cut to the minute, the hour or the day: the same words a moment later mean the same, and go on."""
    now = now.replace(second=0, microsecond=0)
    if unit == "min":
        return now
    return now.replace(minute=0) if unit == "h" else now.replace(hour=0, minute=0)
