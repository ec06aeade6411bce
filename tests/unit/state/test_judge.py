"""Whatever a field of a row of the state holds, the row is read without an error, and what cannot be right is named."""

from __future__ import annotations

import re

import pytest

from lbmigrate.state.judge import examine, judge
from lbmigrate.state.shapes import SHAPES
from tests.damage import EVERY_VALUE, MISSING

NAMES = {"step": "step:4", "chunk": "chunk:tasks:1:0:2"}
SURE = {name: value for name, value in EVERY_VALUE.items() if name in ("array", "code", "regex", "max-key")}


def row_of(kind, **fields):
    """A row of this kind that has nothing but its name and these fields."""
    names = [NAMES.get(kind, kind), f"{kind}:x", f"{kind}::rules"]
    name = next(each for each in names if re.fullmatch(SHAPES[kind].ids, each, re.DOTALL))
    return {"_id": name, "kind": kind, "layout": 1, "fence": 1, **fields}


@pytest.mark.parametrize("kind", SHAPES)
def test_no_value_of_any_field_is_too_odd_to_be_judged(kind):
    for field in SHAPES[kind].fields:
        for value in EVERY_VALUE.values():
            row = row_of(kind, **({} if value is MISSING else {field: value}))
            assert {flaw.row for flaw in [*examine(row), *judge(row)[1]]} <= {row["_id"]}


@pytest.mark.parametrize("value", SURE.values(), ids=SURE)
def test_a_status_that_is_no_text_is_named(value):
    for kind in ("step", "chunk"):
        assert "status" in {flaw.field for flaw in examine(row_of(kind, status=value))}


@pytest.mark.parametrize("name", [value for value in EVERY_VALUE.values() if value is not MISSING], ids=repr)
def test_a_row_of_any_other_name_is_a_stranger(name):
    (flaw,) = examine({"_id": name, "kind": "chunk", "fence": 1})
    assert "lbmigrate has no row with such an _id" in str(flaw)
