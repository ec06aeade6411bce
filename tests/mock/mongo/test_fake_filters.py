"""Filters and orders of the in-memory database: a column at a time, by an index, or a document at a time, all agree."""

from __future__ import annotations

import copy
import datetime as dt

import pytest
from bson import DBRef, Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbmigrate.errors import UsageError
from lbmigrate.mongo import fake
from lbmigrate.mongo.fake.comparison import identity
from lbmigrate.mongo.fake.conditions import query, unfaithful
from lbmigrate.mongo.fake.patterns import searching

OIDS = st.sampled_from([ObjectId(f"{number:024x}") for number in (7, 1, 300)])
TIMES = st.sampled_from([dt.datetime(2024, 1, day, 5) for day in (3, 1, 2)])
NUMBERS = st.sampled_from([0, 1, 2, -1, 2**40, Int64(1), Int64(3), 1.0, 0.5, float("nan"), Decimal128("0.5")])
WORDS = st.sampled_from(["", "a", "b", "ab"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(0, 3), NUMBERS, WORDS, OIDS, TIMES, st.just(b"x"))
NESTED = st.fixed_dictionaries({"x": SCALARS})
VALUES = st.one_of(SCALARS, NESTED, st.lists(st.one_of(SCALARS, NESTED), max_size=3))
# Values of one kind throughout a collection are what is decided a column at a time, or by an index.
KINDS = [VALUES, SCALARS, NUMBERS, st.integers(0, 3), st.booleans(), st.one_of(st.none(), WORDS), OIDS, TIMES, NESTED]
TYPES = ("number", "string", "object", "array", "binData", "objectId", "bool", "date", "timestamp", "int", "long")
PATHS = st.sampled_from(["a", "a", "a", "b", "_id", "a.x", "a.0"])


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
    joined = st.sampled_from(["$and", "$or", "$nor"])
    return st.one_of(plain, plain, st.dictionaries(joined, st.lists(plain, min_size=1, max_size=2), max_size=1))


@st.composite
def collections(draw):
    """Documents with values of one kind, and a filter that asks for them, and for some others."""
    kind = draw(st.sampled_from(KINDS))
    some = draw(st.lists(st.fixed_dictionaries({}, optional={"a": kind, "b": kind}), min_size=1, max_size=12))
    return [{"_id": number, **fields} for number, fields in enumerate(some)], draw(filters(st.one_of(kind, VALUES)))


def ids(documents):
    return [document["_id"] for document in documents]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(collections(), st.sampled_from(["a", "b"]), st.sampled_from([1, -1]), st.integers(0, 3))
def test_every_way_of_finding_documents_finds_the_same(some, path, way, most):
    documents, asked = some
    wanted = ids(filter(query(asked), documents))
    collection = fake.client()["app"]["e"]
    collection.insert_many(copy.deepcopy(documents))
    for _ in range(3):  # an index answers from the second question on
        assert ids(collection.find(asked)) == wanted
        in_order = ids(collection.find(asked).sort(path, way))
        assert sorted(in_order) == wanted
        assert ids(collection.find(asked).sort(path, way).limit(most)) == (in_order[:most] if most else in_order)
    assert collection.delete_many(asked).deleted_count == len(wanted)
    assert ids(collection.find()) == [number for number in ids(documents) if number not in wanted]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True), (0, False), (1, "1"), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ("a", b"a"), (0.5, Decimal128("0.25")),
        (float("nan"), None), (2**53 + 1, float(2**53)),
    ],
)  # fmt: skip
def test_ids_that_a_server_tells_apart_are_two(one, other):
    assert identity(one) != identity(other)
    collection = fake.client()["app"]["e"]
    collection.insert_many([{"_id": one}, {"_id": other}])
    assert [repr(row["_id"]) for row in collection.find({"_id": one})] == [repr(one)]
    collection.update_one({"_id": other}, {"$set": {"x": 1}})
    assert collection.delete_one({"_id": one}).deleted_count == 1
    assert collection.find_one() == {"_id": other, "x": 1}


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (Int64(1), Decimal128("1.0")), (float("nan"), Decimal128("NaN")), (0.0, -0.0),
     (DBRef("c", 1), {"$ref": "c", "$id": 1})],
)  # fmt: skip
def test_ids_that_a_server_takes_for_one_are_one(one, other):
    assert identity(one) == identity(other)


def test_a_reference_is_a_document_to_a_query_and_a_reference_to_who_reads_it():
    collection = fake.client()["app"]["e"]
    collection.insert_one({"_id": DBRef("c", 1), "owner": DBRef("users", 7)})
    assert collection.find_one({"owner.$id": 7}) == {"_id": DBRef("c", 1), "owner": DBRef("users", 7)}
    assert collection.find_one({}, {"owner.$id": 1, "_id": 0}) == {"owner": {"$id": 7}}


def test_what_is_not_known_to_be_faithful_is_named_where_it_stands_inside_others():
    asked = {
        "a": 1,
        "$or": [{"$expr": {"$eq": ["$a", 1]}}, {"$and": [{"b": {"$regex": "(?i)x"}}, {"c": {"$bitsAllSet": 1}}]}],
        "d": {"$elemMatch": {"$geoWithin": {}}},
        "e": {"$not": {"$regex": "é", "$options": "i"}},
        "f": {"$size": -1},
    }
    assert unfaithful(asked) == [
        "$expr", "$regex '(?i)x'", "$bitsAllSet", "$geoWithin", "$regex 'é' with $options 'i'",
        "$size with other than a whole number",
    ]  # fmt: skip


ENDLESS = ["(a+)+$", "(a*)*b", "((a)?b*)+c", "(a|a)*b", "(?:a|ab){5,}c", "(?=(a+)+)b", "a*a*a*a*b", "(x(y(z+)))+"]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_may_be_searched_for_ever_is_left_to_a_server(pattern):
    assert list(unfaithful({"a": {"$regex": pattern}}))


@pytest.mark.parametrize("pattern", ["^a", "a.*b$", "(ab)+c", "^(?:a|b)$", "[ab]{3}-\\d+", "a?b?c?"])
def test_a_pattern_that_ends_soon_is_searched_for_in_memory(pattern):
    assert list(unfaithful({"a": {"$regex": pattern}})) == []


def test_a_text_in_which_a_search_may_take_for_ever_ends_it_with_what_to_do():
    search = searching("a.*b", "")
    assert search("x" * 10 + "aab")
    with pytest.raises(UsageError, match="6,000,000 characters") as caught:
        search("a" * 6_000_000)
    assert "--engine mongod" in caught.value.hint
    assert searching("^a", "")("a" * 6_000_000), "without a repetition no length takes long"
