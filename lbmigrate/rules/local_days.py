"""Which local day a time falls on, by this host's table of time zones, a whole column at a time. Pure.

The table is the one that Python's zoneinfo reads: the system's, or that of the package tzdata. No other one is asked.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from lbmigrate.rules.periods import Ints

HOUR, DAY = 3_600_000, 86_400_000  # milliseconds
BLOCK = 8_192  # hours, about eleven months: what the table is asked for at once
BLOCKS_KEPT = 1_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
CHANGING = np.iinfo(np.int32).min  # stands for the offset of an hour in which it changes


def local_days(utc: npt.NDArray[np.datetime64], zone: str) -> Ints:
    """The days, counted from 1970-01-01, on which these times (naive UTC) fall in `zone`, an IANA name."""
    moments = utc.astype("datetime64[ms]").astype(np.int64)
    if zone != "UTC" and len(moments):
        moments = moments + _offsets(moments, zone)
    return moments // DAY


def _offsets(moments: Ints, zone: str) -> npt.NDArray[np.int32]:
    """What the clocks of a zone are ahead of UTC at each moment, in milliseconds."""
    hours = moments // HOUR
    blocks = hours // BLOCK
    first = int(blocks.min())
    blocks -= first
    present = np.flatnonzero(np.bincount(blocks))
    table = np.zeros((int(present[-1]) + 1, BLOCK), dtype=np.int32)
    for block in present.tolist():
        table[block] = _hourly(zone, first + block)
    found = table[blocks, hours % BLOCK]
    for row in np.flatnonzero(found == CHANGING).tolist():  # a few hours of a year
        found[row] = _offset(ZoneInfo(zone), int(moments[row]))
    return found


@lru_cache(maxsize=BLOCKS_KEPT)
def _hourly(zone: str, block: int) -> npt.NDArray[np.int32]:
    """The offset throughout each hour of a block, CHANGING where it is another one at the hour's end."""
    table, hours = ZoneInfo(zone), range(block * BLOCK, (block + 1) * BLOCK + 1)
    found = np.array([_offset(table, hour * HOUR) for hour in hours], dtype=np.int32)
    return np.where(found[:-1] == found[1:], found[:-1], CHANGING)


def _offset(zone: ZoneInfo, moment: int) -> int:
    local = (EPOCH + dt.timedelta(milliseconds=moment)).astimezone(zone)
    return int((local.utcoffset() or dt.timedelta()) / dt.timedelta(milliseconds=1))
