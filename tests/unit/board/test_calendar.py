from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.board.calendar import about, span
from lbmigrate.board.place import Freshness
from lbmigrate.rules.periods import EPOCH, label
from lbmigrate.schema import PERIODS
from tests.apps import config
from tests.zoned import day_of

ZONES = ["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca"]
kinds = st.sampled_from([kind for kind in PERIODS if kind != "global"])


@given(kind=kinds, day=st.dates(dt.date(1000, 1, 8), dt.date(9990, 1, 1)), zone=st.sampled_from(ZONES))
def test_a_period_begins_with_its_first_day_and_ends_where_the_next_one_begins(
    kind: str, day: dt.date, zone: str
) -> None:
    name = label(kind, (day - EPOCH).days)
    found = span(name, zone)
    assert found is not None
    first, after = (moment.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone)).date() for moment in found)
    assert first <= day < after
    assert label(kind, (first - EPOCH).days) == name != label(kind, (after - EPOCH).days)
    assert name != label(kind, (first - EPOCH).days - 1)
    assert span(label(kind, (after - EPOCH).days), zone)[0] == found[1]  # type: ignore[index]


def test_a_week_is_given_in_utc_by_the_clocks_of_its_zone() -> None:
    assert span("2025-W44", "UTC") == (dt.datetime(2025, 10, 27), dt.datetime(2025, 11, 3))
    assert span("2025-W44", "America/New_York") == (dt.datetime(2025, 10, 27, 4), dt.datetime(2025, 11, 3, 5))


@pytest.mark.parametrize(
    "odd", ["global", "", "2025-W54", "2025-13", "2025-1", "20251103", "soon", "2025-W44-1", "١٩٩٩"]
)
def test_what_names_no_days_has_no_span(odd: str) -> None:
    assert span(odd, "UTC") is None


@pytest.mark.parametrize(
    ("until", "settled"),
    [(None, False), (dt.datetime(2025, 11, 3, 23), False), (dt.datetime(2025, 11, 4), True)],
)
def test_a_period_is_settled_when_a_backfill_has_looked_past_what_may_come_late(
    until: dt.datetime | None, settled: bool
) -> None:
    told = about("2025-W44", config(backfill={"lag": "1d"}), Freshness(until, 0.0))
    assert told.settled is settled
    assert told.ends == dt.datetime(2025, 11, 3)
    assert about("global", config(), Freshness(until, 0.0)).ends is None


@given(
    day=st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1)) | st.just(dt.date(2011, 12, 30)),
    zone=st.sampled_from([*ZONES, "+05:45"]),
    starts=st.sampled_from(["00:30", "02:30", "04:00", "23:59"]),
)
def test_a_day_begins_when_its_clocks_show_so_or_have_left_that_out(day: dt.date, zone: str, starts: str) -> None:
    after = dt.timedelta(hours=int(starts[:2]), minutes=int(starts[3:]))
    found = span(str(day), zone, after)
    assert found is not None
    for begins, first in zip(found, (day, day + dt.timedelta(days=1)), strict=True):
        assert day_of(begins, zone, after) >= first
        assert day_of(begins - dt.timedelta(milliseconds=1), zone, after) < first


def test_where_days_begin_later_a_week_does_too() -> None:
    late = dt.timedelta(hours=4)
    assert span("2025-W44", "America/New_York", late) == (dt.datetime(2025, 10, 27, 8), dt.datetime(2025, 11, 3, 9))
    told = about("2025-W44", config(day_starts="04:00"), Freshness(None, None))
    assert (told.begins, told.ends) == (dt.datetime(2025, 10, 27, 4), dt.datetime(2025, 11, 3, 4))
