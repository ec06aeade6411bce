"""Queries of the in-memory database where the library behind it was fixed or made faster."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Timestamp
from bson.errors import InvalidDocument
from pymongo.errors import WriteError

from lbmigrate.mongo import fake

NUMBERS = ("number", "int", "long", "double", "decimal")
TYPES = (*NUMBERS, "string", "object", "array", "binData", "objectId", "bool", "date", "timestamp")


@pytest.fixture
def db():
    return fake.client()["app"]


@pytest.mark.parametrize(
    ("value", "types"),
    [
        (1, {"int", "number"}),
        (-(2**31), {"int", "number"}),
        (2**31, {"long", "number"}),
        (Int64(1), {"long", "number"}),
        (1.0, {"double", "number"}),
        (Decimal128("1"), {"decimal", "number"}),
        (True, {"bool"}),
        (b"x", {"binData"}),
        (Binary(b"x", 5), {"binData"}),
        (uuid.UUID(int=1), {"binData"}),
        (Timestamp(1, 1), {"timestamp"}),
        (ObjectId(), {"objectId"}),
        (dt.datetime(2024, 1, 1), {"date"}),
        ("x", {"string"}),
        ({}, {"object"}),
        ([], {"array"}),
        ([Int64(1)], {"array", "long", "number"}),
    ],
)
def test_a_value_is_of_the_types_that_a_server_gives_it(db, value, types):
    db.e.insert_many([{"_id": 1, "x": value}, {"_id": 2}])
    assert {name for name in TYPES if db.e.find_one({"x": {"$type": name}}, {"_id": 1}) == {"_id": 1}} == types


def test_ints_and_longs_stay_apart_when_an_index_has_them_as_one_value(db):
    db.e.insert_many([{"_id": 1, "x": 7}, {"_id": 2, "x": Int64(7)}, {"_id": 3, "x": 7}])
    for _ in range(3):
        assert db.e.find_one({"x": {"$type": "long"}}, sort=[("x", 1)])["_id"] == 2
        assert [each["_id"] for each in db.e.find({"x": {"$type": "int"}}, sort=[("x", -1)])] == [1, 3]


def test_values_of_many_types_are_sorted_by_type_first(db):
    inside = [dt.datetime(2024, 1, 1), True, ObjectId(), {"k": 1}, "b", "a", Int64(2), 1.5, 1, None]
    db.e.insert_many([{"_id": place, "x": value} for place, value in enumerate(inside)])
    db.e.insert_one({"_id": -1})
    rows = [each["_id"] for each in db.e.find().sort("x", 1)]
    assert rows == [9, -1, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert db.e.find_one({}, sort=[("x", -1)])["_id"] == 0
    assert [each["_id"] for each in db.e.find({"x": {"$ne": None}}).sort("x", 1).skip(1).limit(2)] == [7, 6]


def test_nothing_and_null_are_alike(db):
    db.e.insert_many([{"_id": 1, "x": None}, {"_id": 2}, {"_id": 3, "x": 0}, {"_id": 4, "x": [None]}])
    for _ in range(3):
        assert [each["_id"] for each in db.e.find({"x": None})] == [1, 2, 4]
        assert db.e.count_documents({"x": {"$in": [None, 0]}}, maxTimeMS=2_000) == 4
        assert db.e.count_documents({"x": {"$ne": None}}, maxTimeMS=2_000) == 1


def test_a_write_is_seen_by_a_question_that_was_asked_before(db):
    db.e.insert_many([{"_id": key, "x": key % 2, "in": {"y": 1}} for key in range(6)])
    asked = [lambda: [row["_id"] for row in db.e.find({"x": 1})], lambda: db.e.find_one(sort=[("x", -1)])["x"]]
    assert [ask() for ask in asked * 3] == [[1, 3, 5], 1] * 3
    db.e.update_one({"_id": 3}, {"$set": {"x": 9}})
    assert [ask() for ask in asked * 3] == [[1, 5], 9] * 3
    db.e.delete_many({"x": {"$gt": 0}})
    assert [ask() for ask in asked * 3] == [[], 0] * 3
    db.e.insert_one({"_id": 7, "x": 1})
    assert [ask() for ask in asked * 3] == [[7], 1] * 3
    db.drop_collection("e")
    assert list(db.e.find({"x": 1})) == []


HALFWAY = [
    ({"$inc": {"word": 1}}, WriteError),
    ({"$push": {"in.list": {"$each": [1], "$odd": 1}}}, WriteError),
    ({"$pull": {"in.list.$": 1}}, Exception),
    ({"$max": {"y": object()}}, Exception),
]


@pytest.mark.parametrize(
    ("more", "error"), HALFWAY, ids=lambda part: next(iter(part)) if isinstance(part, dict) else ""
)
def test_an_update_that_fails_halfway_leaves_what_was_there_for_an_index_and_for_a_scan(db, more, error):
    kept = {"_id": 1, "x": 1, "word": "a", "in": {"list": [1]}, "y": 1}
    db.e.insert_one(kept)
    assert [db.e.find_one({"x": 9}) for _ in range(3)] == [None] * 3
    with pytest.raises(error):
        db.e.update_one({"_id": 1}, {"$set": {"x": 9, "in.new": 1}, **more})
    assert list(db.e.find({"x": 9})) == []
    assert list(db.e.find({"x": 1})) == list(db.e.find()) == [kept]


def test_documents_come_in_the_order_of_insertion_from_an_index_too(db):
    db.e.insert_many([{"_id": key, "x": key % 3} for key in range(9)])
    for _ in range(3):
        assert [row["_id"] for row in db.e.find({"x": {"$in": [2, 0]}}, limit=4)] == [0, 2, 3, 5]


def test_a_nan_is_found_by_any_other(db):
    db.e.insert_many([{"_id": 1, "x": float("nan")}, {"_id": 2, "x": 1.0}])
    assert [row["_id"] for row in db.e.find({"x": float("nan")})] == [1]
    assert [row["_id"] for row in db.e.find({"x": {"$in": [float("nan"), 2.0]}})] == [1]


def test_no_document_is_shared_with_the_caller(db):
    def given():
        return {"_id": 1, "list": [{"n": 1}], "in": {"deep": {"n": 1}}}

    mine = given()
    db.e.insert_one(mine)
    mine["list"][0]["n"] = mine["in"]["deep"]["n"] = 2
    for fields in (None, {"list": 1, "in": 1}, {"x": 0}, {"in.deep": 1, "list": 1}):
        [row] = db.e.find({}, fields)
        assert row == given()
        row["list"].append(2)
        row["in"]["deep"].clear()
    change = {"n": [1]}
    db.e.update_one({"_id": 1}, {"$set": {"new": change}})
    change["n"].append(2)
    assert db.e.find_one() == given() | {"new": {"n": [1]}}


def test_a_projection_drops_scalars_where_it_asks_for_what_is_below(db):
    db.e.insert_one({"_id": 1, "a": [1, {"x": 2, "y": 3}, {}], "b": {"x": 1}, "c": "x"})
    assert db.e.find_one({}, {"a.x": 1, "b": 1, "c.x": 1}) == {"_id": 1, "a": [{"x": 2}, {}], "b": {"x": 1}}


def test_what_a_server_could_not_keep_is_refused(db):
    db.e.insert_one({"_id": 1, "x": uuid.UUID(int=1)})
    for value in (object(), 2**63, {1: "x"}):
        with pytest.raises((InvalidDocument, OverflowError)):
            db.e.insert_one({"_id": 2, "x": value})
    assert db.e.count_documents({}) == 1


def test_an_expired_document_is_found_no_more(db):
    db.e.create_index("at", expireAfterSeconds=60)
    db.e.insert_many([{"_id": 1, "at": dt.datetime(2000, 1, 1)}, {"_id": 2, "at": dt.datetime(9000, 1, 1)}])
    assert [each["_id"] for each in db.e.find().sort("_id", 1)] == [2]
