"""Which local day a time falls on, by this host's table of time zones, a whole column at a time. Pure.

The table is the one that Python's zoneinfo reads: the system's, or that of the package tzdata. No other one is asked.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lbmigrate.rules.numbered import Ints
from lbmigrate.values.zones import fixed_offset, tzinfo_of

HOUR, DAY = 3_600_000, 86_400_000  # milliseconds
HOURS = 24
FARTHEST = 26 * HOUR  # by more than that no clocks were ever put back
BLOCK = 8_208  # hours, 342 days: what the table is asked for at once
BLOCKS_KEPT = 1_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
CHANGING = np.iinfo(np.int32).min  # stands for the offset of an hour in which it changes


def local_days(utc: npt.NDArray[np.datetime64], zone: str, starts: int = 0) -> Ints:
    """The days, counted from 1970-01-01, on which these times (naive UTC) fall in `zone`.

    That is an IANA name, or an offset as `zone_named` writes it. A day begins when its clocks show `starts`
    milliseconds after midnight.
    """
    moments = utc.astype("datetime64[ms]").astype(np.int64)
    if zone != "UTC" and len(moments):
        moments = moments + _offsets(moments, zone)
    return (moments - starts if starts else moments) // DAY


def put_back(utc: npt.NDArray[np.datetime64], zone: str) -> npt.NDArray[np.bool_]:
    """Whether clocks were put back so shortly before each of these times that an earlier time may be of a later day."""
    moments = utc.astype("datetime64[ms]").astype(np.int64)
    if zone == "UTC" or not len(moments) or fixed_offset(zone) is not None:
        return np.zeros(len(moments), dtype=np.bool_)
    now = _offsets(moments, zone)
    by = np.maximum(_offsets(moments - FARTHEST, zone) - now, 0)
    return np.asarray(_offsets(moments - by, zone) > now)


def _offsets(moments: Ints, zone: str) -> npt.NDArray[np.int32] | int:
    """What the clocks of a zone are ahead of UTC at each moment, in milliseconds."""
    if (always := fixed_offset(zone)) is not None:
        return always // dt.timedelta(milliseconds=1)
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
        found[row] = _offset(tzinfo_of(zone), int(moments[row]))
    return found


@lru_cache(maxsize=BLOCKS_KEPT)
def _hourly(zone: str, block: int) -> npt.NDArray[np.int32]:
    """The offset throughout each hour of a block, CHANGING where it is another one at the hour's end.

    Only days at whose ends it differs are looked at hour by hour: no zone changes twice within days.
    """
    table, first = tzinfo_of(zone), block * BLOCK
    daily = [_offset(table, (first + hour) * HOUR) for hour in range(0, BLOCK + 1, HOURS)]
    found = np.repeat(np.array(daily[:-1], dtype=np.int32), HOURS)
    for day in np.flatnonzero(np.diff(daily)).tolist():
        hours = range(first + day * HOURS, first + (day + 1) * HOURS + 1)
        exact = np.array([_offset(table, hour * HOUR) for hour in hours], dtype=np.int32)
        found[day * HOURS : (day + 1) * HOURS] = np.where(exact[:-1] == exact[1:], exact[:-1], CHANGING)
    return found


def _offset(zone: dt.tzinfo, moment: int) -> int:
    local = (EPOCH + dt.timedelta(milliseconds=moment)).astimezone(zone)
    return int((local.utcoffset() or dt.timedelta()) / dt.timedelta(milliseconds=1))
