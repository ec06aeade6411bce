"""Time zones as apps keep them with their users: IANA names, and fixed offsets such as +05:45."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

LONGEST = 64  # characters
FIRST, LAST = dt.timedelta(hours=14), dt.timedelta(hours=-12)  # ahead of UTC, where a day begins first and last
_HOSTS_OWN = frozenset({"localtime", "posixrules", "Factory"})  # name the zone of a host, or none
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.ASCII | re.IGNORECASE)


def zone_named(value: Any) -> str | None:
    """The zone that a value names, as the table of zones spells it; None for what names none.

    An offset comes out as +05:45. It is none where no clocks have it, from -12:00 to +14:00.
    """
    return _known(value.strip()) if isinstance(value, str) and len(value) <= LONGEST else None


def tzinfo_of(zone: str) -> dt.tzinfo:
    """The clocks of a zone that `zone_named` has told, or of any IANA name."""
    offset = fixed_offset(zone)
    return ZoneInfo(zone) if offset is None else dt.timezone(offset)


def fixed_offset(zone: str) -> dt.timedelta | None:
    """What the clocks are ahead of UTC, always; None where that is for a table to say."""
    if zone[:1] not in ("+", "-"):
        return None
    hours, _, minutes = zone[1:].partition(":")
    ahead = dt.timedelta(hours=int(hours), minutes=int(minutes))
    return -ahead if zone[0] == "-" else ahead


@lru_cache(maxsize=10_000)
def _known(text: str) -> str | None:
    return _names().get(text.casefold()) or _from_offset(text)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {name.casefold(): name for name in sorted(available_timezones() - _HOSTS_OWN)}


def _from_offset(text: str) -> str | None:
    found = _OFFSET.fullmatch(text)
    if found is None:
        return None
    ahead = dt.timedelta(hours=int(found[2]), minutes=int(found[3] or 0)) * (-1 if found[1] == "-" else 1)
    if not LAST <= ahead <= FIRST:
        return None
    minutes = abs(ahead) // dt.timedelta(minutes=1)
    return f"{'-' if ahead < dt.timedelta() else '+'}{minutes // 60:02}:{minutes % 60:02}"
