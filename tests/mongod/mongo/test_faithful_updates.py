"""The in-memory database and a server, given the same updates: what one refuses the other refuses, and leaves alike."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Decimal128, Int64, ObjectId
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from lbmigrate.mongo import fake

VALUES = [
    None, True, 5, Int64(2**40), 7.5, "x", {}, {"b": 1}, {"b": "y"}, {"b": {"c": 1}}, {"b": [1]}, {"b": None}, [],
    [1, 2], [{"b": 1}], ["x", {"b": {"c": 2}}], {"0": 1}, dt.datetime(2024, 1, 1), ObjectId("0" * 24), Decimal128("2"),
]  # fmt: skip
DOCUMENTS = [{"z": 4}, *({"a": value, "z": 4} for value in VALUES)]
PATHS = ["a", "a.b", "a.b.c", "a.0", "a.0.b", "a.2", "a.3.b", "a.-1", "a.01", "n.b"]
ODD = [
    {"$set": {"a": 1, "a.b": 2}}, {"$set": {"b": 1}, "$unset": {"b.c": 1}}, {"$set": {"a": 1}, "$inc": {"a": 1}},
    {"$set": {"a.c": 1, "a.d.e": 1}}, {"$set": {"q": 1}, "$inc": {"a.b": 1}}, {"$set": {"q": 1, "a.b": 1}},
    {"$unset": {"a.b": 1}, "$set": {"a.c": 1}}, {"$set": {}}, {"$set": 5}, {"$foo": {"a": 1}}, {"$set": {"": 1}},
    {"$set": {"a.": 1}}, {"$set": {"$a": 1}}, {"$set": {"q": 1}, "$foo": {"a": 1}}, {"$inc": {"a": "x"}},
    {"$inc": {"a": None}}, {"$rename": {"a": "a"}}, {"$rename": {"a": 5}}, {"$rename": {"a": "_id"}},
    {"$rename": {"_id": "q"}}, {"$set": {"_id": 7}}, {"$set": {"_id": 1}}, {"$set": {"_id.x": 7}},
    {"$unset": {"_id": 1}}, {"$inc": {"_id": 1}}, {"$setOnInsert": {"_id": 9}}, {"$inc": {"a": Int64(1)}},
    {"$inc": {"a": 0.5}}, {"$inc": {"a": Decimal128("0.5")}}, {"$max": {"a": "m"}}, {"$min": {"a": None}},
]  # fmt: skip
OPERANDS = [
    ("$set", 9), ("$setOnInsert", 9), ("$unset", ""), ("$inc", 1), ("$mul", 2), ("$min", 6), ("$max", 6),
    ("$currentDate", True), ("$bit", {"or": 1}), ("$push", 9), ("$addToSet", 1), ("$pull", 1), ("$pullAll", [1]),
    ("$pop", 1), ("$rename", "q"), ("$rename", "q.r"),
]  # fmt: skip


@pytest.fixture
def pair(database):
    with fake.client() as memory:
        yield database["e"], memory["app"]["e"]


def plain(value):
    """A value with its type, but of the time of this update only that it is one."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return "now" if isinstance(value, dt.datetime) and value.year > 2024 else (type(value), value)


def outcome(collection, document, update):
    """How the update ends, and what it leaves of the document."""
    collection.delete_many({})
    collection.insert_one({**document, "_id": 1})
    try:
        collection.update_one({"_id": 1}, update)
        ended = None
    except PyMongoError as error:
        ended = type(error), error.code, str(error)[:20]
    return ended, plain(collection.find_one({"_id": 1}))


@pytest.mark.parametrize(("name", "operand"), OPERANDS, ids=str)
def test_a_field_is_changed_or_refused_as_by_a_server_wherever_its_path_leads(pair, name, operand):
    for document in DOCUMENTS:
        for path in PATHS:
            real, ours = (outcome(each, document, {name: {path: operand}}) for each in pair)
            assert ours[0] == real[0] or ours[0][:2] == real[0][:2], (document, path)
            assert ours[1] == real[1], (document, path)


def test_nothing_is_put_where_a_server_cannot_put_it(pair):
    for document in DOCUMENTS:
        for path in PATHS:
            real, ours = (outcome(each, document, {"$rename": {"z": path}}) for each in pair)
            assert (ours[0] and ours[0][:2], ours[1]) == (real[0] and real[0][:2], real[1]), (document, path)


@pytest.mark.parametrize("update", ODD, ids=str)
def test_what_is_refused_in_an_update_leaves_the_document_as_it_was(pair, update):
    for document in DOCUMENTS:
        real, ours = (outcome(each, document, update) for each in pair)
        assert (ours[0] and ours[0][:2], ours[1]) == (real[0] and real[0][:2], real[1]), document


def test_the_refusal_names_the_field_and_what_is_in_the_way(pair):
    for collection in pair:
        collection.insert_one({"_id": 1, "a": "text"})
        with pytest.raises(OperationFailure, match=r"""^Cannot create field 'b' in element \{a: "text"\}"""):
            collection.update_one({"_id": 1}, {"$set": {"a.b": 1}})


def test_an_upsert_a_bulk_and_a_find_and_modify_refuse_the_same(pair):
    def ways(collection):
        collection.insert_many([{"_id": 1, "a": "x"}, {"_id": 2, "a": {}}, {"_id": 3, "a": 1}])
        change = {"$set": {"a.b": 1}}
        with pytest.raises(OperationFailure) as of_one:
            collection.find_one_and_update({"_id": 1}, change)
        with pytest.raises(BulkWriteError) as of_many:
            collection.bulk_write([UpdateOne({"_id": key}, change) for key in (1, 2, 3)], ordered=False)
        with pytest.raises(OperationFailure) as of_an_upsert:
            collection.update_one({"_id": 9, "a": "x"}, change, upsert=True)
        codes = [(each["index"], each["code"]) for each in of_many.value.details["writeErrors"]]
        others = [(type(each.value), each.value.code) for each in (of_one, of_an_upsert)]
        return codes, others, list(collection.find().sort("_id", 1))

    real, ours = map(ways, pair)
    assert ours == real
    assert ours[0] == [(0, 28), (2, 28)]


def test_an_upsert_makes_a_document_with_the_id_that_it_is_given(pair):
    def made(collection):
        collection.update_one({"k": 1}, {"$setOnInsert": {"_id": 5, "n.m": 1}, "$inc": {"c": 1}}, upsert=True)
        collection.update_one({"k": 1}, {"$setOnInsert": {"_id": 6, "c.m": 1}, "$push": {"n.l": 1}}, upsert=True)
        with pytest.raises(OperationFailure) as caught:
            collection.update_one({"_id": 7}, {"$set": {"_id": 8}}, upsert=True)
        return caught.value.code, list(collection.find())

    real, ours = map(made, pair)
    assert ours == real
