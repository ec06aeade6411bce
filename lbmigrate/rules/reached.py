"""Since when a score is what it is: the events of each user at each moment, added up.

A score is reached at the newest moment at which the ledger has given or taken points: what the events of that moment
add up to is not 0. An adjustment is dated like the event that it corrects, so what was taken back was never there, and
an action without points reaches nothing. Who was never given a point has reached that with the first event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lbmigrate.rules.numbered import Ints

NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Moments:
    """Columns in step, a row for each user and moment: its day, in milliseconds since 1970 when, and the points."""

    user: list[Any]
    day: Ints
    at: Ints
    points: Ints


def moments(users: Sequence[Any], day: Ints, utc: npt.NDArray[np.datetime64], points: Ints) -> Moments:
    """The moments of some events, in any order."""
    return _added_up(list(users), day, utc.astype(np.int64), points)


def joined(parts: Sequence[Moments | None]) -> Moments | None:
    """Moments of several parts, which may share some; None where one of them has none."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not known:
        return None
    users = [user for part in known for user in part.user]
    columns = ((part.day, part.at, part.points) for part in known)
    return _added_up(users, *map(np.concatenate, zip(*columns, strict=True)))


@dataclass(frozen=True, slots=True)
class Reached:
    """For each user and day, in order: the newest moment that counts, NEVER where none does, and the first of all."""

    newest: Ints
    first: Ints

    def of(self, starts: npt.NDArray[np.intp]) -> list[Any]:
        """When the score of each run of days was reached, naive UTC."""
        newest, first = np.maximum.reduceat(self.newest, starts), np.minimum.reduceat(self.first, starts)
        found: list[Any] = np.where(newest == NEVER, first, newest).astype("datetime64[ms]").tolist()
        return found


def by_day(found: Moments, codes: dict[Any, int]) -> Reached:
    """The moments of each user, by the numbers that users have, and day."""
    key = np.array([codes[user] for user in found.user], dtype=np.int64) * 2**32 + found.day
    order = np.argsort(key, kind="stable")
    starts = run_starts(key[order])
    counts = found.points.astype(bool)
    newest = np.where(counts, found.at, NEVER)[order]
    return Reached(np.maximum.reduceat(newest, starts), np.minimum.reduceat(found.at[order], starts))


def _added_up(users: list[Any], day: Ints, at: Ints, points: Ints) -> Moments:
    seen: dict[Any, int] = {}
    codes = np.array([seen.setdefault(user, len(seen)) for user in users], dtype=np.int64)
    order = np.lexsort((at, codes))
    starts = run_starts(codes[order], at[order])
    rows = order[starts]
    exact = points.astype(object) if len(rows) < len(users) else points  # sums may not fit into 64 bits
    sums = np.add.reduceat(exact[order], starts) if len(rows) else points
    owners = list(seen)
    return Moments([owners[code] for code in codes[rows].tolist()], day[rows], at[rows], sums)


def run_starts(*columns: Ints) -> npt.NDArray[np.intp]:
    """Find the rows at which any of the columns differs from the row before; the first row is always one."""
    changed = np.zeros(len(columns[0]), dtype=bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)
