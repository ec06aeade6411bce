"""What is too large, too deep or no value at all for an event."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import bson
import pytest
from bson import Binary, Int64, ObjectId, Regex
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.values.limits import (
    DEEPEST,
    LARGEST_VALUE,
    SHOWN,
    long_ids,
    named,
    names_nothing,
    oversized,
    too_much,
)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_a_value_that_holds_itself_is_told_and_ends_nothing():
    endless: dict[str, Any] = {}
    endless["me"] = endless
    assert "cannot be stored" in too_much(endless)


@pytest.mark.parametrize("value", [object(), 2**70, {"a": {1, 2}}, {1: 2}, "\ud800"])
def test_what_bson_cannot_hold_is_told(value):
    assert "cannot be stored" in too_much(value)


def test_the_deepest_value_passes_and_one_level_more_does_not():
    assert too_much(nested(DEEPEST)) == ""
    assert too_much(nested(DEEPEST + 1)) == f"is nested deeper than {DEEPEST} levels"


texts = st.text(max_size=30) | st.sampled_from(["x" * LARGEST_VALUE, "é" * (LARGEST_VALUE // 2)])
values = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | texts | st.dictionaries(st.just("a"), texts)


@given(st.lists(values, max_size=8))
def test_a_column_is_judged_as_its_values_are(column):
    told = {row: too_much(value) for row, value in enumerate(column)}
    assert oversized(column) == {row: reason for row, reason in told.items() if reason}


def test_ids_of_usual_types_are_never_too_long_and_long_texts_are():
    assert long_ids([ObjectId(), Int64(1), uuid.uuid4(), 5, dt.datetime(2025, 1, 1), "x" * 1024]) == {}
    assert list(long_ids([ObjectId(), "x" * 1025, Binary(b"x" * 2000), {"a": "x" * 2000}])) == [1, 2, 3]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"$gt": ""},
        {"a": {"$ne": 1}},
        {"a": [{"$ne": 1}]},
        Regex(".*"),
        re.compile(".*"),
        [1],
        (1,),
        "x" * 2_000_001,
    ],
)
def test_what_is_no_value_of_an_id_is_told(value):
    assert names_nothing(value)


@pytest.mark.parametrize("value", [ObjectId(), 5, "a", {"a": 1}, 1.5, uuid.uuid4(), dt.datetime(2025, 1, 1), "$gt"])
def test_what_can_be_the_id_of_a_document_passes(value):
    assert names_nothing(value) == ""


def test_long_ids_are_shortened_and_stay_distinct():
    first, second = "x" * 5_000_000 + "a", "x" * 5_000_000 + "b"
    assert len(named(first)) <= SHOWN
    assert named(first) != named(second)
    assert named("short") == "short"
    assert named(nested(170)) != named(nested(160))
    assert len(named(nested(170))) <= SHOWN + 1
    assert bson.encode({"_id": named({"a": "x" * 100_000})})
