"""Periods: how the period of a day is named, and of which kind a name is. The kinds stand in `schema.PERIODS`."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lbmigrate.schema import PERIODS

Ints = npt.NDArray[np.int64]

EPOCH = dt.date(1970, 1, 1)
DIGITS = {"%Y": r"\d{4}", "%G": r"\d{4}", "%m": r"\d\d", "%d": r"\d\d", "%V": r"\d\d"}


def numbered(kind: str, days: Ints) -> tuple[Ints, list[str]]:
    """The period of each day (counted from 1970-01-01) as a place in a list of names, and that list.

    Only distinct days are named, so a day costs next to nothing; equal names have one place.
    """
    distinct, places = np.unique(days, return_inverse=True)
    names = [label(kind, day) for day in distinct.tolist()]
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int64)[places], list(order)


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
