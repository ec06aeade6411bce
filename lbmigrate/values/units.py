"""Units of time, and how many seconds each is."""

from __future__ import annotations

from typing import Literal

UNITS_IN_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0,
}  # fmt: skip
Unit = Literal["ns", "us", "ms", "seconds", "minutes", "hours", "days"]
