"""Entries of users who have clocks of their own, against zoneinfo."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from bson import Int64
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.rules.clocks import Clocks
from lbmigrate.rules.local_days import local_days
from lbmigrate.rules.periods import EPOCH, label
from lbmigrate.rules.ranking import daily, entries, merge
from lbmigrate.schema import PERIODS
from lbmigrate.verify.expected import Ledger
from lbmigrate.verify.zones import Clocks as SecondReading
from tests.apps import USERS, config
from tests.zoned import CHANGES, ZONES, Board, Event, board, day_of

MILLISECOND = dt.timedelta(milliseconds=1)
PEOPLE = ("ada", "bob", "cyd", "dan", "eve")
KINDS = list(PERIODS)
BEGINNINGS = ("00:00", "04:00", "02:30", "23:59")


def moments() -> st.SearchStrategy[dt.datetime]:
    """Times around changes of clocks, to the millisecond, and around the beginnings of days."""
    return st.builds(
        lambda change, minutes, rest: change + minutes * dt.timedelta(minutes=1) + rest * MILLISECOND,
        st.sampled_from(CHANGES),
        st.integers(-2_880, 2_880) | st.sampled_from([0, -1440, 1440, -60, 60, 240, -240]),
        st.integers(-1, 1),
    )


HISTORIES = st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(-5, 50), moments()), min_size=1, max_size=40)
OWN = st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(ZONES))


def written(starts: str) -> dt.timedelta:
    hours, minutes = map(int, starts.split(":"))
    return dt.timedelta(hours=hours, minutes=minutes)


def rolled_up(events: list[Event], clocks: Clocks) -> Board:
    sums = daily([user for user, *_ in events], [points for _, points, _ in events], [at for *_, at in events], clocks)
    return {(e["period"], e["userId"]): (e["score"], e["events"], e["streak"]) for e in entries(sums, KINDS)}


@given(HISTORIES, OWN, st.sampled_from(["UTC", "Africa/Casablanca"]), st.sampled_from(BEGINNINGS))
def test_entries_are_those_of_zoneinfo(events: list[Event], own: dict[Any, str], everybody: str, starts: str) -> None:
    after = written(starts)
    assert rolled_up(events, Clocks(everybody, after // MILLISECOND, own)) == board(events, own, everybody, after)


@given(HISTORIES, OWN, st.sampled_from(BEGINNINGS), st.integers(0, 40))
def test_parts_that_are_merged_are_the_whole(events: list[Event], own: dict[Any, str], starts: str, cut: int) -> None:
    clocks = Clocks("UTC", written(starts) // MILLISECOND, own)
    parts = [
        daily([u for u, *_ in some], [p for _, p, _ in some], [at for *_, at in some], clocks)
        for some in (events[:cut], events[cut:])
    ]
    found = entries(merge(parts), KINDS)
    assert {(e["period"], e["userId"]): (e["score"], e["events"], e["streak"]) for e in found} == rolled_up(
        events, clocks
    )


@given(HISTORIES, OWN, st.sampled_from(["UTC", "Pacific/Apia"]), st.sampled_from(BEGINNINGS))
def test_a_verification_tells_the_same_days_by_a_way_of_its_own(
    events: list[Event], own: dict[Any, str], everybody: str, starts: str
) -> None:
    rules = config(users={**USERS, "timezone": "tz"}, timezone=everybody, day_starts=starts)
    clocks = SecondReading(rules, own)
    for user, _, at in events:
        assert clocks.of(user)(at) == day_of(at, own.get(user, everybody), written(starts))


def test_apia_had_no_30th_of_december_2011_so_a_streak_ends_on_the_29th() -> None:
    times = [dt.datetime(2011, 12, 30, 9), dt.datetime(2011, 12, 30, 11)]  # two hours apart, around the change
    found = rolled_up([("ada", 1, at) for at in times], Clocks("UTC", 0, {"ada": "Pacific/Apia"}))
    assert ("2011-12-29", "ada") in found
    assert ("2011-12-31", "ada") in found
    assert ("2011-12-30", "ada") not in found
    assert found["global", "ada"] == (2, 2, 1)


def test_a_night_out_belongs_to_the_day_before_where_days_begin_at_four() -> None:
    times = [dt.datetime(2025, 11, 3, 22), dt.datetime(2025, 11, 4, 3, 59, 59, 999_000), dt.datetime(2025, 11, 4, 4)]
    found = rolled_up([("ada", 1, at) for at in times], Clocks("UTC", 4 * 3_600_000))
    assert {period: row for (period, _), row in found.items() if len(period) == 10} == {
        "2025-11-03": (2, 2, 1),
        "2025-11-04": (1, 1, 2),
    }


def test_nobody_is_looked_up_who_has_no_clocks_of_their_own() -> None:
    class Unread(list[str]):
        def __iter__(self) -> Any:
            raise AssertionError("users are read")

    times = np.array(["2025-11-04T01:00"], dtype="datetime64[ms]")
    assert Clocks("America/St_Johns").days(Unread(), times).tolist() == [(dt.date(2025, 11, 3) - EPOCH).days]


@pytest.mark.parametrize("zone", ZONES)
def test_a_column_of_one_zone_has_the_days_of_each_of_its_times(zone: str) -> None:
    times = [change + number * dt.timedelta(minutes=7) for change in CHANGES for number in range(-420, 420)]
    days = local_days(np.array(times, dtype="datetime64[ms]"), zone, 4 * 3_600_000)
    assert [label("day", day) for day in days.tolist()] == [
        str(day_of(at, zone, dt.timedelta(hours=4))) for at in times
    ]


def test_the_ledger_of_a_verification_asks_for_the_clocks_of_each_user_in_turn() -> None:
    rules = config(users={**USERS, "timezone": "tz"})
    at = dt.datetime(2025, 11, 3, 20)
    ledger = Ledger(SecondReading(rules, {"ada": "Asia/Kathmandu"}).of)
    ledger.add([{"userId": user, "points": Int64(1), "createdAt": at} for user in ("ada", "bob", "ada")])
    found = dict(ledger.entries(["day"]))
    assert {user: list(days) for user, days in found.items()} == {"ada": ["2025-11-04"], "bob": ["2025-11-03"]}
