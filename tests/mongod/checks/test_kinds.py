"""Kinds of collections as sources and as targets: each works, or is refused in words that end the situation."""

from __future__ import annotations

import re

import pytest
from bson import ObjectId

from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.state import COLLECTION
from tests.apps import NEW_YEAR, TASKS, oid, task, user

pytestmark = pytest.mark.slow  # verbs typed one after the other at a server: a quick run has others of their kind

TEN = [task(number, owner=1 + number % 3, priority="low") for number in range(10)]
CLUSTERED = {"clusteredIndex": {"key": {"_id": 1}, "unique": True}}
SERIES = {"timeseries": {"timeField": "completedAt"}}
INSENSITIVE = {"collation": {"locale": "en", "strength": 2}}


@pytest.fixture
def app(database, terminal):
    """Three users, and a configuration for their tasks; the collection of the tasks is the test's to make."""
    database["users"].insert_many([user(number, avatar="a.png", hidden=False) for number in (1, 2, 3)])
    terminal.configure(TASKS)
    return database


def told(terminal, level):
    """The findings of a level: a fact for each, and what to do about it."""
    found = terminal("doctor", "--json").result["findings"]
    return {each["fact"]: each["fix"] for each in found if each["level"] == level and each["subject"] != "backup"}


def named(sentences, words):
    (found,) = [sentence for sentence in sentences if words in sentence]
    return found


def is_complete(app, terminal, count=10):
    """Whether everything counts once, after one more of all that may be scheduled."""
    for verb in ("backfill", "reconcile", "verify"):
        assert terminal(verb).code == 0
    return app[EVENTS].count_documents({}) == count and terminal("verify", "--full").code == 0


# --- sources -------------------------------------------------------------------------------------------------------


def a_view(app):
    app["raw"].insert_many(TEN)
    app.create_collection("tasks", viewOn="raw", pipeline=[{"$match": {"status": "done"}}])


def hashed_ids(app):
    app["tasks"].insert_many(TEN)
    app["tasks"].create_index([("_id", "hashed")])


def of_kind(ids=None, **options):
    def make(app):
        app.create_collection("tasks", **options)
        app["tasks"].insert_many([{**each, "_id": ids(n) if ids else each["_id"]} for n, each in enumerate(TEN)])

    return make


