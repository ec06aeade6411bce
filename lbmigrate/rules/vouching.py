"""What an entry must look like to vouch for what it counts, so that new events can be folded into it. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from bson import Int64

OVERALL = "global"  # the period whose entry says what the ledger has of a user
MOST = 2**62  # of a score: beyond it one may have been cut to what an entry can hold
_WHOLE = frozenset({int, Int64})


def is_plain(entry: Mapping[str, Any]) -> bool:
    """Whether an entry looks as one that was made of nothing but actions that stand, each an event of the ledger."""
    score, events, streak = entry.get("score"), entry.get("events"), entry.get("streak")
    if type(score) is not Int64 or type(events) is not Int64 or type(streak) is not int:
        return False
    dated = isinstance(entry.get("lastEventAt"), dt.datetime) and type(entry.get("rev")) in _WHOLE
    return dated and abs(score) <= MOST and min(events, streak) > 0 and "counted" not in entry


def counted(entry: Mapping[str, Any]) -> int:
    """How many events of the ledger an entry stands for, if each of them is an action that stands; else -1."""
    return int(entry["events"]) if is_plain(entry) else -1


def can_be(score: int, events: int, worth: tuple[int, int]) -> bool:
    """Whether so many events can have this score, where each is worth something within these bounds."""
    least, most = worth
    return least * events <= score <= most * events
