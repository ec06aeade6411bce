"""Since when a score is what it is: as a plain loop over the score's own history says, however the events are cut."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

from bson import Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate.rules.ranking import daily, entries, merge
from lbmigrate.verify.expected import Ledger
from tests.unit.rules.test_ranking import KINDS, ZONES, Event, local_date, naive_labels

NOON = dt.datetime(2025, 3, 30, 12)
HOURS = st.integers(0, 100).map(lambda hours: NOON + dt.timedelta(hours=hours))
HISTORIES = st.lists(
    st.tuples(st.sampled_from(["ada", "bob"]), st.sampled_from([10, 5, 0, -5, -10]), HOURS), max_size=30
)
CUTS = st.lists(st.integers(0, 30), max_size=3)


def of_history(theirs: list[Event]) -> dt.datetime:
    """Since when the sum of all points up to a moment is what it is in the end; the first moment if it always was."""
    moments = sorted({at for *_, at in theirs})
    sums = {moment: sum(points for _, points, at in theirs if at <= moment) for moment in moments}
    end, since = sums[moments[-1]], moments[-1]
    for moment in reversed(moments):
        before = sum(points for _, points, at in theirs if at < moment)
        if before != end:
            return moment
        since = moment
    return since


def by_hand(events: list[Event], zone: str) -> dict[tuple[Any, str], dt.datetime]:
    found: dict[tuple[Any, str], list[Event]] = {}
    for event in events:
        for label in naive_labels(local_date(event[2], zone)).values():
            found.setdefault((event[0], label), []).append(event)
    return {key: of_history(theirs) for key, theirs in found.items()}


def rolled(events: list[Event], zone: str) -> Any:
    return daily([e[0] for e in events], [e[1] for e in events], [e[2] for e in events], zone, None, True)


@settings(max_examples=20)
@given(HISTORIES, st.sampled_from(ZONES), CUTS)
def test_it_is_that_of_the_scores_own_history_however_the_events_are_cut(
    events: list[Event], zone: str, cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts), len(events)]
    parts = [rolled(events[low:high], zone) for low, high in pairwise(edges)]
    wanted = by_hand(events, zone)
    for days in (rolled(events, zone), merge(parts)):
        assert {(e["userId"], e["period"]): e["reachedAt"] for e in entries(days, KINDS)} == wanted


@settings(max_examples=20)
@given(HISTORIES, st.sampled_from(ZONES))
def test_the_second_reading_says_the_same(events: list[Event], zone: str) -> None:
    ledger = Ledger(lambda _: lambda at: local_date(at, zone), moments=True)
    ledger.add({"userId": user, "points": Int64(points), "createdAt": at} for user, points, at in events)
    found = {(user, period): e.since for user, theirs in ledger.entries(KINDS) for period, e in theirs.items()}
    assert found == by_hand(events, zone)


def test_without_being_asked_nothing_says_since_when() -> None:
    days = daily(["ada"], [10], [NOON], "UTC")
    assert days.moments is None
    assert "reachedAt" not in entries(days, ["global"])[0]
    assert merge([days, rolled([("ada", 10, NOON)], "UTC")]).moments is None


def test_points_that_do_not_fit_into_64_bits_together_still_reach_something() -> None:
    most = 2**62
    events: list[Event] = [("ada", 1, NOON), *[("ada", most, NOON + dt.timedelta(hours=1))] * 4]
    assert entries(rolled(events, "UTC"), ["global"])[0]["reachedAt"] == NOON + dt.timedelta(hours=1)
