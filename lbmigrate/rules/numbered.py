"""The periods of whole columns of days."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lbmigrate.rules.periods import label

Ints = npt.NDArray[np.int64]
SPAN = 100_000  # days from the first to the last, for each of which a table has room: 270 years


def numbered(kind: str, days: Ints) -> tuple[Ints, list[str]]:
    """The period of each day (counted from 1970-01-01) as a place in a list of names, and that list.

    Only distinct days are named, so a day costs next to nothing; equal names have one place.
    """
    first = int(days.min()) if len(days) else 0
    if len(days) and int(days.max()) - first >= SPAN:
        distinct, places = np.unique(days, return_inverse=True)
        return _named(kind, distinct, places)
    rows = days - first
    there = np.bincount(rows) > 0  # a tenth of the time of sorting them
    return _named(kind, np.flatnonzero(there) + first, (np.cumsum(there) - 1)[rows])


def _named(kind: str, distinct: Ints, places: npt.NDArray[np.intp]) -> tuple[Ints, list[str]]:
    names = [label(kind, day) for day in distinct.tolist()]
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int64)[places], list(order)
