"""The roll-up and the verification find local days by ways of their own, and both as zoneinfo has them."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.records import EARLIEST, LATEST
from lbmigrate.rules.local_days import local_days
from lbmigrate.verify.local_time import changes, period_label
from lbmigrate.verify.values import local_day

ZONES = (
    "America/Mexico_City", "America/Chihuahua", "America/Ciudad_Juarez", "America/Ojinaga", "America/Nuuk",
    "Asia/Amman", "Asia/Damascus", "Asia/Tehran", "Asia/Almaty", "Asia/Gaza", "Asia/Kathmandu", "Asia/Kolkata",
    "Europe/Kyiv", "Europe/Paris", "Europe/Dublin", "Africa/Casablanca", "Africa/Monrovia", "Africa/Freetown",
    "America/St_Johns", "America/Caracas", "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia",
    "Pacific/Kiritimati", "Pacific/Chatham", "Etc/GMT+12", "UTC",
)  # fmt: skip
MILLISECOND = dt.timedelta(milliseconds=1)
ANYWHERE = st.integers(0, (LATEST - EARLIEST) // MILLISECOND - 1).map(lambda number: EARLIEST + number * MILLISECOND)


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, list[dt.datetime]]:
    """A zone, and times that an event may have: anywhere, and around the moments at which its clocks change."""
    zone = draw(st.sampled_from(ZONES))
    near = st.builds(
        lambda change, minutes, rest: change[0] + minutes * dt.timedelta(minutes=1) + rest * MILLISECOND,
        st.sampled_from(changes(zone)),
        st.integers(-90, 90) | st.sampled_from([-1440, 0, 1440]),
        st.integers(-1, 1),
    ).filter(lambda at: EARLIEST <= at < LATEST)
    return zone, draw(st.lists(ANYWHERE | near, min_size=1, max_size=40))


def local(at: dt.datetime, zone: str) -> dt.datetime:
    return at.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def computed(expression: Any, at: dt.datetime) -> Any:
    """What a server makes of such an expression where the date is `at`."""
    match expression:
        case "$createdAt":
            return at
        case {"$cond": [{"$lt": [path, edge]}, earlier, later]}:
            return computed(earlier if computed(path, at) < edge else later, at)
        case {"$add": [date, milliseconds]}:
            return computed(date, at) + computed(milliseconds, at) * MILLISECOND
        case {"$dateToString": {"date": date, "format": format_}}:
            return computed(date, at).strftime(format_)
    assert type(expression) is int
    return expression


@given(moments(), st.sampled_from([0, 4 * 60, 23 * 60 + 59]))
def test_days_that_begin_after_midnight_are_those_of_zoneinfo(drawn: tuple[str, list[dt.datetime]], after: int) -> None:
    zone, times = drawn
    starts = dt.timedelta(minutes=after)
    label, day = period_label("$createdAt", "%Y-%m-%d", zone, starts), local_day(zone, starts)
    days = local_days(np.array(times, dtype="datetime64[ms]"), zone, after * 60_000)
    for at, found in zip(times, days.tolist(), strict=True):
        expected = (local(at, zone) - starts).date()
        assert day(at) == dt.date(1970, 1, 1) + dt.timedelta(days=found) == expected
        assert computed(label, at) == f"{expected:%Y-%m-%d}"


@pytest.mark.slow
@given(moments())
def test_the_roll_up_and_the_verification_find_the_local_days_that_zoneinfo_has(given: Any) -> None:
    zone, times = given
    expected = [local(at, zone).date().isoformat() for at in times]
    days = local_days(np.array(times, dtype="datetime64[ms]"), zone)
    assert days.astype("datetime64[D]").astype(str).tolist() == expected
    label = period_label("$createdAt", "%Y-%m-%d", zone)
    assert [computed(label, at) for at in times] == expected


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_a_server_is_given_no_name_of_a_zone_but_a_branch_for_each_change(zone: str) -> None:
    assert "timezone" not in str(period_label("$createdAt", "%Y", zone))
    assert zone == "UTC" or zone not in str(period_label("$createdAt", "%Y", zone))
    assert str(period_label("$createdAt", "%Y", zone)).count("$cond") == (
        0 if zone == "UTC" else len(changes(zone)) - 1
    )


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_the_changes_of_a_zone_are_all_that_there_are(zone: str) -> None:
    """On every third day, and none changes for less than four, a zone has the offset of the change before it."""
    found = changes(zone)
    assert [edge for edge, _ in found] == sorted({edge for edge, _ in found})
    places = iter([*found[1:], (LATEST, None)])
    (until, following), ahead = next(places), found[0][1]
    for number in range((LATEST - EARLIEST) // dt.timedelta(days=3)):
        at = EARLIEST + number * dt.timedelta(days=3)
        while at >= until:
            assert following is not None
            ahead, (until, following) = following, next(places)
        assert local(at, zone) - at == ahead, at
