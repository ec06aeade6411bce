from __future__ import annotations

import datetime as dt
import math
import time
import uuid
from typing import Any, get_args
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from bson import Binary, Code, DatetimeMS, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.records import EARLIEST, LATEST
from lbmigrate.values.coerce import as_number, as_time
from lbmigrate.values.columns import convert, numbers, times
from lbmigrate.values.excerpts import bson_type, excerpt
from lbmigrate.values.units import Unit

PARIS = ZoneInfo("Europe/Paris")
MOMENT = dt.datetime(2025, 3, 1, 10, 30, 15, 123000)
EPOCH_MS = 1740825015123

anything: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(),
    st.text(),
    st.binary(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.dates().map(dt.date.isoformat),
    st.decimals(places=3, min_value=-(10**15), max_value=10**15).map(Decimal128),
    st.sampled_from(["NaN", "sNaN", "Infinity", "-0", "1E+6144", "1E-6000"]).map(Decimal128),
    st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.uuids(),
    st.sampled_from([Timestamp(1, 1), MaxKey(), Code("x"), Regex("a"), Binary(b"x", 5), [1], {"a": [1]}]),
)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (MOMENT, MOMENT),
        (MOMENT.replace(microsecond=123999), MOMENT),
        (MOMENT.replace(tzinfo=dt.UTC), MOMENT),
        (MOMENT.replace(hour=12, tzinfo=dt.timezone(dt.timedelta(hours=2))), MOMENT),
        (ObjectId("67c2e0b70000000000000000"), dt.datetime(2025, 3, 1, 10, 25, 59)),
        (EPOCH_MS, MOMENT),
        (Int64(EPOCH_MS), MOMENT),
        (float(EPOCH_MS), MOMENT),
        (Decimal128(str(EPOCH_MS)), MOMENT),
        (EPOCH_MS // 1000, MOMENT.replace(microsecond=0)),
        (1700000000.1, dt.datetime(2023, 11, 14, 22, 13, 20, 100000)),
        (-1, dt.datetime(1969, 12, 31, 23, 59, 59)),
        (-1.0005, dt.datetime(1969, 12, 31, 23, 59, 58, 999000)),
        (-2_208_988_800, EARLIEST),
        (-2_208_988_801, None),
        (7_258_118_399, LATEST - dt.timedelta(seconds=1)),
        (7_258_118_400, None),
        (99_999_999_999, None),
        (100_000_000_000, dt.datetime(1973, 3, 3, 9, 46, 40)),
        (-100_000_000_000, dt.datetime(1966, 10, 31, 14, 13, 20)),
        ("2025-03-01T10:30:15.123Z", MOMENT),
        ("2025-03-01T10:30:15.123456789z", MOMENT),
        (" 2025-03-01T12:30:15.123+02:00 ", MOMENT),
        ("2025-03-01T10:30:15.123+0000", MOMENT),
        ("2025-03-01 11:30:15.123", MOMENT),
        ("20250301T103015Z", MOMENT.replace(microsecond=0)),
        ("2025-07-01T10:30", dt.datetime(2025, 7, 1, 8, 30)),
        ("2025-03-01", dt.datetime(2025, 2, 28, 23, 0)),
        ("today", None),
        ("3/13", None),
        ("20250301", None),
        ("1740825015123", None),
        ("2025-13-01", None),
        ("2025-02-30T00:00:00Z", None),
        ("", None),
        (0, None),
        (0.0, None),
        (Decimal128("0"), None),
        (True, None),
        (None, None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        (DatetimeMS(2**62), None),
        (DatetimeMS(EPOCH_MS), None),
        (Timestamp(1740825015, 1), None),
        (dt.date(2025, 3, 1), None),
        ([MOMENT], None),
        (EARLIEST, EARLIEST),
        (EARLIEST - dt.timedelta(milliseconds=1), None),
        (LATEST - dt.timedelta(milliseconds=1), LATEST - dt.timedelta(milliseconds=1)),
        (LATEST, None),
        (dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=3))), None),
        ("0001-01-01T00:00:00+03:00", None),
    ],
)
def test_a_value_is_read_as_a_time_or_not_at_all(value: Any, moment: dt.datetime | None) -> None:
    assert as_time(value, PARIS) == moment
    assert times([value], PARIS) == [moment]


@given(st.lists(anything))
def test_every_time_is_a_plain_datetime_in_whole_milliseconds(column: list[Any]) -> None:
    found = times(column, PARIS)
    assert len(found) == len(column)
    for moment in found:
        assert moment is None or (type(moment) is dt.datetime and moment.tzinfo is None)
        assert moment is None or (moment.microsecond % 1000 == 0 and EARLIEST <= moment < LATEST)


