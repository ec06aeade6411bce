"""What names a time zone, read a second time; shares no code with who writes entries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

LONGEST = 64  # characters of what may name a zone
NOBODYS = ("localtime", "posixrules", "Factory")
LEAST, MOST = -12 * 60, 14 * 60  # minutes that clocks are ahead of UTC


def zone_named(value: Any) -> str | None:
    """The zone that a value names, spelled as the table of zones has it, offsets as +05:45; None if it names none."""
    if not isinstance(value, str) or len(value) > LONGEST:
        return None
    word = value.strip()
    if (known := _table().get(word.casefold())) is not None:
        return known
    plain = word.upper()
    minutes = minutes_ahead(plain[3:] if plain[:3] in ("UTC", "GMT") else plain)
    if minutes is None or not LEAST <= minutes <= MOST:
        return None
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"


def minutes_ahead(text: str) -> int | None:
    """What stands after a sign, in minutes: 5, 05, 545, 0545 or 05:45."""
    if text[:1] not in ("+", "-") or not text.isascii():
        return None
    digits = text[1:]
    hours, colon, minutes = digits.partition(":")
    if not colon and len(digits) > 2:
        hours, minutes = digits[:-2], digits[-2:]
    elif not colon:
        minutes = "00"
    if not (hours.isdigit() and minutes.isdigit()) or len(hours) > 2 or len(minutes) != 2 or int(minutes) > 59:
        return None
    found = 60 * int(hours) + int(minutes)
    return -found if text[0] == "-" else found


@lru_cache(maxsize=1)
def _table() -> dict[str, str]:
    return {name.casefold(): name for name in sorted(available_timezones()) if name not in NOBODYS}
