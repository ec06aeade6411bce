"""The in-memory database and a server, asked the same: what is on the faithful list has one answer."""

from __future__ import annotations

import datetime as dt
import math
import uuid

import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import PyMongoError

from lbmigrate.mongo import fake
from lbmigrate.mongo.fake.comparison import place
from lbmigrate.mongo.fake.conditions import unfaithful

DAY = dt.datetime(2024, 1, 1)
OID = ObjectId("0" * 24)
VALUES = [
    None, True, False, 0, 1, -1, 5, -7, 7.9, -7.9, Int64(1), 2**31, Int64(2**40), 1.0, -0.0, 0.5, 1000, 1e300,
    math.nan, math.inf, -math.inf, Decimal128("1"), Decimal128("0.5"), Decimal128("NaN"), Decimal128("1E+3"),
    "", "a", "A", "b", "abc", "1", "a\nb", "b\n", "é", "\u212a", "\u017f", "a.b",
    {}, {"x": 1}, {"x": 1, "y": 2}, {"y": 2, "x": 1}, {"x": None}, {"x": True}, {"x": [1, 2]}, {"0": 1},
    {"0": {"x": 1}}, [], [1], [1, 2], [None], [[]], [[1]], [[1, 2], 3], ["a"], [True], [{}], [{"x": 1}],
    [{"x": 1}, {"x": 2, "y": 1}],
    [{"x": [1, 5]}], [{"x": {"y": 1}}, {"z": 1}], [{"0": 1}], [[{"x": 1}]], [5, 10], [-1, 7], [DAY], [Decimal128("1")],
    DAY, DAY.replace(microsecond=1000), DatetimeMS(10**17), Timestamp(5, 1), OID, ObjectId("0" * 23 + "1"),
    b"x", Binary(b"x", 5), uuid.UUID(int=1), Regex("a", ""), Regex("a", "i"), DBRef("c", 1), MinKey(), MaxKey(),
    Code("x"), Code("x", {"a": 1}),
]  # fmt: skip
FILTERS = [
    {"a": 1}, {"a": 1.0}, {"a": Int64(1)}, {"a": Decimal128("1")}, {"a": True}, {"a": False}, {"a": 0}, {"a": None},
    {"a": "a"}, {"a": ""}, {"a": math.nan}, {"a": {}}, {"a": {"x": 1}}, {"a": {"y": 2, "x": 1}}, {"a": []}, {"a": [1]},
    {"a": [1, 2]}, {"a": DAY}, {"a": OID}, {"a": b"x"}, {"a": uuid.UUID(int=1)}, {"a": MinKey()}, {"a": Code("x")},
    {"a": DBRef("c", 1)}, {"a.$id": 1}, {"a.x": 1}, {"a.x": None}, {"a.x": True}, {"a.x.y": 1}, {"a.0": 1},
    {"a.0.x": 1},
    {"a.x.0": 1}, {"b": None}, {"a": {"$eq": True}}, {"a": {"$ne": 1}}, {"a": {"$ne": True}}, {"a": {"$ne": None}},
    {"a": {"$ne": [1]}}, {"a.x": {"$ne": 1}}, {"a": {"$gt": 0}}, {"a": {"$gt": False}}, {"a": {"$gte": None}},
    {"a": {"$gt": None}}, {"a": {"$lt": "b"}}, {"a": {"$lte": DAY}}, {"a": {"$gt": Decimal128("0.4")}},
    {"a": {"$gte": math.nan}}, {"a": {"$lt": math.inf}}, {"a": {"$gt": MinKey()}}, {"a": {"$lt": MaxKey()}},
    {"a": {"$gt": OID}}, {"a": {"$gt": [1]}}, {"a": {"$lt": {"x": 2}}}, {"a": {"$gte": 1, "$lt": 6}},
    {"a": {"$in": [1, "a", None]}}, {"a": {"$in": [True, "b"]}}, {"a": {"$in": []}}, {"a": {"$in": [[1], {}]}},
    {"a": {"$in": [math.nan]}}, {"a": {"$nin": [1, None]}}, {"a": {"$nin": [False]}}, {"a.x": {"$nin": [1]}},
    {"a": {"$not": {"$gt": 0}}}, {"a": {"$not": {"$type": "number"}}}, {"a": {"$not": {"$in": [True]}}},
    {"a": {"$exists": True}}, {"a": {"$exists": False}}, {"a.x": {"$exists": False}}, {"a.0": {"$exists": 1}},
    *({"a": {"$type": name}} for name in ("double", "string", "object", "array", "binData", "objectId", "bool")),
    *({"a": {"$type": name}} for name in ("date", "null", "regex", "javascript", "int", "long", "decimal")),
    *({"a": {"$type": name}} for name in ("timestamp", "minKey", "maxKey", "number", 16, -1, ["string", "bool"])),
    {"a": {"$regex": "^a"}}, {"a": {"$regex": "A", "$options": "i"}}, {"a": {"$regex": "k|s", "$options": "i"}},
    {"a": {"$regex": "^b", "$options": "m"}}, {"a": {"$regex": "a.b", "$options": "s"}}, {"a": {"$regex": "b$"}},
    {"a": {"$regex": "a.b"}}, {"a": {"$regex": "\\d"}}, {"a": {"$regex": "^\\W$"}}, {"a": {"$not": {"$regex": "a"}}},
    {"a": {"$elemMatch": {"$gt": 4, "$lt": 8}}}, {"a": {"$elemMatch": {"x": 1}}}, {"a": {"$elemMatch": {"$ne": 1}}},
    {"a": {"$elemMatch": {"x": {"$gt": 1}, "y": 1}}}, {"a": {"$elemMatch": {"$elemMatch": {"x": 1}}}},
    {"a": {"$elemMatch": {"$type": "array"}}}, {"a": {"$elemMatch": {"$not": {"$gte": 5}}}},
    {"a": {"$all": [1, 2]}}, {"a": {"$all": []}}, {"a": {"$all": [True]}}, {"a": {"$all": [[1]]}},
    {"a": {"$all": [{"$elemMatch": {"x": 1}}, {"$elemMatch": {"y": 1}}]}}, {"a": {"$size": 0}}, {"a": {"$size": 2}},
    {"a.x": {"$size": 2}}, {"a": {"$mod": [2, 1]}}, {"a": {"$mod": [-3, -1]}}, {"a": {"$mod": [2, -1]}},
    {"$or": [{"a": True}, {"a": {"$lt": 0}}]}, {"$and": [{"a": {"$gt": 0}}, {"a": {"$ne": 5}}]},
    {"$nor": [{"a": 1}, {"a": {"$type": "string"}}]}, {"a": {"$ne": None}, "b": None, "$comment": "both"},
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(client):
    """The same documents on a server and in memory: each value alone, in a document, in an array, and twice inside."""
    shapes = [VALUES, *([[shape(value) for value in VALUES] for shape in SHAPES])]
    values = [value for shape in shapes for value in shape]
    documents = [
        {"_id": 0},
        {"_id": -1, "b": 1},
        *({"_id": place, "a": value} for place, value in enumerate(values, 1)),
    ]
    real = client["test_faithful"]["e"]
    real.drop()
    with fake.client() as memory:
        for collection in (real, memory["app"]["e"]):
            collection.insert_many([dict(document) for document in documents])
        yield real, memory["app"]["e"]
    client.drop_database("test_faithful")


SHAPES = [
    lambda value: {"x": value},
    lambda value: [value, "b"],
    lambda value: [{"x": value}, {"x": 1}],
    lambda value: {"x": {"y": value}},
]


def chosen(collection, asked):
    return {row["_id"] for row in collection.find(asked, {"_id": 1})}


def test_every_filter_of_the_list_finds_what_a_server_finds(pair):
    real, memory = pair
    assert len(FILTERS) > 64
    for asked in FILTERS:
        assert unfaithful(asked) == []
        assert chosen(memory, asked) == chosen(real, asked), asked


def test_documents_come_in_the_order_of_a_server(pair):
    for path in ("a", "a.x", "a.x.y"):
        for way in (1, -1):
            order = [(path, way), ("_id", 1)]
            real, memory = ([row["_id"] for row in each.find({}, {"_id": 1}).sort(order)] for each in pair)
            assert real == memory


@pytest.mark.parametrize("array", ["a", "a.x"])
def test_elements_are_those_of_a_server(pair, array):
    stages = [
        {"$unwind": {"path": f"${array}", "includeArrayIndex": "at"}},
        {"$match": {array: {"$ne": True}, "at": {"$lt": 5}}},
        {"$project": {array: 1, "at": 1}},
    ]
    real, memory = (sorted(place(row) for row in each.aggregate(stages)) for each in pair)
    assert real == memory


# --- any filter -------------------------------------------------------------------------------------------------------

OPERANDS = st.sampled_from([value for value in VALUES if not isinstance(value, Regex)])
PATTERNS = st.sampled_from(
    ["a", "^a", "B", "b$", "a.b", "[ab]", "a|b", "^$", "\\d", "\\w", "(?:a)b", "a{1,2}", "[^a]", "k"]
)


def operators(depth):
    one = [
        st.tuples(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), OPERANDS),
        st.tuples(st.sampled_from(["$in", "$nin", "$all"]), st.lists(OPERANDS, max_size=3)),
        st.tuples(st.just("$exists"), st.booleans()),
        st.tuples(st.just("$type"), st.sampled_from(["double", "string", "object", "array", "bool", "int", "number"])),
        st.tuples(st.just("$mod"), st.sampled_from([[2, 1], [2, 0], [-3, 1], [3, -1], [7, 0]])),
        st.tuples(st.just("$size"), st.integers(0, 2)),
        st.tuples(st.just("$regex"), PATTERNS),
    ]  # fmt: skip
    if depth:
        inner = operators(depth - 1)
        queries = st.dictionaries(st.sampled_from(["x", "y", "0", "x.y"]), st.one_of(inner, OPERANDS), max_size=2)
        one += [st.tuples(st.just("$not"), inner), st.tuples(st.just("$elemMatch"), st.one_of(inner, queries))]
    return st.lists(st.one_of(one), min_size=1, max_size=2).map(dict)


