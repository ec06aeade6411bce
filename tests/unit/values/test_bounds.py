"""A bound is short whatever it stands for, and where it must be: below it, or above it and all that begins like it."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Binary, Code, MinKey, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.mongo.fake.comparison import place
from lbmigrate.values import bounds
from lbmigrate.values.bounds import LONGEST, above, below, is_of_many
from lbmigrate.values.ids import room

MOST = 40  # of a bound in these tests, so that examples stay small
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.just("\U0010ffff"), max_size=80)
LEAVES = st.one_of(
    TEXTS, st.integers(-5, 5), st.binary(max_size=80), st.booleans(), st.none(), st.just(Code("f" * 80)),
    st.lists(st.integers(0, 9), max_size=20), st.sampled_from([MinKey(), ObjectId("5" * 24), dt.datetime(2025, 1, 1)]),
)  # fmt: skip
NAMES = st.text("ab", max_size=2) | st.text("ab", min_size=30, max_size=60)
OBJECTS = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=4), max_leaves=12).filter(
    lambda value: isinstance(value, dict)
)
LARGE = {
    "text": "x" * 6_000_000, "text of other planes": "\U0001f600" * 2_000_000,
    "its first field": {"a": "x" * 6_000_000}, "an array in it": {"a": [5] * 500_000},
    "its last field": {"a": 1, "b": {"c": ObjectId(), "d": "x" * 6_000_000}}, "its name": {"n" * 6_000_000: 1},
    "many fields": {f"f{number}": number for number in range(100_000)},
}  # fmt: skip


@given(TEXTS | OBJECTS)
def test_what_a_bound_stands_for_is_between_both(value):
    assert place(below(value, MOST)) <= place(value) <= place(above(value, MOST))


@given(st.lists(TEXTS | OBJECTS, min_size=2, max_size=2))
def test_nothing_is_between_two_bounds_but_what_begins_alike(values):
    one, other = sorted(values, key=place)
    assert place(below(one, MOST)) <= place(above(other, MOST))


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
def test_a_large_value_has_bounds_that_are_short_and_not_equal(value):
    assert place(below(value)) < place(value) < place(above(value))
    assert max(room(below(value)), room(above(value))) < 5 * LONGEST
    assert is_of_many(above(value))


@pytest.mark.parametrize("value", [5, "x" * LONGEST, {"a": 1}, {}, ObjectId(), None, True, b"\xff", Binary(b"x", 4)])
def test_any_other_stands_for_itself_alone(value):
    assert below(value) is value
    assert above(value) is value
    assert not is_of_many(value)


@pytest.mark.parametrize("value", [b"x" * LONGEST, Binary(b"\xff" * LONGEST, 255), b"", Binary(b"\0" * (LONGEST + 1))])
def test_long_binary_data_is_told_apart_as_a_server_does(value):
    last = bounds.BINARY["$lte"]
    assert bounds.is_long_binary(value) == (place(value) > place(last))
