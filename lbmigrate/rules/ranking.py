"""Score events to leaderboard entries, in two stages, so that memory follows the active days and not the events.

`daily` adds up the events of each user and local day, `merge` joins such sums, `entries` folds them into periods.
Everything is whole numbers: users become codes, local days become days since 1970-01-01, and equal neighbours are
added up with `reduceat`.
"""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lbmigrate.errors import LbmigrateError
from lbmigrate.records import Document
from lbmigrate.rules.clocks import Clocks
from lbmigrate.rules.folded import Folded
from lbmigrate.rules.numbered import Ints, numbered
from lbmigrate.rules.reached import Moments, Reached, by_day, joined, moments, run_starts
from lbmigrate.values.ids import plain_id

Times = Sequence[dt.datetime] | npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Sums:
    """Columns in step, a row for each user and local day, sorted by user, in order of first appearance, then by day.

    `day` counts days since 1970-01-01, `events` how many there were, and `last` is the newest time, naive UTC.
    `stands` is by how many the actions that stand have grown. `moments` are there where they are asked for (`reached`).
    """

    user: list[Any]
    day: Ints
    points: Ints
    events: Ints
    stands: Ints
    last: npt.NDArray[np.datetime64]
    moments: Moments | None = None

    def __len__(self) -> int:
        return len(self.user)

    def owners(self) -> list[Any]:
        """Each user once."""
        return coded(self.user)[1]


def daily(
    users: Sequence[Any],
    points: Sequence[int] | Ints,
    times: Times,
    zone: str | Clocks,
    stands: Sequence[int] | Ints | None = None,
    with_moments: bool = False,
) -> Sums:
    """Add up events by user and day in `zone`: an IANA name for everybody, or by the clocks of each.

    The columns run in step, in any order, and may be arrays; users are of one type, times are naive UTC in
    milliseconds. `stands` says by how much each event changes whether its action stands (`adjust.stand`), by default 1.
    Raises LbmigrateError if a number of points is not an int64.
    """
    utc = np.asarray(times if isinstance(times, np.ndarray) else list(times), dtype="datetime64[ms]")
    ones = np.ones(len(utc), dtype=np.int64)
    standing = ones if stands is None else np.asarray(stands, dtype=np.int64)
    clocks = Clocks(zone) if isinstance(zone, str) else zone
    day, whole = clocks.days(users, utc), _whole(points, users)
    found = _added_up(*coded(users), day, whole, ones, standing, utc)
    return replace(found, moments=moments(users, day, utc, whole)) if with_moments else found


def merge(parts: Sequence[Sums]) -> Sums:
    """Add up results of `daily` (same clocks) that may share users and days: same shape and order, each pair once."""
    parts = parts or [daily([], [], [], "UTC")]
    users = [user for part in parts for user in part.user]
    columns = [(part.day, part.points, part.events, part.stands, part.last) for part in parts]
    found = _added_up(*coded(users), *map(np.concatenate, zip(*columns, strict=True)))
    together = joined([part.moments for part in parts])
    return found if together is None else replace(found, moments=together)


def entries(days: Sums, periods: Sequence[str]) -> list[Document]:
    """Fold days, as `daily` or `merge` returns them, into one entry per user and period, for every kind in `periods`.

    A kind is `global`, `day`, `week`, `month` or `year`. A day is active if an action on it still stands. The streak is
    the number of consecutive active days that end on the user's last active day in the period, 0 if it has none; days
    before the period count. `events` is how many actions stand; where the ledger has more events of a period, as it
    does once something was adjusted, `counted` is how many. With moments, `reachedAt` says since when the score is what
    it is. Values are Python's and bson's own types; scores are `clipped`.
    """
    return [entry for each in folded(days, periods) for entry in each.documents()]


def folded(days: Sums, periods: Sequence[str]) -> list[Folded]:
    """The same as columns, for every kind in `periods`."""
    codes, found = coded(days.user)
    owners = list(map(plain_id, found))
    streaks = Streaks(codes, days.day, days.stands > 0)
    numbers = {user: code for code, user in enumerate(found)}
    reached = by_day(days.moments, numbers) if days.moments else None
    return [_folded(kind, days, codes, owners, streaks, reached) for kind in periods]


