"""Periods: how the period of a day is named, and of which kind a name is. The kinds stand in `schema.PERIODS`."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

from lbmigrate.schema import PERIODS

EPOCH = dt.date(1970, 1, 1)
DIGITS = {"%Y": r"\d{4}", "%G": r"\d{4}", "%m": r"\d\d", "%d": r"\d\d", "%V": r"\d\d"}


@lru_cache(maxsize=100_000)
def label(kind: str, day: int) -> str:
    """Name the period of that kind around a day, counted from 1970-01-01: day 20394 gives the week `2025-W45`."""
    date = EPOCH + dt.timedelta(days=day)
    years = {"%Y": date.year, "%G": date.isocalendar().year}  # glibc writes the year 987 in three digits
    return date.strftime(re.sub("%[YG]", lambda found: f"{years[found[0]]:04}", PERIODS[kind]))


def kind_of(period: str) -> str:
    """The kind of a period, told from its label: `global`, `2025-W44`, `2025-11-04`, `2025-11`, `2025`."""
    return next((kind for kind, shape in _shapes().items() if shape.fullmatch(period)), "unknown")


@lru_cache(maxsize=1)
def _shapes() -> dict[str, re.Pattern[str]]:
    return {kind: re.compile(re.sub("%.", lambda found: DIGITS[found[0]], form)) for kind, form in PERIODS.items()}
