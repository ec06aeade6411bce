from __future__ import annotations

import datetime as dt
import signal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.cli import options
from lbmigrate.errors import Stopped, UsageError, WorkRemains
from lbmigrate.run.stop import Limits, Stop, Window
from tests.apps import config

UTC = ZoneInfo("UTC")
times = st.times()


def at(words: str) -> dt.datetime:
    return dt.datetime.fromisoformat(words).replace(tzinfo=dt.UTC)


class Time:
    """A clock that only moves when somebody sleeps, or when a test says so."""

    def __init__(self) -> None:
        self.seconds, self.naps = 1_000.0, []

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.seconds += seconds

    def now(self) -> dt.datetime:
        return at("2026-03-01T00:00") + dt.timedelta(seconds=self.seconds - 1_000)

    def stop(self, **limits: Any) -> Stop:
        return Stop(Limits(**limits), lambda: self.seconds, self.now, self.sleep)


# --- windows -----------------------------------------------------------------------------------------------------


@given(start=times, end=times, moment=times)
def test_a_window_and_the_rest_of_the_day_share_no_moment_and_leave_none_out(start, end, moment):
    if start == end:
        return
    now = dt.datetime.combine(dt.date(2026, 3, 1), moment, dt.UTC)
    assert Window(start, end, UTC).holds(now) is not Window(end, start, UTC).holds(now)


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("01:00-05:00", ["01:00", "04:59:59"], ["05:00", "00:59:59", "23:00"]),
        ("22:00-04:00", ["22:00", "23:59", "00:00", "03:59:59"], ["04:00", "21:59:59", "12:00"]),
    ],
)
def test_a_window_holds_its_start_and_not_its_end(window, inside, outside):
    start, end = map(dt.time.fromisoformat, window.split("-"))
    held = Window(start, end, UTC)
    assert all(held.holds(at(f"2026-03-01T{moment}")) for moment in inside)
    assert not any(held.holds(at(f"2026-03-01T{moment}")) for moment in outside)


def test_a_window_is_in_its_own_zone_also_when_the_clocks_change():
    night = Window(dt.time(1), dt.time(5), ZoneInfo("Europe/Berlin"))
    assert night.holds(at("2026-01-15T00:30"))
    assert not night.holds(at("2026-01-15T04:30"))
    assert night.holds(at("2026-07-14T23:30"))
    assert not night.holds(at("2026-07-14T03:30"))


@pytest.mark.parametrize("words", ["1-5", "01:00", "01:00-01:00", "25:00-26:00", "", "01:00-05:00-06:00"])
def test_a_window_that_is_none_is_told_with_an_example(words):
    with pytest.raises(UsageError, match="--between") as caught:
        options.limits(config(), None, None, words or " ")
    assert "01:00-05:00" in caught.value.hint


def test_a_window_is_in_the_configured_zone():
    limits = options.limits(config(timezone="Asia/Tokyo"), "30m", 500, "01:00-05:00")
    assert (limits.seconds, limits.documents) == (1800.0, 500)
    assert limits.window is not None
    assert limits.window.holds(at("2026-03-01T16:30"))  # half past one the next day there


# --- stopping ----------------------------------------------------------------------------------------------------


def test_a_brake_that_nobody_pressed_and_no_limit_reached_lets_go_on():
    stop = Time().stop(seconds=60, documents=10)
    stop.count(9)
    assert not stop.asked()
    stop.raise_if_asked("lbmigrate run")


@pytest.mark.parametrize(
    ("limits", "reach", "told"),
    [
        ({"seconds": 60.0}, lambda time, _: time.sleep(60), "ran for 60 s"),
        ({"documents": 1_000}, lambda _, stop: stop.count(1_000), "read 1,000 documents"),
        (
            {"window": Window(dt.time(0), dt.time(5), UTC)},
            lambda time, _: time.sleep(5 * 3600),
            r"outside the hours 00:00-05:00 \(UTC\)",
        ),
    ],
    ids=["time", "documents", "hours"],
)
def test_a_limit_that_is_reached_stops_with_work_left_and_the_command_that_goes_on(limits, reach, told):
    time = Time()
    stop = time.stop(**limits)
    reach(time, stop)
    assert stop.asked()
    with pytest.raises(WorkRemains, match=told) as caught:
        stop.raise_if_asked("lbmigrate run --max-runtime 60")
    assert (caught.value.exit_code, caught.value.hint) == (3, "lbmigrate run --max-runtime 60")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_with_its_own_exit_code_and_the_command_that_goes_on(number, code):
    stop = Time().stop(documents=1)
    stop.count(1)
    stop.request(number)
    with pytest.raises(Stopped, match=number.name) as caught:
        stop.raise_if_asked("lbmigrate run")
    assert (caught.value.exit_code, caught.value.hint) == (code, "lbmigrate run")


# --- waiting -----------------------------------------------------------------------------------------------------


def test_a_wait_lasts_as_long_as_asked_for_in_short_naps():
    time = Time()
    time.stop().wait(1.5)
    assert time.seconds == pytest.approx(1_001.5)
    assert max(time.naps) <= 0.2


def test_a_wait_ends_within_one_nap_of_a_signal():
    time = Time()
    stop = time.stop()
    stop._sleep = lambda seconds: (time.sleep(seconds), stop.request(signal.SIGTERM))
    stop.wait(3600)
    assert time.naps == [0.2]


def test_a_wait_ends_when_a_limit_is_reached():
    time = Time()
    time.stop(seconds=1.0).wait(3600)
    assert time.seconds == pytest.approx(1_001.0, abs=0.2)
