"""When actions happened, as one field of their documents says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from lbmigrate.config.times import At
from lbmigrate.values.columns import Moments, after, numbers, times, times_since_epoch


def moments_of(at: At, columns: Mapping[str, Sequence[Any]], zone: ZoneInfo) -> Moments:
    """A time for each row of the columns (by path), naive UTC; None where the field says none."""
    column = columns[at.path]
    found = times_since_epoch(column, zone, at.epoch) if at.epoch else times(column, zone)
    return after(found, numbers(columns[at.plus.path]), at.plus.unit) if at.plus else found