PATHS = st.sampled_from(["a", "a.x", "a.x.y", "a.0", "a.0.x", "a.x.0", "a.0.0", "b"])
PLAIN = st.dictionaries(PATHS, st.one_of(operators(2), OPERANDS), min_size=1, max_size=2)
JOINED = st.dictionaries(st.sampled_from(["$and", "$or", "$nor"]), st.lists(PLAIN, min_size=1, max_size=2), max_size=1)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.one_of(PLAIN, PLAIN, JOINED))
@pytest.mark.slow
def test_any_filter_that_is_called_faithful_finds_what_a_server_finds(pair, asked):
    real, memory = pair
    if not unfaithful(asked):
        assert chosen(memory, asked) == chosen(real, asked)


IDS = [value for value in VALUES if not isinstance(value, list)] + [[1], {"$x": 1}, {"a": {"$x": 1}}, Timestamp(0, 0)]


def kept(collection, keys):
    """Which of the ids are taken, one after the other."""
    found = []
    for key in keys:
        try:
            collection.insert_one({"_id": key, "again": key})
            found.append(repr(key))
        except PyMongoError as error:
            found.append(getattr(error, "code", None))
    return found


def test_ids_are_taken_refused_and_equal_as_by_a_server(database):
    keys = [*IDS, 2**53 + 1, float(2**53), float(2**31), Binary(b"x", 2)]
    with fake.client() as memory:
        assert kept(memory["app"]["ids"], keys) == kept(database["ids"], keys)
        real, ours = ([row["_id"] for row in each["ids"].find().sort("_id", 1)] for each in (database, memory["app"]))
        assert list(map(repr, ours)) == list(map(repr, real))