SOURCES = {
    "a view": a_view,
    "capped": of_kind(capped=True, size=100_000),
    "clustered": of_kind(**CLUSTERED),
    "ids that a collation orders": of_kind(lambda n: f"{'tT'[n % 2]}{n}", **INSENSITIVE),
    "ids that a collation orders as numbers": of_kind(
        lambda n: f"t{n + 5}", collation={"locale": "fr", "numericOrdering": True}
    ),
    "a hashed index on _id": hashed_ids,
    "compound ids": of_kind(lambda n: {"list": n // 2, "place": float(n)}),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_a_source_of_this_kind_is_counted_once_however_often_it_is_read(app, terminal, make):
    make(app)
    assert told(terminal, "refusal") == {}
    assert terminal("run").code == 0
    assert is_complete(app, terminal)


@pytest.mark.slow
def test_doctor_and_tail_say_that_a_view_is_not_followed_and_a_backfill_settles_it(app, terminal):
    a_view(app)
    assert terminal("run").code == 0
    fact = "tasks is a view of raw: it has no change streams, so tail does not follow it"
    assert told(terminal, "warning")[fact].startswith("schedule lbmigrate backfill")
    refused = terminal("tail", "--max-runtime", "1s")
    assert refused.code == 6
    assert "no change stream" in refused.err
    assert "next: schedule lbmigrate backfill" in refused.err
    app["raw"].insert_one(task(20))
    assert is_complete(app, terminal, 11)


def test_a_view_that_repeats_its_ids_is_refused_and_counts_when_the_array_is_unwound(app, terminal):
    app["raw"].insert_many([{**each, "items": [{"n": number} for number in range(3)]} for each in TEN])
    app.create_collection("tasks", viewOn="raw", pipeline=[{"$unwind": "$items"}])
    fix = told(terminal, "refusal")[f"tasks has 3 documents with the _id {oid(1000)}: only one of them would count"]
    assert fix.startswith("name raw as the collection, and the array as `unwind`")
    for verb in ("run", "backfill"):
        assert terminal(verb).code == 6
    assert EVENTS not in app.list_collection_names()
    terminal.configure({**TASKS, "collection": "raw", "unwind": "items", "where": {"status": "done"}})
    assert terminal("run").code == 0
    assert is_complete(app, terminal, 30)


def test_a_view_that_leaves_the_ids_out_is_refused_and_counts_when_they_are_in(app, terminal):
    app["raw"].insert_many(TEN)
    app.create_collection("tasks", viewOn="raw", pipeline=[{"$project": {"_id": 0}}])
    fact = "10 of 10 documents of tasks have no _id, which makes an action count once"
    assert told(terminal, "refusal")[fact].startswith("leave _id in the view's $project")
    assert terminal("run").code == 6
    assert EVENTS not in app.list_collection_names()
    app["tasks"].drop()
    app.create_collection("tasks", viewOn="raw", pipeline=[{"$match": {"status": "done"}}])
    assert terminal("run").code == 0
    assert is_complete(app, terminal)


def test_a_view_that_leaves_the_ids_out_later_on_takes_nothing_back(app, terminal):
    a_view(app)
    assert terminal("run").code == 0
    app["tasks"].drop()
    app.create_collection("tasks", viewOn="raw", pipeline=[{"$project": {"_id": 0}}])
    for verb in (["backfill"], ["backfill", "--full"], ["recount"], ["reconcile"]):
        refused = terminal(*verb)
        assert refused.code == 6, verb
        assert "have no _id" in refused.err
    assert app[EVENTS].count_documents({}) == 10


def test_some_documents_of_a_view_without_an_id_stand_in_nobodys_way(app, terminal):
    app["raw"].insert_many([{**each, "ref": each["_id"]} for each in TEN])
    app["raw"].insert_many([task(20), task(21)])
    app.create_collection("tasks", viewOn="raw", pipeline=[{"$project": {**dict.fromkeys(TEN[0], 1), "_id": "$ref"}}])
    assert any("2 of 12 documents of tasks have no _id" in fact for fact in told(terminal, "warning"))
    for verb in (["run"], ["backfill", "--full"], ["recount"], ["reconcile"], ["verify", "--full"]):
        done = terminal(*verb)
        assert done.code == 0, (verb, done.err)
    assert app[EVENTS].count_documents({}) == 10


def test_documents_of_a_view_that_share_an_id_later_on_are_rejects_that_say_why(app, terminal):
    a_view(app)
    assert terminal("run").code == 0
    app["tasks"].drop()
    app["raw"].update_many({}, {"$set": {"items": [1, 2, 3]}})
    app.create_collection("tasks", viewOn="raw", pipeline=[{"$unwind": "$items"}])
    read = terminal("backfill", "--full", "--json")
    counts = read.result["counts"]
    assert (counts["read"], counts["emitted"], counts["duplicates"], counts["rejected"]) == (30, 0, 10, 20)
    (reason,) = app[REJECTS].distinct("reason")
    assert reason == "another document has the same _id, so this one does not count"


@pytest.mark.parametrize("beneath", [False, True], ids=["itself", "beneath a view"])
def test_a_time_series_collection_is_refused_as_a_source(app, terminal, beneath):
    name = "raw" if beneath else "tasks"
    app.create_collection(name, **SERIES)
    app[name].insert_many(TEN)
    if beneath:
        app.create_collection("tasks", viewOn="raw", pipeline=[])
    fact = named(told(terminal, "refusal"), "a time-series collection: nothing makes the _id of its documents unique")
    assert "($merge)" in told(terminal, "refusal")[fact]
    assert terminal("run").code == terminal("backfill").code == 6
    app[name].aggregate([{"$merge": "copied"}])
    terminal.configure({**TASKS, "collection": "copied"})
    assert terminal("run").code == 0
    assert is_complete(app, terminal)


@pytest.mark.parametrize("kind", ["capped", "expiring", "TTL"])
def test_a_source_that_loses_documents_is_told_for_a_reconciliation_takes_them_back(app, terminal, kind):
    options = {"capped": {"capped": True, "size": 100_000}, "expiring": {**CLUSTERED, "expireAfterSeconds": 10**9}}
    app.create_collection("tasks", **options.get(kind, {}))
    app["tasks"].insert_many(TEN)
    if kind == "TTL":
        app["tasks"].create_index("createdAt", expireAfterSeconds=10**9)
    fact = "tail and lbmigrate reconcile take back what a document was worth that is gone"
    assert named(told(terminal, "warning"), fact)
    assert terminal("run").code == 0


def test_a_source_that_is_not_there_is_refused_with_what_is(app, terminal):
    assert terminal("run").code == 6
    assert named(told(terminal, "refusal"), "collection 'tasks' does not exist in")
    app["tasks"].insert_many(TEN)
    assert terminal("run").code == 0


# --- targets -------------------------------------------------------------------------------------------------------

CAPPED = {"capped": True, "size": 100_000}
UNFIT = {
    "capped events": (EVENTS, CAPPED, "score_events is capped"),
    "capped entries": (ENTRIES, CAPPED, "leaderboard_entries is capped"),
    "capped rejects": (REJECTS, CAPPED, "lbmigrate_rejects is capped"),
    "capped state": (COLLECTION, CAPPED, "lbmigrate_state is capped"),
    "events with a collation": (EVENTS, INSENSITIVE, "score_events has a collation (en)"),
    "entries with a collation": (ENTRIES, INSENSITIVE, "leaderboard_entries has a collation (en)"),
    "events as time series": (EVENTS, {"timeseries": {"timeField": "createdAt"}}, "score_events is a time-series"),
    "entries that expire": (ENTRIES, {**CLUSTERED, "expireAfterSeconds": 10**9}, "has expireAfterSeconds"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "words"), UNFIT.values(), ids=UNFIT)
def test_what_cannot_be_written_to_is_refused_and_the_command_that_is_named_ends_that(
    app, terminal, name, options, words
):
    app["tasks"].insert_many(TEN)
    app.create_collection(name, **options)
    refused = told(terminal, "refusal")
    for verb in ("run", "backfill"):
        assert terminal(verb).code == 6
    type_in_the_shell(app, refused[named(refused, words)])
    assert told(terminal, "refusal") == {}
    assert terminal("run").code == 0
    assert is_complete(app, terminal)


def type_in_the_shell(app, command):
    """Do what a command of mongosh does that a message names."""
    name, what, argument = re.match(r".*?db\.(\w+)\.(\w+)\((?:'([^']*)')?\)", command).groups()
    {"renameCollection": app[name].rename, "drop": app[name].drop, "dropIndex": app[name].drop_index}[what](
        *[argument] if argument else []
    )


@pytest.mark.slow
def test_a_clustered_ledger_is_as_good(app, terminal):
    app["tasks"].insert_many(TEN)
    app.create_collection(EVENTS, **CLUSTERED)
    assert terminal("run").code == 0
    assert is_complete(app, terminal)


def test_a_flag_that_would_vanish_is_refused(app, terminal):
    app["tasks"].insert_many(TEN)
    app.create_collection("feature_flags", **CAPPED)
    assert named(told(terminal, "refusal"), "feature_flags is capped")
    terminal.configure(TASKS, flag={"collection": "switches"})
    assert terminal("run").code == 0


def test_a_ledger_that_is_not_sharded_by_its_ids_is_refused(app, terminal, client):
    """No cluster is needed to see it: where a collection lives is said in a document."""
    app["tasks"].insert_many(TEN)
    where = client["config"]["collections"]
    where.insert_one({"_id": f"{app.name}.{EVENTS}", "key": {"userId": 1}})
    try:
        assert named(told(terminal, "refusal"), "score_events is sharded by {'userId': 1}: two shards could each")
        where.update_one({"_id": f"{app.name}.{EVENTS}"}, {"$set": {"key": {"_id": "hashed"}}})
        assert told(terminal, "refusal") == {}
    finally:
        where.delete_one({"_id": f"{app.name}.{EVENTS}"})


UNIQUE = {
    "events by their time": (EVENTS, ["createdAt"]),
    "events by their source": (EVENTS, ["actionType", "sourceId"]),
    "entries by their name": (ENTRIES, ["displayNameSnapshot"]),
    "rejects by their source": (REJECTS, ["source"]),
    "the state by its kind": (COLLECTION, ["name"]),
}


@pytest.mark.parametrize(("name", "fields"), UNIQUE.values(), ids=UNIQUE)
def test_a_unique_index_that_refuses_what_is_no_duplicate_is_refused_by_its_name(app, terminal, name, fields):
    app["tasks"].insert_many([{**each, "completedAt": NEW_YEAR} for each in TEN])
    app[name].create_index([(field, 1) for field in fields], unique=True, name="theirs")
    refused = told(terminal, "refusal")
    fact = named(refused, f"{name}.theirs is a unique index that lbmigrate did not make")
    assert terminal("run").code == 6
    type_in_the_shell(app, refused[fact])
    assert terminal("run").code == 0
    assert is_complete(app, terminal)


def test_a_unique_index_that_no_event_can_meet_is_no_ones_affair(app, terminal):
    app["tasks"].insert_many([{**each, "_id": ObjectId()} for each in TEN])
    app[ENTRIES].create_index([("userId", 1), ("period", 1)], unique=True)
    assert told(terminal, "refusal") == {}
