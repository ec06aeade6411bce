"""What the in-memory database does faster than the library behind it must come out as the library has it."""

from __future__ import annotations

import copy
import datetime as dt
from functools import partial

import mongomock_ng
from bson import Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbmigrate import fake

OIDS = [ObjectId(f"{number:024x}") for number in (7, 1, 300)]
TIMES = [dt.datetime(2024, 1, day, 5) for day in (3, 1, 2)]
TYPES = ("number", "string", "object", "array", "binData", "objectId", "bool", "date", "timestamp", "int", "long")
PATHS = st.sampled_from(["_id", "a", "b", "a.x", "a.0"])

numbers = st.sampled_from([0, 1, 2, -1, 2**40, Int64(1), Int64(3), 1.0, 0.5, float("nan")])
scalars = st.one_of(
    st.none(), st.booleans(), numbers, st.sampled_from(["", "a", "b", "ab"]), st.sampled_from([*OIDS, *TIMES, b"x"])
)
nested = st.fixed_dictionaries({"x": scalars})
values = st.one_of(scalars, scalars, nested, st.lists(st.one_of(scalars, nested), max_size=3))
ids = st.one_of(st.integers(0, 9), st.sampled_from(["a", "b", *OIDS]), nested)
# Many collections of one kind of value each: those are what is narrowed a column at a time.
uniform = st.sampled_from([numbers, st.integers(0, 3), st.sampled_from(OIDS), st.sampled_from(TIMES), nested])
documents = st.one_of(st.just(values), uniform).flatmap(
    lambda value: st.lists(st.fixed_dictionaries({"_id": ids}, optional={"a": value, "b": value}), max_size=12)
)

operators = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), values),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=3)),
    st.tuples(st.just("$type"), st.sampled_from(TYPES)),
    st.tuples(st.just("$exists"), st.booleans()),
)
conditions = st.one_of(values, st.lists(operators, min_size=1, max_size=2).map(dict))
plain = st.dictionaries(PATHS, conditions, max_size=2)
combined = st.dictionaries(st.sampled_from(["$and", "$or"]), st.lists(plain, min_size=1, max_size=2), max_size=1)
filters = st.one_of(plain, plain, combined)
sorts = st.lists(st.tuples(PATHS, st.sampled_from([1, -1])), max_size=2, unique_by=lambda pair: pair[0])
projections = st.sampled_from(
    [None, {}, {"a": 1}, {"a": 0}, {"_id": 0, "b": True}, {"_id": 1}, {"_id": 0}, ["b"], {"a.x": 1}, {"a.x": 1, "b": 1}]
)
updates = st.one_of(
    st.builds(lambda path, value: {"$set": {path: value}}, st.sampled_from(["a", "b", "a.x"]), values),
    st.sampled_from([{"$unset": {"a": ""}}, {"$inc": {"b": 1}}, {"$set": {"b": 1}, "$setOnInsert": {"a": 2}}]),
)


def find(filter, sort, skip, limit, fields, collection):
    return list(collection.find(filter, copy.deepcopy(fields), sort=sort or None, skip=skip, limit=limit))


def grouped(filter, path, collection):
    rows = [{"$match": filter}, {"$group": {"_id": f"${path}", "n": {"$sum": 1}, "all": {"$push": "$_id"}}}]
    return list(collection.aggregate(rows))


bounds = st.integers(0, 3)
queries = st.one_of(
    st.builds(lambda *asked: partial(find, *asked), filters, sorts, bounds, bounds, projections),
    st.builds(lambda *asked: lambda e: e.find_one(asked[0], sort=asked[1] or None), filters, sorts),
    st.builds(lambda asked: lambda e: e.count_documents(asked), filters),
    st.builds(lambda *asked: partial(grouped, *asked), filters, st.sampled_from(["a", "b"])),
)
writes = st.one_of(
    st.builds(lambda some: lambda e: e.insert_many(copy.deepcopy(some), ordered=False).inserted_ids, documents),
    st.builds(lambda *asked: lambda e: e.update_many(*asked).raw_result["n"], filters, updates),
    st.builds(lambda *asked: lambda e: e.update_one(*asked, upsert=True).raw_result["n"], st.just({"_id": 3}), updates),
    st.builds(lambda asked: lambda e: e.delete_many(asked).deleted_count, filters),
)
# The same question again may be answered by an index, and must not be after a write.
steps = st.one_of(queries.map(lambda ask: [ask] * 3), st.tuples(queries, writes, queries).map(list))


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


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents, st.lists(steps, min_size=1, max_size=4))
def test_every_query_and_write_ends_as_in_the_original(some, sequence):
    pair = fake.client()["app"]["e"], mongomock_ng.MongoClient(uuidRepresentation="standard")["app"]["e"]
    for call in [lambda e: e.insert_many(copy.deepcopy(some), ordered=False).inserted_ids, *sum(sequence, [])]:
        ours, theirs = (outcome(call, each) for each in pair)
        assert ours == theirs or theirs[0] == "AttributeError"  # it cannot project scalars away from an array
    assert exactly(list(pair[0].find())) == exactly(list(pair[1].find()))
