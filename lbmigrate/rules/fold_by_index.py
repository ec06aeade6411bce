"""Events that came to others: which entries of their users they change, told from the times of all of them. Pure.

Of every event no more is asked than whose it is and when it was: each of them stands, so a day with one is active.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lbmigrate.rules.numbered import Ints, numbered
from lbmigrate.rules.ranking import Streaks, Sums, by_user_and_day, sums
from lbmigrate.rules.reached import run_starts

Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many events each user has on each day, and the newest time of these: sorted by user, a number, and day."""

    codes: Ints
    day: Ints
    events: Ints
    last: Times

    def __len__(self) -> int:
        return len(self.codes)


def counted(codes: Ints, day: Ints, times: Times) -> Counted:
    """That of single events, the columns of which run in step."""
    return _added_up(codes, day, np.ones(len(codes), dtype=np.int64), times)


def together(parts: Sequence[Counted]) -> Counted:
    """The sum of parts that may share users and days."""
    columns = [(part.codes, part.day, part.events, part.last) for part in parts]
    return _added_up(*map(np.concatenate, zip(*columns, strict=True))) if len(parts) != 1 else parts[0]


def _added_up(codes: Ints, day: Ints, events: Ints, last: Times) -> Counted:
    order, starts = by_user_and_day(codes, day)
    numbers, newest = np.add.reduceat(events[order], starts), np.maximum.reduceat(last[order], starts)
    return Counted(codes[order][starts], day[order][starts], numbers, newest)


@dataclass(frozen=True, slots=True)
class Share:
    """What the ledger says of a user's period in which events are new.

    It has so many `events`, of which `added` are new, with so many `points` together; `last` is the newest time.
    """

    user: Any
    period: str
    events: int
    added: int
    points: int
    streak: int
    last: dt.datetime


@dataclass(frozen=True, slots=True)
class Shares:
    """Those of some users; of those in `beyond` another entry changes as well, or an event was not found."""

    rows: list[Share]
    beyond: set[Any]


def shares(whole: Counted, owners: list[Any], added: Sums, periods: Sequence[str]) -> Shares:
    """What the events of `added` change, where `whole` has all that the ledger has of the `owners`, those among them.

    A day that becomes active may make the streaks longer of periods that come after it.
    """
    codes = whole.codes
    places, absent = _places(codes, owners, whole.day, added)
    number, points = np.zeros(len(whole), dtype=np.int64), np.zeros(len(whole), dtype=added.points.dtype)
    number[places], points[places] = added.events[~absent], added.points[~absent]
    before, after = (Streaks(codes, whole.day, active) for active in (whole.events > number, whole.events > 0))
    rows: list[Share] = []
    beyond = {added.user[row] for row in np.flatnonzero(absent).tolist()}
    for kind in periods:
        order, labels = numbered(kind, whole.day)
        starts = run_starts(codes, order)
        new, streaks = np.add.reduceat(number, starts) if len(starts) else number, after.within(starts)
        longer = (new == 0) & (streaks != before.within(starts))
        beyond |= {owners[code] for code in codes[starts[longer]].tolist()}
        columns = (codes[starts], order[starts], *_summed(whole, starts), new, sums(points, starts), streaks)
        rows += _rows(owners, labels, columns, np.flatnonzero(new))
    return Shares(rows, beyond)


def _places(codes: Ints, owners: list[Any], day: Ints, added: Sums) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The rows of `whole` for those of `added`, and which of these have none."""
    numbers = {user: code for code, user in enumerate(owners)}
    theirs = np.array([numbers.get(user, len(owners)) for user in added.user], dtype=np.int64)
    keys, asked = codes * 2**32 + day, theirs * 2**32 + added.day
    places = np.searchsorted(keys, asked)
    absent = np.append(keys, -1)[places] != asked
    return places[~absent], absent


def _summed(whole: Counted, starts: npt.NDArray[np.intp]) -> tuple[Ints, Times]:
    return np.add.reduceat(whole.events, starts), np.maximum.reduceat(whole.last, starts)


def _rows(
    owners: list[Any], labels: list[str], columns: tuple[npt.NDArray[Any], ...], chosen: npt.NDArray[np.intp]
) -> Iterator[Share]:
    for code, label, events, last, new, points, streak in zip(*(c[chosen].tolist() for c in columns), strict=True):
        yield Share(owners[code], labels[label], events, new, points, streak, last)


def simultaneous(codes: Ints, times: Times) -> set[int]:
    """The numbers of the users who have several of these events at one moment."""
    moments = times.astype(np.int64)
    same = codes[1:] == codes[:-1]
    if ((codes[1:] < codes[:-1]) | (same & (moments[1:] < moments[:-1]))).any():  # not as an index has them
        order = np.lexsort((moments, codes))
        codes, moments = codes[order], moments[order]
        same = codes[1:] == codes[:-1]
    return set(codes[1:][same & (moments[1:] == moments[:-1])].tolist())
