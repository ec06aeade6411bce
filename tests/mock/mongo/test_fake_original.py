"""What the in-memory database does faster than the library behind it must come out as the library has it."""

from __future__ import annotations

import copy
import datetime as dt
from functools import partial
from itertools import chain

import mongomock_ng
import pytest
from bson import Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbmigrate.mongo import fake

OIDS = st.sampled_from([ObjectId(f"{number:024x}") for number in (7, 1, 300)])
TIMES = st.sampled_from([dt.datetime(2024, 1, day, 5) for day in (3, 1, 2)])
NUMBERS = st.sampled_from([0, 1, 2, -1, 2**40, Int64(1), Int64(3), 1.0, 0.5, float("nan")])
WORDS = st.sampled_from(["", "a", "b", "ab"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(0, 3), NUMBERS, WORDS, OIDS, TIMES, st.just(b"x"))
NESTED = st.fixed_dictionaries({"x": SCALARS})
VALUES = st.one_of(SCALARS, NESTED, st.lists(st.one_of(SCALARS, NESTED), max_size=3))
# Values of one kind throughout a collection are what is decided a column at a time, or by an index.
KINDS = [VALUES, SCALARS, NUMBERS, st.integers(0, 3), st.one_of(st.none(), WORDS), OIDS, TIMES, NESTED]

TYPES = ("number", "string", "object", "array", "binData", "objectId", "bool", "date", "timestamp", "int", "long")
PATHS = st.sampled_from(["a", "a", "a", "b", "_id", "a.x", "a.0"])
IDS = st.one_of(st.integers(0, 9), WORDS, OIDS, NESTED)
SORTS = st.lists(st.tuples(PATHS, st.sampled_from([1, -1])), max_size=2, unique_by=lambda pair: pair[0])
PROJECTIONS = st.sampled_from(
    [None, {}, {"a": 1}, {"a": 0}, {"_id": 0, "b": True}, {"_id": 1}, {"_id": 0}, ["b"], {"a.x": 1}, {"a.x": 1, "b": 1}]
)
BOUNDS = st.integers(0, 3)


def filters(values):
    operators = st.one_of(
        st.tuples(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), values),
        st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=3)),
        st.tuples(st.just("$type"), st.sampled_from(TYPES)),
        st.tuples(st.just("$exists"), st.booleans()),
    )
    asked = st.lists(operators, min_size=1, max_size=2).map(dict)
    conditions = st.one_of(values, asked, st.builds(lambda inner: {"$not": inner}, asked))
    plain = st.dictionaries(PATHS, conditions, max_size=2)
    parts = st.dictionaries(
        st.sampled_from(["$and", "$or", "$nor"]), st.lists(plain, min_size=1, max_size=2), max_size=1
    )
    return st.one_of(plain, plain, parts)


def updates(values):
    setting = st.builds(lambda path, value: {"$set": {path: value}}, st.sampled_from(["a", "b", "a.x"]), values)
    others = [{"$unset": {"a": ""}}, {"$set": {"a": 1}, "$inc": {"b": 1}}, {"$set": {"b": 1}, "$setOnInsert": {"a": 2}}]
    return st.one_of(setting, st.sampled_from(others))


def find(asked, sort, skip, limit, fields, collection):
    return list(collection.find(asked, copy.deepcopy(fields), sort=sort or None, skip=skip, limit=limit))


def find_one(asked, sort, collection):
    return collection.find_one(asked, sort=sort or None)


def count(asked, collection):
    return collection.count_documents(asked)


def group(asked, path, collection):
    rows = [{"$match": asked}, {"$group": {"_id": f"${path}", "n": {"$sum": 1}, "all": {"$push": "$_id"}}}]
    return list(collection.aggregate(rows))


def insert(some, collection):
    return collection.insert_many(copy.deepcopy(some), ordered=False).inserted_ids


def update(asked, change, collection):
    return collection.update_many(asked, change).raw_result["n"]


def upsert(change, collection):
    return collection.update_one({"_id": 3}, change, upsert=True).raw_result["n"]


def delete(asked, collection):
    return collection.delete_many(asked).deleted_count


@st.composite
def scripts(draw):
    """Documents to begin with, then questions and writes, all about values of one kind and some others."""
    kind = draw(st.sampled_from(KINDS))
    document = st.fixed_dictionaries({"_id": IDS}, optional={"a": kind, "b": kind})
    documents = st.lists(document, max_size=12)
    values = st.one_of(kind, kind, VALUES)
    asked, change = filters(values), updates(values)
    questions = st.one_of(
        st.builds(partial, st.just(find), asked, SORTS, BOUNDS, BOUNDS, PROJECTIONS),
        st.builds(partial, st.just(find_one), asked, SORTS),
        st.builds(partial, st.just(count), asked),
        st.builds(partial, st.just(group), asked, st.sampled_from(["a", "b"])),
    )
    writes = st.one_of(
        st.builds(partial, st.just(insert), documents),
        st.builds(partial, st.just(update), asked, change),
        st.builds(partial, st.just(upsert), change),
        st.builds(partial, st.just(delete), asked),
    )
    # The same question again may be answered by an index, but not after a write.
    steps = st.one_of(questions.map(lambda ask: [ask] * 3), st.tuples(questions, writes, questions).map(list))
    return [partial(insert, draw(documents)), *chain.from_iterable(draw(st.lists(steps, min_size=1, max_size=4)))]


def exactly(value):
    """Of equal form only for values that are equal, type for type; the order of fields does not matter."""
    if isinstance(value, dict):
        return sorted((key, exactly(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return [exactly(each) for each in value]
    return type(value).__name__, repr(value)


def outcome(call, collection):
    try:
        return exactly(call(collection))
    except Exception as error:  # whatever the original raises
        return type(error).__name__, exactly(getattr(error, "details", None))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts())
@pytest.mark.slow
def test_every_query_and_write_ends_as_in_the_original(script):
    pair = fake.client()["app"]["e"], mongomock_ng.MongoClient(uuidRepresentation="standard")["app"]["e"]
    for call in script:
        ours, theirs = (outcome(call, each) for each in pair)
        # The original cannot project a scalar away from an array.
        assert ours == theirs or theirs[:1] == ("AttributeError",)
    assert exactly(list(pair[0].find())) == exactly(list(pair[1].find()))
