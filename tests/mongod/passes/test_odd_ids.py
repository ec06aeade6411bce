"""Documents whose `_id` or time of change no range holds: NaN, text that is not UTF-8, types without an order."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import bson
import pytest
from bson import Code, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp

from lbmigrate.errors import Refused
from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.passes.chunks import Bounds
from lbmigrate.schema import REJECTS
from lbmigrate.state import COLLECTION
from tests.apps import NEW_YEAR, App, config, named, stopped_after, task, user

pytestmark = pytest.mark.usefixtures("mongod")
USUAL = {
    "numbers": list(range(1, 13)),
    "texts": [f"{letter}{mark}" for letter in "amz\U0001f600" for mark in ("", "b", "\ufffe")],
    "several types": [1, 2.5, "a", "b", {"k": 1}, ObjectId(), dt.datetime(2025, 1, 1), True, None, Timestamp(5, 1)],
}
ODD = [math.nan, Decimal128("NaN"), MinKey(), MaxKey(), Code("f")]


def is_named(name: Any) -> bool:
    """Whether an event can be about such a document; others are rejects."""
    return name is not None and not isinstance(name, Code)


def those(odd: Any) -> list[Any]:
    """One odd id, or all of them; of the two NaN a collection can have one."""
    return [each for each in ODD if not isinstance(each, Decimal128)] if isinstance(odd, str) else [odd]


def app_with(database: Any, names: list[Any], size: int = 3, **fields: Any) -> App:
    database["users"].insert_one(user(1))
    database["tasks"].create_index("updatedAt")
    database["tasks"].insert_many([task(number, _id=name, **fields) for number, name in enumerate(names)])
    app = App(database, config(backfill={"chunk_size": size, "failing_share": 1.0}))
    app.apply(STEPS[:3])
    return app


@pytest.mark.parametrize("size", [1, 2, 50])
@pytest.mark.parametrize("usual", USUAL.values(), ids=USUAL)
@pytest.mark.parametrize("odd", [*ODD, "all"], ids=repr)
def test_an_odd_id_hides_no_other(database, odd, usual, size):
    odds = those(odd)
    app = app_with(database, [*usual, *odds], size)
    counts = app.backfill()
    every = [*usual, *odds]
    good = sum(map(is_named, every))
    assert (counts.read, counts.emitted, counts.rejected) == (len(every), good, len(every) - good)
    assert app.entries()[f"global:{user(1)['_id']}"]["score"] == 10 * good


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 50])
@pytest.mark.parametrize("odd", [*ODD, "all"], ids=repr)
def test_nor_does_one_among_documents_without_a_time_of_change(database, odd, size):
    odds = those(odd)
    app = app_with(database, [ObjectId()], size, updatedAt=NEW_YEAR)
    app.backfill()
    every = [*USUAL["several types"], *odds]
    database["tasks"].insert_many([task(number, _id=name, updatedAt=None) for number, name in enumerate(every)])
    app.backfill()
    assert app.entries()[f"global:{user(1)['_id']}"]["score"] == 10 * (1 + sum(map(is_named, every)))


NO_TIMES = [math.nan, Decimal128("NaN"), MinKey(), MaxKey(), Regex("x"), Code("f"), "soon", [], {}, True]


@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
def test_a_new_document_whose_time_of_change_is_none_is_read_by_the_next_backfill(database, value):
    app = app_with(database, [1], updatedAt=NEW_YEAR)
    app.backfill()
    database["tasks"].insert_one(task(5, _id=5, updatedAt=value))
    assert app.backfill().emitted == 1


BOUNDS = {"key": "_id", "low": 1, "high": 9, "closed": True, "extra": "{}"}


@pytest.mark.parametrize(
    "edited",
    [
        {"low": None}, {"high": None}, {"low": None, "high": None}, {"high": "x"}, {"low": math.nan}, {"key": 5},
        {"extra": "[1]"}, {"extra": 5}, {"extra": "x"}, {"high": dt.datetime(2025, 1, 1)},
    ],
    ids=repr,
)  # fmt: skip
def test_bounds_that_somebody_edited_are_refused(edited):
    assert Bounds.from_row({"_id": "chunk:tasks:1:0:0", **BOUNDS}).low == 1
    with pytest.raises(Refused, match="chunk:tasks:1:0:0"):
        Bounds.from_row({"_id": "chunk:tasks:1:0:0", **BOUNDS, **edited})


# --- ids that are not UTF-8 ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 50])
def test_text_that_is_not_utf8_among_all_others(database, size):
    app = app_with(database, [*USUAL["texts"], 1, ObjectId(), {"k": 1}, math.nan, MinKey()], size)
    database["tasks"].insert_many([named(name, task(0)) for name in (b"\x80", b"m\xff", b"\xff\xff")])
    counts = app.backfill()
    assert (counts.emitted, counts.rejected) == (len(USUAL["texts"]) + 5, 3)
    assert {row["reason"] for row in database[REJECTS].find()} == {"its _id is not UTF-8 text"}


# --- ids that are large -------------------------------------------------------------------------------------------

MUCH = 2_500_000  # characters, more than may name an event
LONG = [
    "M" + "x" * MUCH, "M" + "x" * MUCH + "y", "zz" + "x" * MUCH, "aa" + "x" * 2_000, {"k": "x" * MUCH},
    {"k": "x" * MUCH + "y"}, {"k": [7] * 100_000}, b"x" * MUCH, b"x" * 2_000, b"x",
]  # fmt: skip
LARGE_ROW = 100_000  # bytes


def rows_of_the_state(database: Any) -> list[int]:
    return [len(bson.encode(row)) for row in database[COLLECTION].find({}, {"users": 0})]


@pytest.mark.parametrize("size", [1, 2, 50])
@pytest.mark.parametrize("usual", [USUAL["texts"], USUAL["several types"]], ids=["texts", "several types"])
def test_ids_that_are_large_hide_no_other_and_no_row_of_the_state_has_them(database, usual, size):
    app = app_with(database, [*usual, *LONG], size)
    counts = app.backfill()
    good = sum(map(is_named, usual)) + 3  # those of some 2,000 bytes can name an event, too
    assert (counts.read, counts.emitted) == (len(usual) + len(LONG), good)
    assert counts.rejected == len(usual) + len(LONG) - good
    assert max(rows_of_the_state(database)) < LARGE_ROW


def test_what_comes_in_behind_a_large_id_is_read_by_the_next_backfill(database):
    app = app_with(database, ["a", "m" + "x" * MUCH, {"k": "x" * MUCH}, b"x" * MUCH], updatedAt=NEW_YEAR)
    app.backfill()
    late = ["b", {"l": 1}, "m" + "x" * 5_000, "n", {"k": "y"}, {"l": "a"}]
    database["tasks"].insert_many([task(9, _id=name, updatedAt=dt.datetime(2001, 1, 1)) for name in late])
    assert app.backfill().emitted == 4  # the first two are not behind
    assert app.backfill().emitted == 0
    assert max(rows_of_the_state(database)) < LARGE_ROW


def test_a_backfill_that_stopped_among_large_ids_goes_on_behind_them(database):
    names = [f"{letter}{'x' * MUCH}{mark}" for letter in "abc" for mark in ("", "y")]
    app = app_with(database, [*names, "b", "d"], size=1)
    stopped_after(s4_backfill, app.context(), 4, saved=True)
    app.backfill()
    assert app.entries()[f"global:{user(1)['_id']}"]["score"] == 20
    assert database[REJECTS].count_documents({}) == len(names)
