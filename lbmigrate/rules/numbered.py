"""The periods of whole columns of days."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lbmigrate.rules.periods import label

Ints = npt.NDArray[np.int64]


def numbered(kind: str, days: Ints) -> tuple[Ints, list[str]]:
    """The period of each day (counted from 1970-01-01) as a place in a list of names, and that list.

    Only distinct days are named, so a day costs next to nothing; equal names have one place.
    """
    distinct, places = np.unique(days, return_inverse=True)
    names = [label(kind, day) for day in distinct.tolist()]
    order = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([order[name] for name in names], dtype=np.int64)[places], list(order)
