"""The commands for a cluster. There is none here: a stand-in keeps what it is sent and answers as a `mongos` does."""

from __future__ import annotations

import pytest
from mongomock_ng import MongoClient

from lbmigrate.errors import Refused
from lbmigrate.ledger import sharding
from lbmigrate.mongo import fake
from tests.apps import App


class Router:
    """A database behind a `mongos` of two shards, as far as sharding asks."""

    def __init__(self, version="6.0.5", done=(), filled=()):
        self.name, self.sent, self.client, self.filled = "app", [], self, filled
        self._version = version
        config = MongoClient()["config"]
        config["shards"].insert_many([{"_id": "one"}, {"_id": "two"}])
        config["collections"].insert_many([{"_id": f"app.{name}"} for name in ("unsharded", *done)])
        self._parts = {"config": config, "admin": self}

    def __getitem__(self, name):
        if name in self._parts:
            return self._parts[name]
        collection = MongoClient()["app"][name]
        if name in self.filled:
            collection.insert_one({})
        return collection

    def server_info(self):
        return {"version": self._version}

    def list_collection_names(self, **_):
        return ["leaderboard_entries__2025_W44"]

    def command(self, command):
        self.sent.append(command)
        if "shardCollection" in command:
            self._parts["config"]["collections"].insert_one({"_id": command["shardCollection"]})
        return {"ok": 1}


NAMES = ["score_events", "leaderboard_entries", "leaderboard_entries__2025_W44"]


def test_every_collection_of_the_leaderboard_is_sharded_by_the_hash_of_the_user_and_split_beforehand():
    assert sharding.due(Router()) == [
        {"enableSharding": "app"},
        *({"shardCollection": f"app.{name}", "key": {"userId": "hashed"}, "numInitialChunks": 4} for name in NAMES),
    ]


def test_a_server_that_splits_by_itself_and_a_collection_that_holds_documents_get_no_number_of_chunks():
    newer = sharding.due(Router("8.0.4"))
    assert all("numInitialChunks" not in command for command in newer)
    filled = sharding.due(Router(filled=["score_events"]))
    assert ["numInitialChunks" in command for command in filled[1:]] == [False, True, True]


def test_what_is_sharded_already_is_left_alone():
    assert [each["shardCollection"] for each in sharding.due(Router(done=NAMES[:2]))[1:]] == [f"app.{NAMES[2]}"]
    assert sharding.due(Router(done=NAMES)) == []


def test_a_run_gives_the_commands_each_with_the_index_that_it_needs_and_a_repeat_gives_none():
    router = Router()

    class Surroundings:
        target = router

    told = [piece.note for piece in sharding.pieces(Surroundings())]
    assert told == [f"sharded {name} by the hash of userId" for name in NAMES]
    assert [next(iter(command)) for command in router.sent] == [
        "enableSharding", *["createIndexes", "shardCollection"] * 3
    ]  # fmt: skip
    router.sent.clear()
    assert list(sharding.pieces(Surroundings())) == []
    assert router.sent == []


def test_the_commands_are_told_as_one_types_them():
    assert sharding.lines(Router("8.0.4"))[1] == (
        'db.adminCommand({"shardCollection": "app.score_events", "key": {"userId": "hashed"}})'
    )


def test_a_server_that_is_no_router_is_refused():
    with pytest.raises(Refused, match="no mongos"):
        sharding.check(App(fake.client()["app"]).context())
