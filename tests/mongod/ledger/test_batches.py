"""Batches that are read and inserted in commands of our own, on a real server: alike in all that the driver's do."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import bson
import pymongo
import pytest
from bson import CodecOptions, DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient, ReadPreference
from pymongo.database import Database
from pymongo.errors import AutoReconnect, BulkWriteError, NotPrimaryError, OperationFailure, PyMongoError

from lbmigrate.ledger import batches, raw_reads
from lbmigrate.ledger.batches import Ready
from lbmigrate.ledger.events import insert_each
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.concerns import durable
from lbmigrate.mongo.faults import codes, is_transient
from tests.runs import FAILPOINTS, failing, replica_set

pytestmark = pytest.mark.usefixtures("mongod")
SOME = [{"_id": n, "text": "a" * (n % 7)} for n in range(25)]
LOST = {"closeConnection": True}
STEPPED_DOWN = {"writeConcernError": {"code": 189, "errmsg": "stepped down"}}  # when all of it was written
LATE = {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}


def ready(documents: list[Any]) -> list[Ready]:
    return [Ready(bson.encode(each)) for each in documents]


@pytest.fixture
def some(database):
    """A collection that is written and read as a run does, empty."""
    return durable(database)["some"]


@pytest.fixture(scope="module")
def frail(tmp_path_factory: pytest.TempPathFactory, mongod: Any) -> Iterator[Any]:
    """The same on a server whose commands can be made to fail."""
    with replica_set(tmp_path_factory.mktemp("frail"), 1, FAILPOINTS) as (node,), open_client(node.uri) as client:
        yield durable(client["frail"])["some"]


@pytest.fixture
def on_frail(frail: Any) -> Any:
    frail.drop()
    return frail


def read(collection: Any, size: int, **how: Any) -> list[list[Any]]:
    found = raw_reads.read(collection, {"_id": {"$gte": 0}}, {"text": 1}, size, {"_id": 1})
    return [bson.decode_all(each.all()) for each in found]


def all_of(found: list[list[Any]]) -> list[Any]:
    return [document for some in found for document in some]


def refused(insert: Any) -> list[tuple[int, int]]:
    """Which documents were not taken, and the code of each."""
    with pytest.raises(BulkWriteError) as raised:
        insert()
    assert str(raised.value)
    return sorted((each["index"], each["code"]) for each in raised.value.details["writeErrors"])


def test_documents_come_in_batches_of_the_size_that_was_asked_for(some):
    assert read(some, 10) == []
    some.insert_many(SOME)
    assert [len(each) for each in read(some, 10)] == [10, 10, 5]
    assert all_of(read(some, 10)) == SOME
    assert all_of(read(some, 1_000)) == SOME


def test_a_limit_of_time_ends_no_reading_that_is_faster(some):
    some.insert_many(SOME)
    with pymongo.timeout(30):
        assert all_of(read(some, 10)) == SOME


def cursors(client: MongoClient[Any]) -> int:
    """How many are open on the server."""
    return int(client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"])


def test_who_stops_reading_leaves_no_cursor_on_the_server(some):
    client = some.database.client
    some.insert_many(SOME)
    before = cursors(client)
    reading = raw_reads.read(some, {"_id": {"$gte": 0}}, {"text": 1}, 10)
    assert len(next(reading)) == 10
    assert cursors(client) == before + 1
    reading.close()
    assert cursors(client) == before


@pytest.mark.slow
def test_a_reading_that_a_fault_ends_leaves_no_cursor_and_is_told_as_the_driver_tells_it(on_frail):
    client = on_frail.database.client
    on_frail.insert_many(SOME)
    before = cursors(client)
    with failing(client, "getMore", 1, **LOST), pytest.raises(AutoReconnect):
        read(on_frail, 10)
    assert cursors(client) == before
    with failing(client, "getMore", 1, errorCode=91), pytest.raises(NotPrimaryError) as raised:
        read(on_frail, 10)
    assert codes(raised.value) == {91}
    assert "RawBSON" not in str(raised.value)


def test_behind_a_load_balancer_cursors_are_the_drivers_which_keeps_them_at_their_server():
    with MongoClient[Any](loadBalanced=True, connect=False) as client:
        assert not raw_reads._is_plain(durable(client["app"])["some"])


def test_other_members_are_read_by_the_driver(some):
    some.insert_many(SOME)
    elsewhere = some.with_options(read_preference=ReadPreference.PRIMARY_PREFERRED)
    assert all_of(read(elsewhere, 10)) == SOME


@pytest.mark.slow
def test_a_command_that_fails_is_left_to_the_driver(on_frail):
    on_frail.insert_many(SOME)
    for how in (LOST, {"errorCode": 91}):
        with failing(on_frail.database.client, "find", 1, **how):
            assert all_of(read(on_frail, 10)) == SOME
    with failing(on_frail.database.client, "find", 3, errorCode=13), pytest.raises(OperationFailure):
        read(on_frail, 10)


def test_what_the_server_does_not_take_is_told_as_the_driver_tells_it(some):
    some.insert_one(SOME[3])
    some.database.command("collMod", "some", validator={"_id": {"$ne": 7}})
    own = refused(lambda: batches.insert(some, ready(SOME)))
    kept = list(some.find())
    some.delete_many({"_id": {"$ne": 3}})
    assert own == refused(lambda: some.insert_many(SOME, ordered=False)) == [(3, 11000), (7, 121)]
    assert kept == list(some.find())
    assert len(kept) == len(SOME) - 1


def test_what_a_command_inserted_whose_answer_was_lost_is_no_duplicate(some):
    """But for what was there before, and says something else."""
    command = Database.command

    def cut(database: Any, *asked: Any, **how: Any) -> Any:
        command(database, *asked, **how)
        raise AutoReconnect("connection closed")

    some.insert_one({**SOME[3], "text": "of others"})
    with patch.object(Database, "command", cut):
        found = insert_each(some, ready(SOME))
    assert [each["_id"] for each in found.taken] == [3]
    assert some.count_documents({}) == len(SOME)


@pytest.mark.parametrize("unique", [True, False], ids=["unique index", "validator"])
def test_a_refusal_that_quotes_a_date_which_python_does_not_have_is_told_like_any_other(some, unique):
    odd = [{"_id": n, "when": DatetimeMS(10**15)} for n in range(3)]
    if unique:
        some.create_index("when", unique=True)
    else:
        rule = {"$or": [{"_id": 0}, {"$expr": {"$lt": ["$when", dt.datetime(2030, 1, 1)]}}]}
        some.database.create_collection("some", validator=rule)
    found = insert_each(some, [Ready(bson.encode(each)) for each in odd])
    assert (some.count_documents({}), [*found.refused]) == (1, [1, 2])


@pytest.mark.parametrize("code", [189, 91, 6, 112])
def test_documents_that_the_server_could_not_take_for_now_are_sent_again_by_the_driver(some, code):
    """A router says so of each document when a shard has another primary, and a server that steps down of the rest."""
    command = Database.command

    def half(database: Any, asked: Any, **how: Any) -> Any:
        reply = command(database, {**asked, "documents": asked["documents"][:12]}, **how)
        left = [{"index": n, "code": code, "errmsg": "not now"} for n in range(12, len(SOME))]
        return {**reply, "writeErrors": reply.get("writeErrors", []) + left}

    some.insert_one({**SOME[3], "text": "of others"})
    with patch.object(Database, "command", half):
        found = insert_each(some, ready(SOME))
    assert [each["_id"] for each in found.taken] == [3]
    assert some.count_documents({}) == len(SOME)


@pytest.mark.slow
@pytest.mark.parametrize("how", [LOST, STEPPED_DOWN], ids=["lost", "stepped down"])
def test_what_a_command_inserted_before_its_fault_is_no_duplicate(on_frail, how):
    on_frail.insert_one({**SOME[3], "text": "of others"})
    with failing(on_frail.database.client, "insert", 1, **how):
        found = insert_each(on_frail, ready(SOME))
    assert [each["_id"] for each in found.taken] == [3]
    assert on_frail.count_documents({}) == len(SOME)


@pytest.mark.slow
def test_a_write_that_no_majority_has_is_raised(on_frail):
    with failing(on_frail.database.client, "insert", 1, **LATE), pytest.raises(BulkWriteError) as raised:
        batches.insert(on_frail, ready(SOME))
    assert raised.value.details["writeConcernErrors"][0]["code"] == 64


# --- changes -------------------------------------------------------------------------------------------------------


def versions(*numbers: int) -> list[Any]:
    """Changes of the first version of these documents to the second."""
    return [({"_id": number, "rev": 1}, {"$set": {"rev": 2}}) for number in numbers]


def stored(collection: Any) -> dict[int, int]:
    return {each["_id"]: each["rev"] for each in collection.find()}


@pytest.fixture
def first(some):
    """Three documents in their first version, and one in its second."""
    some.insert_many({"_id": number, "rev": 1 + number // 3} for number in range(4))
    return some


@pytest.mark.parametrize("is_in_a_set", [True, False], ids=["in a set", "not known to be in one"])
@pytest.mark.parametrize("most", [3, 1_000])
def test_changes_tell_how_many_documents_were_as_they_had_to_be(first, monkeypatch, most, is_in_a_set):
    monkeypatch.setattr(batches, "MOST_UPDATES", most)
    monkeypatch.setattr(batches, "is_in_a_set", lambda _: is_in_a_set)
    assert batches.change(first, versions(0, 2, 3, 9)) == 2
    assert stored(first) == {0: 2, 1: 1, 2: 2, 3: 2}


def test_a_change_that_the_server_does_not_take_is_told_as_the_driver_tells_it(first):
    changes = [*versions(0), ({"_id": 1}, {"$set": {"_id": 7}}), *versions(2)]
    assert refused(lambda: batches.change(first, changes)) == [(1, 66)]
    assert stored(first) == {0: 2, 1: 1, 2: 2, 3: 2}


def test_changes_whose_answer_was_lost_are_sent_again_and_made_once(first):
    command = Database.command

    def cut(database: Any, *asked: Any, **how: Any) -> Any:
        command(database, *asked, **how)
        raise AutoReconnect("connection closed")

    with patch.object(Database, "command", cut):
        assert batches.change(first, versions(0, 1)) == 0, "it is not known of any of them that it was this one"
    assert stored(first) == {0: 2, 1: 2, 2: 1, 3: 2}


@pytest.mark.slow
@pytest.mark.parametrize("how", [LOST, STEPPED_DOWN, {"errorCode": 91}], ids=str)
def test_changes_that_a_fault_ends_are_sent_again_by_the_driver(on_frail, how):
    on_frail.insert_many({"_id": number, "rev": 1} for number in range(3))
    with failing(on_frail.database.client, "update", 1, **how):
        batches.change(on_frail, versions(0, 1))
    assert stored(on_frail) == {0: 2, 1: 2, 2: 1}


@pytest.mark.slow
def test_a_change_that_no_majority_has_is_raised(on_frail):
    on_frail.insert_one({"_id": 0, "rev": 1})
    with failing(on_frail.database.client, "update", 1, **LATE), pytest.raises(BulkWriteError) as raised:
        batches.change(on_frail, versions(0))
    assert raised.value.details["writeConcernErrors"][0]["code"] == 64


def test_what_is_sent_once_is_told_with_the_election_under_which_it_was_written(first):
    term = first.database.client.admin.command("replSetGetStatus")["term"]
    with batches.once() as terms:
        batches.insert_one(first, {"_id": 10, "rev": 1})
        batches.change(first, versions(0))
    batches.change(first, versions(1))
    assert terms == [term, term]


@pytest.mark.slow
@pytest.mark.parametrize("how", [LOST, STEPPED_DOWN, {"errorCode": 91}, LATE], ids=str)
@pytest.mark.parametrize("verb", ["insert", "update"])
def test_what_is_sent_once_is_not_sent_again_after_a_fault(on_frail, verb, how):
    on_frail.insert_one({"_id": 1, "rev": 1})
    write = {
        "insert": lambda: batches.insert_one(on_frail, {"_id": 2}),
        "update": lambda: batches.change(on_frail, versions(1)),
    }
    with (
        failing(on_frail.database.client, verb, 1, **how),
        batches.once() as terms,
        pytest.raises(PyMongoError) as raised,
    ):
        write[verb]()
    assert is_transient(raised.value)
    assert terms == []


def test_a_document_that_is_ready_can_be_copied():
    document = Ready(bson.encode(SOME[9]))
    assert copy.deepcopy(document).raw == document.raw


# --- both ----------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_into_one_command_is_cut_by_the_driver(some, monkeypatch):
    monkeypatch.setattr(batches, "MOST_BYTES", 100)
    batches.insert(some, ready(SOME))
    assert list(some.find()) == SOME


def test_a_document_that_is_ready_can_be_looked_into():
    document, usual = Ready(bson.encode(SOME[9])), RawBSONDocument(bson.encode(SOME[9]), batches.CODECS)
    assert (document["_id"], {**document}, len(document)) == (9, SOME[9], 2)
    assert document == usual
    assert repr(document).endswith(repr(usual).removeprefix("RawBSONDocument"))
    assert not hasattr(document, "another")
    assert bson.encode(document, codec_options=CodecOptions()) == document.raw
