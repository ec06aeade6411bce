"""Ranking against a plain loop over datetime, zoneinfo and Python's own integers, which shares no code with it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from bson import ObjectId
from bson.int64 import Int64
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate.errors import LbmigrateError
from lbmigrate.rules.periods import kind_of, label
from lbmigrate.rules.ranking import Sums, daily, entries, merge

EPOCH = dt.datetime(1970, 1, 1)
KINDS = ("global", "day", "week", "month", "year")
ZONES = (
    "UTC",
    "Pacific/Kiritimati",  # +14
    "Etc/GMT+12",  # -12
    "Etc/GMT-14",
    "Pacific/Apia",  # has no 2011-12-30
    "America/Sao_Paulo",  # changed its clocks at midnight
    "America/St_Johns",  # fell back past midnight, at 00:01
    "Europe/Paris",
    "Australia/Lord_Howe",  # moves by 30 minutes
    "Asia/Kathmandu",
)
EDGES = (
    dt.datetime(1900, 1, 1),
    dt.datetime(1970, 1, 1),
    dt.datetime(2006, 10, 29, 2, 31),  # St John's falls back to the day before
    dt.datetime(2011, 12, 30, 10),  # Apia jumps over the date line
    dt.datetime(2018, 2, 18, 2),  # Sao Paulo falls back at midnight
    dt.datetime(2018, 11, 4, 3),  # and springs forward, so that the day starts at 01:00
    dt.datetime(2020, 12, 31),  # 2020-W53
    dt.datetime(2021, 1, 3, 23),  # 2020-W53 still
    dt.datetime(2024, 3, 31, 1),
    dt.datetime(2024, 4, 6, 15),
    dt.datetime(2024, 12, 30),  # 2025-W01 already
    dt.datetime(2199, 12, 31),
)
USERS: st.SearchStrategy[list[Any]] = st.sampled_from(
    [
        [ObjectId(f"{n:024x}") for n in (3, 1, 2)],
        ["ada", "Zoë", ""],
        [2**62, -1, 0],
        [uuid.UUID(int=n) for n in (9, 8, 7)],
    ]
)
NEAR = st.builds(lambda edge, ms: edge + dt.timedelta(milliseconds=ms), st.sampled_from(EDGES),
                 st.integers(-4 * 86_400_000, 4 * 86_400_000))  # fmt: skip
AT_THE_EDGE = st.builds(lambda edge, ms: edge + dt.timedelta(milliseconds=ms), st.sampled_from(EDGES),
                        st.integers(-2, 2))  # fmt: skip
ANYWHERE = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
TIMES = NEAR | AT_THE_EDGE | ANYWHERE
POINTS = st.integers(-100, 100) | st.integers(-(2**57), 2**57)
Event = tuple[Any, int, dt.datetime]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    users = draw(USERS)
    return draw(st.lists(st.tuples(st.sampled_from(users), POINTS, TIMES), max_size=40))


def local_date(at: dt.datetime, zone: str) -> dt.date:
    return at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)).date()


def period(kind: str, at: dt.datetime, zone: str) -> str:
    (entry,) = entries(daily(["ada"], [1], [at], zone), [kind])
    return str(entry["period"])


def naive_labels(date: dt.date) -> dict[str, str]:
    iso = date.isocalendar()
    return {
        "global": "global",
        "day": date.isoformat(),
        "week": f"{iso.year}-W{iso.week:02d}",
        "month": f"{date.year}-{date.month:02d}",
        "year": f"{date.year}",
    }


def naive_entries(events: list[Event], zone: str, kinds: tuple[str, ...] = KINDS) -> dict[str, dict[str, Any]]:
    active: dict[Any, set[dt.date]] = {}
    found: dict[str, list[tuple[Any, str, int, dt.datetime, dt.date]]] = {}
    for user, points, at in events:
        date = local_date(at, zone)
        active.setdefault(user, set()).add(date)
        for kind in kinds:
            period = naive_labels(date)[kind]
            found.setdefault(f"{period}:{user}", []).append((user, period, points, at, date))
    board = {}
    for key, rows in found.items():
        user, period = rows[0][:2]
        streak, day = 0, max(row[4] for row in rows)
        while day in active[user]:
            streak, day = streak + 1, day - dt.timedelta(days=1)
        board[key] = {
            "_id": key,
            "userId": user,
            "period": period,
            "score": sum(row[2] for row in rows),
            "streak": streak,
            "events": len(rows),
            "lastEventAt": max(row[3] for row in rows),
        }
    return board


def days_of(events: list[Event], zone: str) -> Sums:
    return daily([user for user, _, _ in events], [points for _, points, _ in events], [at for *_, at in events], zone)


def frame(days: Sums) -> pd.DataFrame:
    columns = {name: column for name, column in asdict(days).items() if name != "moments"}
    return pd.DataFrame({**columns, "user": pd.Series(days.user, dtype=object)})


def board_of(days: Sums) -> dict[str, dict[str, Any]]:
    listed = entries(days, KINDS)
    board = {entry["_id"]: entry for entry in listed}
    assert len(board) == len(listed)
    return board


def one_user(*dates: str) -> list[Event]:
    return [("ada", 1, dt.datetime.fromisoformat(date)) for date in dates]


@given(histories(), st.sampled_from(ZONES))
def test_entries_are_those_of_a_plain_loop(events: list[Event], zone: str) -> None:
    assert board_of(days_of(events, zone)) == naive_entries(events, zone)


@given(histories(), st.sampled_from(ZONES))
def test_days_are_those_of_a_plain_loop(events: list[Event], zone: str) -> None:
    expected: dict[tuple[Any, int], tuple[int, int, dt.datetime]] = {}
    for user, points, at in events:
        key = user, (local_date(at, zone) - dt.date(1970, 1, 1)).days
        total, count, last = expected.get(key, (0, 0, at))
        expected[key] = total + points, count + 1, max(last, at)
    rows = {(row.user, row.day): (row.points, row.events, row.last.to_pydatetime())
            for row in frame(days_of(events, zone)).itertuples()}  # fmt: skip
    assert rows == expected


@given(histories(), st.sampled_from(ZONES), st.randoms(use_true_random=False))
def test_shuffling_the_events_changes_no_entry(events: list[Event], zone: str, random: Any) -> None:
    shuffled = random.sample(events, len(events))
    assert board_of(days_of(shuffled, zone)) == board_of(days_of(events, zone))


@given(histories(), st.sampled_from(ZONES), st.lists(st.integers(0, 40), max_size=4))
def test_merged_parts_equal_the_whole(events: list[Event], zone: str, cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(events)]
    parts = [days_of(events[low:high], zone) for low, high in pairwise(bounds)]
    pd.testing.assert_frame_equal(frame(merge(parts)), frame(days_of(events, zone)))


@given(TIMES, st.sampled_from(ZONES), st.sampled_from(KINDS))
def test_a_label_is_the_period_of_the_entry_that_an_event_at_that_instant_makes(
    at: dt.datetime, zone: str, kind: str
) -> None:
    day = (local_date(at, zone) - dt.date(1970, 1, 1)).days
    assert label(kind, day) == period(kind, at, zone) == naive_labels(local_date(at, zone))[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_year_of_three_digits_is_written_with_four(kind: str) -> None:
    date = dt.date(987, 6, 5)
    written = {"global": "global", "day": "0987-06-05", "week": "0987-W23", "month": "0987-06", "year": "0987"}
    assert label(kind, (date - dt.date(1970, 1, 1)).days) == written[kind]


@given(st.dates(), st.sampled_from(KINDS))
def test_the_kind_of_a_period_is_told_from_its_label(date: dt.date, kind: str) -> None:
    assert kind_of(label(kind, (date - dt.date(1970, 1, 1)).days)) == kind


@pytest.mark.parametrize("name", ["", "2025-W4", "2025-1", "25", "2025-11-04-01", "GLOBAL", "week", "2025-W44\n"])
def test_what_is_no_label_is_of_no_kind(name: str) -> None:
    assert kind_of(name) == "unknown"


def test_the_owners_of_days_are_named_once_each_in_order() -> None:
    noon = dt.datetime(2025, 11, 3, 12)
    days = daily(["bob", "ada", "bob"], [1, 2, 3], [noon, noon, noon + dt.timedelta(days=1)], "UTC")
    assert days.owners() == ["bob", "ada"]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ZONES), st.dates(dt.date(1902, 1, 1), dt.date(2198, 1, 1)))
def test_an_event_every_hour_of_two_years_lands_on_its_own_local_day(zone: str, start: dt.date) -> None:
    first = dt.datetime.combine(start, dt.time())
    times = [first + dt.timedelta(hours=hour, milliseconds=hour % 3 - 1) for hour in range(2 * 366 * 24)]
    found = daily(["ada"] * len(times), [1] * len(times), times, zone)
    expected = Counter((local_date(at, zone) - dt.date(1970, 1, 1)).days for at in times)
    assert list(zip(found.day, found.events, strict=True)) == sorted(expected.items())


@pytest.mark.parametrize(
    ("at", "week"),
    [
        ("2020-12-31", "2020-W53"),
        ("2021-01-03T23:59:59.999", "2020-W53"),
        ("2021-01-04", "2021-W01"),
        ("2024-12-29", "2024-W52"),
        ("2024-12-30", "2025-W01"),
        ("2025-10-27", "2025-W44"),
        ("1969-12-29", "1970-W01"),
        ("1969-12-28", "1969-W52"),
    ],
)
def test_a_week_belongs_to_the_year_of_its_thursday(at: str, week: str) -> None:
    assert period("week", dt.datetime.fromisoformat(at), "UTC") == week


def test_the_time_zone_decides_the_day() -> None:
    at = dt.datetime(2025, 12, 31, 11)
    assert period("day", at, "Pacific/Kiritimati") == "2026-01-01"
    assert period("year", at, "Etc/GMT+12") == "2025"
    assert period("day", at, "Etc/GMT+12") == "2025-12-30"


def test_a_streak_counts_the_days_before_its_period() -> None:
    days = days_of(one_user("2025-10-24", "2025-10-25", "2025-10-26", "2025-10-27"), "UTC")
    streaks = {entry["period"]: entry["streak"] for entry in entries(days, ["global", "week"])}
    assert streaks == {"global": 4, "2025-W43": 3, "2025-W44": 4}


def test_a_streak_ends_on_the_last_active_day_and_a_gap_breaks_it() -> None:
    days = days_of(one_user("2025-11-07", "2025-11-03", "2025-11-06", "2025-11-04"), "UTC")
    assert entries(days, ["week"])[0]["streak"] == 2


def test_a_streak_does_not_run_from_one_user_into_the_next() -> None:
    times = [dt.datetime(2025, 11, 3), dt.datetime(2025, 11, 4)]
    streaks = [entry["streak"] for entry in entries(daily(["ada", "bob"], [1, 1], times, "UTC"), ["global"])]
    assert streaks == [1, 1]


def standing(*rows: tuple[str, int]) -> list[dict[str, Any]]:
    """The entries of one user with events on these days that stand, or take back what stood."""
    times = [dt.datetime.fromisoformat(day) for day, _ in rows]
    return entries(daily(["ada"] * len(rows), [1] * len(rows), times, "UTC", [s for _, s in rows]), ["global", "week"])


def test_a_day_on_which_nothing_stands_any_more_breaks_a_streak() -> None:
    days = [(f"2025-11-0{day}", 1) for day in (3, 4, 5, 6)]
    assert standing(*days)[0]["streak"] == 4
    assert standing(*days, ("2025-11-04", -1))[0]["streak"] == 2
    assert standing(*days, ("2025-11-04", -1), ("2025-11-04", 1))[0]["streak"] == 4
    assert standing(*days, ("2025-11-04", 1), ("2025-11-04", -1))[0]["streak"] == 4


def test_a_streak_ends_on_the_last_day_on_which_something_stands() -> None:
    taken_back = [("2025-11-03", 1), ("2025-11-04", 1), ("2025-11-05", 1), ("2025-11-05", -1)]
    assert standing(*taken_back)[0]["streak"] == 2


def test_a_period_in_which_nothing_stands_has_no_streak_but_the_one_before_keeps_its_own() -> None:
    days = [("2025-11-01", 1), ("2025-11-02", 1), ("2025-11-03", 1), ("2025-11-03", -1)]
    assert {entry["period"]: entry["streak"] for entry in standing(*days)} == {
        "global": 2, "2025-W44": 2, "2025-W45": 0,
    }  # fmt: skip


@given(histories(), st.sampled_from(ZONES), st.data())
def test_streaks_are_those_of_the_events_that_stand(events: list[Event], zone: str, data: st.DataObject) -> None:
    gone = [event for event in events if data.draw(st.booleans())]
    whole = [*events, *gone]
    users, points, times = ([event[field] for event in whole] for field in range(3))
    days = daily(users, points, times, zone, [1] * len(events) + [-1] * len(gone))
    left = list(events)
    for event in gone:
        left.remove(event)
    expected = {key: entry["streak"] for key, entry in naive_entries(left, zone).items()}
    streaks = {key: entry["streak"] for key, entry in board_of(days).items()}
    ended = {key for key in streaks.keys() - expected.keys() if not key.startswith("global")}
    assert {key: streak for key, streak in streaks.items() if key in expected} == expected
    assert all(streaks[key] == 0 for key in ended)


def test_the_day_that_a_zone_skipped_breaks_a_streak_as_any_day_without_events() -> None:
    # Apia went from 2011-12-29 to 2011-12-31
    times = [dt.datetime(2011, 12, 30, 9), dt.datetime(2011, 12, 30, 11)]
    days = daily(["ada", "ada"], [1, 1], times, "Pacific/Apia")
    assert days.day[1] - days.day[0] == 2
    assert entries(days, ["global"])[0]["streak"] == 1


def test_the_newest_time_is_kept_where_clocks_fall_back_past_midnight() -> None:
    # at 00:01 on 2006-10-29 St John's went back to 23:01 of the day before: the later instant has the earlier day
    times = [dt.datetime(2006, 10, 29, 2, 30, 30), dt.datetime(2006, 10, 29, 2, 31, 30)]
    days = daily(["ada", "ada"], [1, 1], times, "America/St_Johns")
    assert len(days) == 2
    assert entries(days, ["global"])[0]["lastEventAt"] == times[1]


@pytest.mark.parametrize("user", [ObjectId(), "ada", 7, uuid.uuid4()])
def test_entries_hold_only_types_that_bson_knows(user: Any) -> None:
    at = dt.datetime(2025, 11, 4, 12, 30, 15, 123_000)
    for entry in entries(daily([user, user], [3, 4], [at, at], "UTC"), KINDS):
        assert {name: type(value) for name, value in entry.items()} == {
            "_id": str, "userId": type(user), "period": str, "score": Int64, "streak": int, "events": Int64,
            "lastEventAt": dt.datetime,
        }  # fmt: skip
        assert entry["_id"] == f"{entry['period']}:{user}"
        assert entry["lastEventAt"] == at


def test_nothing_makes_nothing() -> None:
    nothing = daily([], [], [], "Europe/Paris")
    assert frame(nothing).dtypes.astype(str).to_dict() == {
        "user": "object", "day": "int64", "points": "int64", "events": "int64", "stands": "int64",
        "last": "datetime64[ms]",
    }  # fmt: skip
    pd.testing.assert_frame_equal(frame(merge([])), frame(nothing))
    assert entries(nothing, KINDS) == []


def test_sums_have_the_same_types_whoever_made_them() -> None:
    day = days_of(one_user("2025-11-04"), "UTC")
    expected = frame(daily([], [], [], "UTC")).dtypes.to_dict()
    assert frame(day).dtypes.to_dict() == frame(merge([day, day])).dtypes.to_dict() == expected


def test_a_sum_that_just_fits_is_exact() -> None:
    at = dt.datetime(2025, 11, 4)
    (entry,) = entries(daily(["ada"] * 4, [2**63 - 1, 1, -5, 4], [at] * 4, "UTC"), ["global"])
    assert entry["score"] == 2**63 - 1


@pytest.mark.parametrize(
    ("points", "score"),
    [
        ([2**63 - 1, 1], 2**63 - 1),
        ([-(2**63), -1], -(2**63) + 1),
        ([2**63 - 1, 2**63 - 1, 2], 2**63 - 1),
        ([2**63 - 1, 7, -8], 2**63 - 2),
    ],
)
def test_a_day_too_large_for_int64_is_the_largest_score_that_there_is(points: list[int], score: int) -> None:
    made = entries(daily(["bob", *["ada"] * len(points)], [1, *points], [EPOCH] * (len(points) + 1), "UTC"), ["day"])
    assert {entry["userId"]: entry["score"] for entry in made} == {"bob": 1, "ada": score}


def test_a_period_too_large_for_int64_is_the_largest_score_that_there_is() -> None:
    times = [dt.datetime(2025, 11, 3), dt.datetime(2025, 11, 4), dt.datetime(2025, 11, 4)]
    days = daily(["ada", "ada", "bob"], [2**62, 2**62, 2**62], times, "UTC")
    assert [entry["score"] for entry in entries(days, ["day"])] == [2**62] * 3
    assert [entry["score"] for entry in entries(days, ["week"])] == [2**63 - 1, 2**62]
    assert [entry["score"] for entry in entries(merge([days, days]), ["day"])] == [2**63 - 1] * 3


@pytest.mark.parametrize("value", [1.5, 2.0, 2**63, "3", None])
def test_points_that_are_no_int64_are_refused_and_name_the_user(value: Any) -> None:
    at = dt.datetime(2025, 11, 4)
    with pytest.raises(LbmigrateError, match="user ada"):
        daily(["bob", "ada"], [1, value], [at, at], "UTC")


def test_the_first_number_of_points_that_is_no_int64_is_the_one_that_is_told() -> None:
    points = [2**63 - 1, -(2**63), 7, -(2**63) - 1, 2**63]
    with pytest.raises(LbmigrateError, match=f"event of user u3 has points of {points[3]}, which is not") as refused:
        daily([f"u{number}" for number in range(5)], points, [EPOCH] * 5, "UTC")
    assert refused.value.hint == "correct that event in score_events, then type: lbmigrate verify --full"


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1), st.integers(0, 2**11))
def test_a_sum_that_passes_the_limit_on_the_way_and_comes_back_is_exact(points: list[int], times: int) -> None:
    high = [2**53] * times
    days = [daily(["ada"] * len(part), part, [EPOCH] * len(part), "UTC") for part in (high, points, [-n for n in high])]
    (entry,) = entries(merge([day for day in days if len(day)]), ["global"])
    assert entry["score"] == sum(points)


def test_sums_beyond_what_a_float_can_tell_are_exact() -> None:
    assert daily(["ada"] * 2, [2**62, 300], [EPOCH] * 2, "UTC").points.tolist() == [2**62 + 300]


def test_arrays_are_added_up_like_lists() -> None:
    columns = ["ada", "bob", "ada"], [1, 2, 3], [EPOCH] * 3
    points, times = np.array([1, 2, 3], dtype=np.int32), np.array(columns[2], dtype="datetime64[ms]")
    found, wanted = daily(columns[0], points, times, "UTC"), daily(*columns, "UTC")
    assert found.points.dtype == wanted.points.dtype == np.int64
    assert [found.user, found.points.tolist(), found.day.tolist()] == [
        wanted.user, wanted.points.tolist(), wanted.day.tolist(),
    ]  # fmt: skip
    with pytest.raises(TypeError):
        daily(["ada"], np.array([1.5]), times[:1], "UTC")  # type: ignore[arg-type]
