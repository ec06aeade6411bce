"""Which values can be the two ends of one range: a server compares within a type, and passes over all others."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any
from uuid import UUID

from bson import Code, DatetimeMS, DBRef, Decimal128, ObjectId, Timestamp

# Every BSON type a key may have that a range query can bracket, `number` for all four; and what Python has them as.
TYPES = ("number", "string", "object", "binData", "objectId", "bool", "date", "timestamp")
KINDS = (int | float | Decimal128, str, dict | DBRef, bytes | UUID, ObjectId, bool, dt.datetime | DatetimeMS, Timestamp)


def is_nan(value: Any) -> bool:
    """Whether a number is none; it is below all others."""
    return (
        value.to_decimal().is_nan() if isinstance(value, Decimal128) else isinstance(value, float) and math.isnan(value)
    )


def rank(value: Any) -> int:
    """The place of a value's type in TYPES, the server's order; values of one rank are one bracket of a range.

    Beyond the last one for what has none.
    """
    if isinstance(value, bool):
        return KINDS.index(bool)
    if value is None or isinstance(value, Code):  # which is a str to Python
        return len(KINDS)
    return next((place for place, kind in enumerate(KINDS) if isinstance(value, kind)), len(KINDS))


def bracket_of(value: Any) -> tuple[int, bool, bool]:
    """Values of one bracket can be the bounds of one range."""
    return rank(value), is_nan(value), value is None
