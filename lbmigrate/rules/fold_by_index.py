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
from lbmigrate.rules.ranking import Streaks, Sums, coded, sums
from lbmigrate.rules.reached import run_starts


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


def shares(whole: Sums, added: Sums, periods: Sequence[str]) -> Shares:
    """What the events of `added` change, where `whole` has all that the ledger has, those among them.

    A day that becomes active may make the streaks longer of periods that come after it.
    """
    codes, owners = coded(whole.user)
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


def _summed(whole: Sums, starts: npt.NDArray[np.intp]) -> tuple[Ints, npt.NDArray[np.datetime64]]:
    return np.add.reduceat(whole.events, starts), np.maximum.reduceat(whole.last, starts)


def _rows(
    owners: list[Any], labels: list[str], columns: tuple[npt.NDArray[Any], ...], chosen: npt.NDArray[np.intp]
) -> Iterator[Share]:
    for code, label, events, last, new, points, streak in zip(*(c[chosen].tolist() for c in columns), strict=True):
        yield Share(owners[code], labels[label], events, new, points, streak, last)


def simultaneous(codes: Ints, times: npt.NDArray[np.datetime64]) -> set[int]:
    """The numbers of the users who have several of these events at one moment."""
    moments = times.astype(np.int64)
    order = np.lexsort((moments, codes))
    codes, moments = codes[order], moments[order]
    same = (codes[1:] == codes[:-1]) & (moments[1:] == moments[:-1])
    return set(codes[1:][same].tolist())
