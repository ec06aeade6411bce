"""Units of time, how many seconds each is, and by which words each is known."""

from __future__ import annotations

from typing import Literal

UNITS_IN_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0,
}  # fmt: skip
Unit = Literal["ns", "us", "ms", "seconds", "minutes", "hours", "days"]
# `m` is a minute here as in every duration of the configuration.
_ALSO: dict[Unit, str] = {
    "ns": "nanosecond nanoseconds nsec",
    "us": "microsecond microseconds usec \N{MICRO SIGN}s \N{GREEK SMALL LETTER MU}s",
    "ms": "millisecond milliseconds msec millis",
    "seconds": "second sec secs s",
    "minutes": "minute min mins m",
    "hours": "hour hr hrs h",
    "days": "day d",
}
UNIT_NAMES: dict[str, Unit] = {name: unit for unit, words in _ALSO.items() for name in (unit, *words.split())}
