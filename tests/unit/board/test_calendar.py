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