@given(
    st.one_of(
        st.lists(st.datetimes() | st.none()),
        st.lists(st.datetimes(EARLIEST, LATEST - dt.timedelta(days=1)).map(lambda t: t.replace(microsecond=5000))),
        st.lists(st.integers() | st.floats()),
        st.lists(st.floats(-1e13, 1e13)),
        st.lists(anything),
    )
)
def test_a_column_is_read_like_its_values(column: list[Any]) -> None:
    assert times(column, PARIS) == [as_time(value, PARIS) for value in column]
    np.testing.assert_array_equal(numbers(column), np.array([as_number(value) for value in column], dtype=float))


def test_dates_as_bson_delivers_them_are_not_copied() -> None:
    column = [MOMENT, MOMENT + dt.timedelta(days=1)]
    assert all(found is given for found, given in zip(times(column, PARIS), column, strict=True))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (25, 25.0),
        (Int64(2**40), 2.0**40),
        (2.5, 2.5),
        (Decimal128("2.50"), 2.5),
        (Decimal128("1E+3"), 1000.0),
        ("25", 25.0),
        (" -2.5e1 ", -25.0),
        (".5", 0.5),
        ("1_000", None),
        ("1,5", None),
        ("25 min", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("١٢", None),
        (True, None),
        (None, None),
        (math.nan, None),
        (-math.inf, None),
        ("1e999", None),
        (10**400, None),
        (Decimal128("NaN"), None),
        (Decimal128("sNaN"), None),
        (Decimal128("-Infinity"), None),
        (Decimal128("1E+6000"), None),
        ({"$numberInt": "5"}, None),
        ([5], None),
        (b"5", None),
        (MOMENT, None),
    ],
)
def test_a_value_is_read_as_a_finite_number_or_not_at_all(value: Any, number: float | None) -> None:
    expected = math.nan if number is None else number
    np.testing.assert_array_equal([as_number(value)], [expected])
    np.testing.assert_array_equal(numbers([value]), [expected])


@pytest.mark.parametrize(
    ("value", "unit", "to", "result"),
    [
        (90, "seconds", "minutes", 1.5),
        (5_400_000, "ms", "hours", 1.5),
        (3_000_000_000, "ns", "seconds", 3),
        (250_000, "us", "ms", 250),
        (1.5, "days", "hours", 36),
        (2, "hours", "seconds", 7200),
        (25, "minutes", "minutes", 25),
    ],
)
def test_units_are_converted(value: float, unit: Unit, to: Unit, result: float) -> None:
    assert convert(np.array([value], dtype=float), unit, to).tolist() == [result]


@given(st.integers(0, 10**5), st.sampled_from(get_args(Unit)), st.sampled_from(get_args(Unit)))
def test_a_whole_number_of_units_stays_whole_there_and_back(count: int, unit: Unit, smaller: Unit) -> None:
    there = convert(np.array([float(count)]), unit, smaller)
    if (there % 1 == 0).all():
        assert convert(there, smaller, unit).tolist() == [count]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "null"),
        (True, "bool"),
        (1, "int"),
        (Int64(1), "long"),
        (1.0, "double"),
        (Decimal128("1"), "decimal"),
        ("", "string"),
        (MOMENT, "date"),
        (DatetimeMS(1), "date"),
        (ObjectId(), "objectId"),
        (Binary(b""), "binData"),
        (uuid.uuid4(), "binData"),
        ([], "array"),
        ({}, "object"),
        (Timestamp(1, 1), "Timestamp"),
    ],
)
def test_types_are_called_by_their_bson_names(value: Any, name: str) -> None:
    assert bson_type(value) == name


@given(anything | st.recursive(anything, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_an_excerpt_is_short_whatever_it_is_of(value: Any) -> None:
    assert len(excerpt(value)) <= 80


def test_an_excerpt_of_something_long_has_sixty_characters_of_it() -> None:
    value = {name * 20: name * 20 for name in "abcd"}
    assert excerpt(value) == "object {'aaaaaaaaaaaaaaaaaaaa': 'aaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbb"


def test_a_time_with_an_offset_becomes_utc_wherever_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert as_time("2025-11-03T09:00:00+02:00", ZoneInfo("UTC")) == dt.datetime(2025, 11, 3, 7)
    finally:
        monkeypatch.undo()
        time.tzset()
