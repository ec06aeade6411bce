"""Which group a stray is in, and how little of an event is kept."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.rules.adjustments import base_id, counts
from lbmigrate.rules.strays import LONGEST_NAME, TAKEN_BACK, about, is_apart, slim, stray_group, stray_of
from lbmigrate.values.ids import portions

BIG = "x" * 1_000_000
OID = ObjectId("507f1f77bcf86cd799439011")
NAMES = st.one_of(
    st.text(st.sampled_from('ab:#1"{}/\\ö'), max_size=6),
    st.builds(lambda end, size: "x" * (LONGEST_NAME - 2 + size) + end, st.sampled_from("aö:"), st.integers(0, 6)),
)


def event(**fields):
    return {
        "_id": f"done:{OID}", "userId": 7, "actionType": "done", "points": Int64(10), "sourceId": OID,
        "meta": {"origin": "live"}, "createdAt": dt.datetime(2025, 1, 1), **fields,
    }  # fmt: skip


def group(name):
    return stray_group(event(_id=name, sourceId="another"), {})


@given(NAMES, NAMES)
def test_two_strays_share_a_group_only_if_they_have_one_id(one, other):
    assert (group(one) == group(other)) == (one == other)


@given(NAMES)
def test_what_takes_a_stray_back_has_an_id_that_fits_and_is_of_its_group(name):
    base = group(name)
    action, _, rest = base.partition(":")
    back = event(_id=f"{base}#1", actionType=action, sourceId=rest)
    assert base_id(back) == base
    assert len(action) <= 256


@given(NAMES)
def test_a_group_is_asked_for_by_ranges_that_hold_its_stray(name):
    base = group(name)
    ranges = [each["_id"] for each in about(base)]
    assert any(each["$gte"] <= name < each["$lt"] for each in ranges)
    assert stray_of(base)[0] == (name if len(name) <= LONGEST_NAME else name[:200])


@pytest.mark.parametrize("name", ["done:7", "done:", ":7", ":", "done:7#1"])
def test_a_stray_whose_id_names_an_action_has_its_adjustments_beside_it(name):
    assert group(name) == name


@pytest.mark.parametrize("name", ["", "weird", f"{'a' * 257}:7", f"done:{BIG}"])
def test_any_other_stray_is_taken_back_under_an_action_of_its_own(name):
    assert is_apart(group(name))
    assert group(name).startswith(f"{TAKEN_BACK}:")


FIELDS = ("userId", "actionType", "points", "sourceId", "createdAt", "meta")
VALUES = (BIG, [BIG], {"a": BIG}, BIG.encode())


@pytest.mark.parametrize("name", [*FIELDS, "_id"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_of_an_event_no_more_is_kept_than_tells_what_it_is_about(name, value):
    odd = event(**{name: value})
    before, counted = base_id(dict(odd)) if isinstance(odd["_id"], str) else None, counts(odd | {"meta": {}})
    kept = slim(odd)
    assert len(str(kept)) < 2_000
    assert counts(kept) is counted
    assert (base_id(kept) if isinstance(odd["_id"], str) else None) == before


@pytest.mark.parametrize("name", ["origin", "reason", "forgotten", "x"])
def test_of_meta_no_more_is_kept_either_but_the_mark_of_who_left(name):
    assert len(str(slim(event(meta={name: BIG})))) < 2_000
    assert slim(event(meta={"forgotten": [BIG, True]}))["meta"] == {"forgotten": True}


def test_an_ordinary_event_is_kept_as_it_is():
    assert slim(event()) == event()
    long = event(_id=f"done:{BIG}", sourceId=BIG)
    assert slim(dict(long)) == long


@given(st.lists(st.integers(0, 12)), st.integers(1, 4))
def test_portions_hold_everything_in_order_and_no_more_than_they_should(weights, most):
    parts = list(portions(weights, lambda weight: weight, most, most_bytes=10))
    assert [weight for part in parts for weight in part] == weights
    assert all(0 < len(part) <= most and (sum(part) <= 10 or len(part) == 1) for part in parts)
