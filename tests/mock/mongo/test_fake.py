from __future__ import annotations

import builtins
import sys
import threading

import pytest
from bson import ObjectId
from bson.codec_options import CodecOptions
from pymongo import InsertOne, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError, CollectionInvalid, DuplicateKeyError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo import fake
from lbmigrate.values import extjson

SCHEMA = {"$jsonSchema": {"bsonType": "object", "required": ["points"]}}


@pytest.fixture
def client():
    return fake.client()


@pytest.fixture
def db(client):
    return client["app"]


@pytest.fixture
def impatient_threads():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def at_once(*works):
    """Run the functions in threads that begin together; return what they returned."""
    barrier, results = threading.Barrier(len(works)), [None] * len(works)

    def work(index, function):
        barrier.wait()
        results[index] = function()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_without_the_extra_the_message_says_how_to_install_it(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("mongomock_ng"):
            raise ImportError(name)
        return original(name, *args, **options)

    monkeypatch.delitem(sys.modules, "lbmigrate.mongo.fake.memory", raising=False)
    monkeypatch.delattr(fake, "memory", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(LbmigrateError) as caught:
        fake.client()
    assert caught.value.hint == "pip install 'lbmigrate[dryrun]'"


def test_two_clients_share_nothing(db):
    db.tasks.insert_one({"_id": 1})
    assert fake.client()["app"].tasks.find_one() is None


def test_looking_creates_nothing(client, db):
    assert db.tasks.find_one() is None
    assert db.tasks.count_documents({}) == 0
    assert db.list_collection_names() == db.list_collection_names(filter={"name": "tasks"}) == []
    assert list(db.list_collections(filter={"name": "tasks"})) == []
    assert client.list_database_names() == []


def test_duplicates_are_reported_and_the_rest_is_inserted(db):
    db.e.insert_one({"_id": "a"})
    with pytest.raises(BulkWriteError) as caught:
        db.e.insert_many([{"_id": "a"}, {"_id": "b"}, {"_id": "b"}, {"_id": "c"}], ordered=False)
    details = caught.value.details
    assert details["nInserted"] == 2
    assert [(error["index"], error["code"]) for error in details["writeErrors"]] == [(0, 11000), (2, 11000)]
    assert sorted(db.e.distinct("_id")) == ["a", "b", "c"]


def test_a_bulk_mixes_inserts_and_conditional_updates(db):
    db.e.insert_many([{"_id": 1, "rev": 1}, {"_id": 2, "rev": 5}])
    bulk = [
        InsertOne({"_id": 1}),
        UpdateOne({"_id": 1, "rev": 1}, {"$set": {"score": 7}, "$inc": {"rev": 1}}),
        UpdateOne({"_id": 2, "rev": 1}, {"$set": {"score": 7}, "$inc": {"rev": 1}}),
        InsertOne({"_id": 3}),
    ]
    with pytest.raises(BulkWriteError) as caught:
        db.e.bulk_write(bulk, ordered=False)
    assert [error["index"] for error in caught.value.details["writeErrors"]] == [0]
    assert (caught.value.details["nInserted"], caught.value.details["nMatched"]) == (1, 1)
    assert list(db.e.find().sort("_id", 1)) == [{"_id": 1, "rev": 2, "score": 7}, {"_id": 2, "rev": 5}, {"_id": 3}]


def test_an_upsert_that_meets_another_holder_is_a_duplicate_key(db):
    def take(now):
        return db.state.find_one_and_update(
            {"_id": "lock", "expires": {"$lt": now}},
            {"$set": {"expires": now + 60}, "$inc": {"fence": 1}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )

    assert take(0)["fence"] == 1
    with pytest.raises(DuplicateKeyError):
        take(30)
    assert take(90)["fence"] == 2


@pytest.mark.usefixtures("impatient_threads")
def test_two_threads_inserting_the_same_count_each_document_once(db):
    def insert():
        try:
            return len(db.e.insert_many([{"_id": key} for key in range(1000)], ordered=False).inserted_ids)
        except BulkWriteError as error:
            return error.details["nInserted"]

    assert sum(at_once(insert, insert)) == db.e.count_documents({}) == 1000


@pytest.mark.usefixtures("impatient_threads")
def test_two_threads_updating_one_document_lose_nothing(db):
    def add():
        for _ in range(200):
            db.e.find_one_and_update({"_id": 1}, {"$inc": {"n": 1}})
            db.e.update_one({"_id": 1}, {"$inc": {"n": 1}})

    db.e.insert_one({"_id": 1, "n": 0})
    at_once(add, add)
    assert db.e.find_one() == {"_id": 1, "n": 800}


@pytest.mark.usefixtures("impatient_threads")
def test_a_reader_sees_whole_documents_while_another_thread_writes(db):
    def write():
        for number in range(300):
            db.e.update_many({}, {"$set": {"a": number, "b": number, f"field{number}": 1}})

    def read():
        return all(each["a"] == each["b"] for _ in range(100) for each in db.e.find({"a": {"$gte": 0}}))

    db.e.insert_many([{"_id": key, "a": 0, "b": 0} for key in range(5)])
    assert at_once(write, read)[1]


def test_a_validator_is_stored_and_listed_but_not_applied(db):
    db.create_collection("e", validator=SCHEMA, validationLevel="strict")
    [listed] = db.list_collections(filter={"name": "e"})
    assert listed["options"]["validator"] == db.e.options()["validator"] == SCHEMA
    db.e.insert_one({"_id": 1})
    db.e.update_one({"_id": 1}, {"$set": {"x": 1}})
    assert db.e.count_documents({}) == 1
    with pytest.raises(CollectionInvalid):
        db.create_collection("e")


def test_a_dropped_collection_leaves_no_options_behind(db):
    db.create_collection("e", validator=SCHEMA)
    db.drop_collection("e")
    assert db.list_collection_names() == []
    db.e.insert_one({})
    assert db.e.options() == {}


def test_a_database_is_dropped_by_name_or_by_itself(client):
    for given in ("app", client["app"]):
        client["app"].e.insert_one({})
        client.drop_database(given)
        assert client.list_database_names() == []


def test_ids_are_looked_up_with_the_rest_of_the_filter(db):
    oid = ObjectId()
    db.e.insert_many([{"_id": 1, "x": 1}, {"_id": "1", "x": 1}, {"_id": oid, "x": 2}, {"_id": {"k": 1}, "x": 3}])
    assert db.e.find_one({"_id": oid}) == {"_id": oid, "x": 2}
    assert db.e.find_one({"_id": {"k": 1}})["x"] == 3
    assert db.e.find_one({"_id": None}) is None
    assert db.e.count_documents({"_id": {"$in": [1, "1", oid, 1, 9]}}) == 3
    assert [each["_id"] for each in db.e.find({"_id": {"$in": [1, "1", oid]}, "x": 1})] == [1, "1"]
    assert [each["_id"] for each in db.e.find({"_id": {"$gt": 0, "$in": [1]}})] == [1]


def test_what_means_nothing_in_memory_is_accepted_without_a_warning(db):
    db.e.insert_many([{"_id": key} for key in range(5)])
    e = db.get_collection("e", read_concern=ReadConcern("majority"), write_concern=WriteConcern("majority"))
    e = e.with_options(write_concern=WriteConcern(1), codec_options=CodecOptions(tz_aware=False))
    cursor = e.find({}, {"_id": 1}, hint="_id_", batch_size=2, comment="c", allow_disk_use=True, max_time_ms=5)
    assert [each["_id"] for each in cursor.sort("_id", -1).hint("_id_").batch_size(2).comment("c").limit(2)] == [4, 3]
    assert e.count_documents({"_id": {"$gt": 1}}, hint="_id_", limit=2) == 2
    assert e.update_one({"_id": 1}, {"$set": {"x": 1}}, hint="_id_").modified_count == 1
    assert len(list(e.aggregate([{"$match": {"x": 1}}], allowDiskUse=True, comment="c"))) == 1
    assert e.delete_many({"_id": {"$lt": 3}}, hint="_id_").deleted_count == 3
    assert e.estimated_document_count() == 2


def test_an_array_is_unwound_with_its_index(db):
    db.users.insert_one({"_id": 1, "done": [{"n": 5}, {"n": 6}], "noise": 1})
    pipeline = [
        {"$match": {"_id": 1}},
        {"$unwind": {"path": "$done", "includeArrayIndex": "at"}},
        {"$project": {"done.n": 1, "at": 1}},
    ]
    assert list(db.users.aggregate(pipeline)) == [
        {"_id": 1, "done": {"n": 5}, "at": 0},
        {"_id": 1, "done": {"n": 6}, "at": 1},
    ]


def test_a_cursor_can_be_rewound(db):
    db.e.insert_many([{"_id": 1}, {"_id": 2}])
    cursor = db.e.find().sort("_id", 1)
    assert next(cursor) == {"_id": 1}
    cursor.rewind()
    assert list(cursor) == [{"_id": 1}, {"_id": 2}]


def test_exported_files_are_loaded_in_batches(db, tmp_path):
    extjson.write(tmp_path / "tasks.ndjson.gz", [{"_id": key} for key in range(25)])
    extjson.write(tmp_path / "users.json", [{"_id": "u"}])
    assert extjson.load(tmp_path, db, ["tasks", "users"], batch=10) == {"tasks": 25, "users": 1}
    assert db.tasks.distinct("_id") == list(range(25))
    assert db.users.find_one() == {"_id": "u"}


def test_loading_a_document_twice_names_the_place(db, tmp_path):
    extjson.write(tmp_path / "tasks.ndjson", [{"_id": 1}, {"_id": 2}, {"_id": 3}, {"_id": 2}])
    with pytest.raises(LbmigrateError, match=r"tasks\.ndjson:4: the same _id as in line 2"):
        extjson.load(tmp_path, db, ["tasks"], batch=2)