def _folded(kind: str, days: Sums, codes: Ints, owners: list[Any], streaks: Streaks, reached: Reached | None) -> Folded:
    numbers, labels = numbered(kind, days.day)
    starts = run_starts(codes, numbers)
    return Folded(
        users=owners,
        owner=codes[starts],
        labels=labels,
        label=numbers[starts],
        score=sums(days.points, starts),
        streak=streaks.within(starts),
        stands=np.add.reduceat(days.stands, starts),
        events=np.add.reduceat(days.events, starts),
        # the last day need not hold the newest time: where clocks fall back past midnight, an older day comes again
        last=np.maximum.reduceat(days.last, starts),
        reached=reached.of(starts) if reached else None,
    )


def coded(users: Iterable[Hashable]) -> tuple[Ints, list[Any]]:
    """Give users the numbers 0, 1, 2, … as they first appear: the number of each row, and the user of each number."""
    seen: dict[Hashable, int] = {}
    codes = array("q")
    last, code = object(), -1
    for user in users:
        if user is not last:  # an ObjectId hashes in Python: worth skipping where the same object repeats
            last, code = user, seen.setdefault(user, len(seen))
        codes.append(code)
    return np.asarray(codes), list(seen)


def _whole(points: Sequence[int] | Ints, users: Sequence[Any]) -> Ints:
    """Turn points into int64, or raise LbmigrateError; numpy alone would cut 1.5 to 1 without notice."""
    if isinstance(points, np.ndarray):
        return points.astype(np.int64, casting="safe", copy=False)
    try:
        return np.asarray(array("q", points))
    except (TypeError, OverflowError) as error:
        user, value = next(
            (user, value)
            for user, value in zip(users, points, strict=True)
            if not (isinstance(value, int) and -(2**63) <= value < 2**63)
        )
        raise LbmigrateError(
            f"an event of user {user} has points of {value!r}, which is not a 64-bit integer",
            hint="correct that event in score_events, then type: lbmigrate verify --full",
        ) from error


def _added_up(
    codes: Ints,
    owners: Sequence[Any],
    day: Ints,
    points: Ints,
    events: Ints,
    stands: Ints,
    last: npt.NDArray[np.datetime64],
) -> Sums:
    """Add up the rows of each (user, day), sorted."""
    order, starts = by_user_and_day(codes, day)
    codes = codes[order]
    return Sums(
        user=[owners[code] for code in codes[starts].tolist()],
        day=day[order][starts],
        points=sums(points[order], starts),
        events=np.add.reduceat(events[order], starts),
        stands=np.add.reduceat(stands[order], starts),
        last=np.maximum.reduceat(last[order], starts),
    )


def by_user_and_day(codes: Ints, day: Ints) -> tuple[npt.NDArray[np.intp] | slice, npt.NDArray[np.intp]]:
    """The order of rows by user and day, and where in it each pair begins. Events from an index have that order.

    Numbers and days are below 2**31, so one integer orders both.
    """
    key = codes * 2**32 + day
    order = slice(None) if (key[1:] >= key[:-1]).all() else np.argsort(key, kind="stable")
    return order, run_starts(key[order])


def sums(points: Ints, starts: npt.NDArray[np.intp]) -> Ints:
    """Sum the points of each run exactly; as integers of Python (dtype object) where one would not fit into int64.

    int64 wraps by multiples of 2**64; a float sum of fewer than 2**26 numbers is off by less than 2**62. So the two
    are far apart exactly when the true sum does not fit.
    """
    found: Ints = np.add.reduceat(points, starts)
    if points.dtype == object:
        return found
    wrapped = np.abs(np.add.reduceat(points.astype(np.float64), starts) - found) > 2.0**62
    return sums(points.astype(object), starts) if wrapped.any() else found


class Streaks:
    """How many active days end, without a gap, on each day; rows are sorted by user and day."""

    def __init__(self, codes: Ints, day: Ints, active: npt.NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(active)
        order = np.arange(len(rows))
        starts = run_starts(codes[rows], day[rows] - order)  # over consecutive days, day and order grow together
        self._lengths = np.zeros(len(day), dtype=np.int64)
        self._lengths[rows] = order - np.repeat(starts, np.diff(np.append(starts, len(rows)))) + 1
        self._latest = np.maximum.accumulate(np.where(active, np.arange(len(day)), 0))

    def within(self, starts: npt.NDArray[np.intp]) -> Ints:
        """The streak on the last active day of each run of rows that begins at one of `starts`; 0 if it has none."""
        last = self._latest[np.append(starts, len(self._latest))[1:] - 1]
        return np.where(last >= starts, self._lengths[last], 0)
