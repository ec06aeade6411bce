"""What goes wrong is told with its subject and the next command, ends with the right code, and leaves no trace."""

from __future__ import annotations

import datetime as dt
import gzip
import re

import pytest
from bson import ObjectId

from lbmigrate.mongo.client import open_client, server_time
from lbmigrate.mongo.process import HOST, free_port, start_mongod
from lbmigrate.state import Holder, Lease, State
from tests.apps import SESSIONS, TASKS, oid, picture, session, task, user


@pytest.fixture
def app(database, terminal):
    """An app with two users and six tasks."""
    terminal.configure(TASKS)
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(6)])
    return database


def refused(outcome, code, *parts):
    """The outcome is that error: told in words, with what to type next."""
    assert outcome.code == code, outcome.err
    assert "Traceback" not in outcome.err
    assert "unexpected" not in outcome.err
    flat = " ".join(outcome.err.split())
    for part in parts:
        assert part in flat
    assert re.search(r"^next: \S", outcome.err, re.MULTILINE), outcome.err
    return flat


# --- the server -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["plan"], ["run"], ["status"], ["rollback", "--yes"], ["top"]], ids=" ".join)
def test_no_server(terminal, words):
    uri = f"mongodb://{HOST}:{free_port()}/?serverSelectionTimeoutMS=100"
    refused(terminal(*words, "--uri", uri), 1, "cannot be reached", "MONGODB_URI")


@pytest.fixture(scope="module")
def guarded(mongod, tmp_path_factory):
    """A server that asks for a password; `app` has one."""
    home = tmp_path_factory.mktemp("guarded")
    server = start_mongod(home, free_port())
    with open_client(server.uri) as client:
        client.admin.command("createUser", "app", pwd="s3cret-word", roles=["root"])
    server.stop()
    server = start_mongod(home, free_port(), extra=["--auth"])
    yield server.address
    server.stop()


def test_wrong_credentials(terminal, guarded):
    uri = f"mongodb://app:not-the-word@{guarded}/?directConnection=true"
    told = refused(terminal("plan", "--uri", uri), 1, "rejected the user name or the password", guarded)
    assert "not-the-word" not in told


def test_no_credentials(terminal, guarded):
    told = refused(terminal("plan", "--uri", f"mongodb://{guarded}/?directConnection=true"), 6, guarded)
    assert "log in" in told


def test_a_uri_that_is_none(terminal):
    told = refused(terminal("plan", "--uri", "mongodb://app:p@ss:w0rd@/x"), 2, "cannot be used as a MongoDB URI")
    assert "w0rd" not in told


# --- data -----------------------------------------------------------------------------------------------------------


def test_a_data_directory_that_is_not_there(terminal, tmp_path):
    refused(terminal("demo", "--data", str(tmp_path / "nowhere")), 2, "nowhere")


def test_an_empty_data_directory(terminal, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(terminal("demo", "--data", str(tmp_path / "empty")), 2, "holds no collection")


def test_a_data_directory_that_may_not_be_read(terminal, tmp_path):
    (tmp_path / "tasks.ndjson").mkdir()
    refused(terminal("demo", "--data", str(tmp_path)), 2, "tasks")


def test_a_data_directory_that_lacks_a_collection(terminal, tmp_path):
    (tmp_path / "tasks.ndjson").write_text("{}\n")
    refused(terminal("run", "--fixtures", str(tmp_path)), 2, "no file for sessions, users")


@pytest.mark.parametrize(
    ("text", "told"),
    [('{"a": 1}\n{"a": \n', "tasks.ndjson:2"), ("[1, 2]\n", "tasks.ndjson:1"), ("nonsense", "tasks.ndjson:1")],
)
def test_data_that_is_no_extended_json(terminal, tmp_path, text, told):
    terminal.configure(TASKS)
    (tmp_path / "users.ndjson").write_text('{"_id": 1}\n')
    (tmp_path / "tasks.ndjson").write_text(text)
    refused(terminal("run", "--fixtures", str(tmp_path)), 2, told)


def test_data_that_is_cut_off(terminal, tmp_path):
    terminal.configure(TASKS)
    (tmp_path / "users.ndjson").write_text('{"_id": 1}\n')
    (tmp_path / "tasks.ndjson.gz").write_bytes(gzip.compress(b'{"_id": 1}\n' * 100)[:-9])
    refused(terminal("run", "--fixtures", str(tmp_path)), 2, "tasks.ndjson.gz cannot be read")


# --- the sources ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["tasks", "users"])
def test_a_collection_that_is_not_there(app, terminal, missing):
    app.drop_collection(missing)
    told = refused(terminal("run"), 6, f"collection {missing!r} does not exist")
    assert "config show" in told
    assert "score_events" not in app.list_collection_names()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"user": "owner"}, "in scope has owner"),
        ({"at": ["finishedAt", "endedAt"]}, "in scope has finishedAt or endedAt"),
    ],
    ids=["user", "at"],
)
def test_a_path_that_no_document_has(app, terminal, change, told):
    terminal.configure({**TASKS, **change})
    before = picture(app)
    refused(terminal("run"), 6, "tasks", told, "config show")
    assert picture(app) == before


@pytest.mark.slow
def test_a_path_that_only_some_documents_need_is_a_warning(app, terminal):
    terminal.configure({**TASKS, "meta": {"mood": "mood"}})
    assert "in scope has mood" in " ".join(terminal("plan").out.split())
    assert terminal("run").code == 0


@pytest.mark.slow
def test_no_document_in_scope_is_told_and_its_empty_board_is_not_shown(app, terminal):
    terminal.configure({**TASKS, "where": {"status": "finished"}})
    assert "no document of tasks meets" in " ".join(terminal("plan").out.split())
    refused(terminal("run"), 6, "would show an empty board")
    assert app["feature_flags"].find_one({"_id": "leaderboard"})["read"] is False


def test_user_ids_of_two_types_are_refused_with_the_fix_before_anything_is_written(app, terminal):
    app["sessions"].insert_one({"_id": 1, "userId": str(oid(1)), "type": "focus", "endedAt": dt.datetime(2025, 1, 1)})
    terminal.configure(TASKS, SESSIONS)
    told = refused(terminal("run"), 6, "user ids are of 2 types", "tasks.userId", "sessions.userId", "as:")
    assert "objectId" in told
    assert app["score_events"].count_documents({}) == 0


@pytest.mark.slow
def test_user_ids_of_two_types_are_one_user_with_as(app, terminal):
    app["sessions"].insert_one(
        {"_id": 1, "userId": str(oid(1)), "type": "focus", "endedAt": dt.datetime(2025, 1, 1), "durationSec": 600}
    )
    as_object = {"path": "userId", "as": "objectId"}
    terminal.configure({**TASKS, "user": as_object}, {**SESSIONS, "user": as_object})
    assert terminal("run").code == 0
    assert app["leaderboard_entries"].find_one({"_id": f"global:{oid(1)}"})["score"] == 40


@pytest.mark.slow
def test_a_user_id_of_another_type_that_the_first_look_missed_is_a_reject_when_it_comes(app, terminal):
    app["tasks"].delete_many({})
    app["tasks"].insert_many([task(number, owner=1) for number in range(1_300)])
    app["tasks"].update_one({"_id": oid(1000 + 650)}, {"$set": {"userId": str(oid(1))}})
    terminal.configure(TASKS, backfill={"chunk_size": 100, "workers": 1})
    assert terminal("run").code == 0
    assert [row["sourceId"] for row in app["lbmigrate_rejects"].find()] == [oid(1000 + 650)]
    assert app["leaderboard_entries"].find_one({"_id": f"global:{oid(1)}"})["score"] == 12_990


def test_many_user_ids_of_another_type_are_refused_when_they_come(app, terminal):
    app["tasks"].delete_many({})
    app["tasks"].insert_many([task(number, owner=1) for number in range(1_300)])
    middle = {"_id": {"$gte": oid(1500), "$lt": oid(1800)}}  # between the ends that are looked at first
    app["tasks"].update_many(middle, {"$set": {"userId": str(oid(1))}})
    terminal.configure(TASKS, backfill={"chunk_size": 100, "workers": 1})
    refused(terminal("run"), 6, "user ids are of 2 types")
    assert {type(event["userId"]) for event in app["score_events"].find()} == {ObjectId}


@pytest.mark.slow
@pytest.mark.parametrize("owner", [None, "deleted account", 0, ...], ids=["null", "text", "number", "absent"])
@pytest.mark.parametrize("first", [500, 3_000], ids=["oldest", "newest"])
def test_many_documents_of_a_deleted_account_at_one_end_keep_nobody_from_the_board(app, terminal, owner, first):
    app["tasks"].delete_many({})
    app["tasks"].insert_many([task(1_000 + number, owner=1, hours=number) for number in range(2_000)])
    left = [task(first + number, owner=2, hours=first) for number in range(200)]
    for each in left:
        each.update(userId=owner) if owner is not ... else each.pop("userId")
    app["tasks"].insert_many(left)
    terminal.configure(TASKS, backfill={"chunk_size": 100, "workers": 2})
    for words in (("doctor",), ("run",), ("backfill", "--full"), ("reconcile",), ("verify", "--full")):
        assert terminal(*words).code == 0, words
    assert app["leaderboard_entries"].find_one({"_id": f"global:{oid(1)}"})["score"] == 20_000
    assert app["lbmigrate_rejects"].count_documents({}) == 200


@pytest.mark.slow
def test_on_a_live_board_the_odd_document_of_a_small_source_holds_no_other_up(app, terminal):
    app["sessions"].insert_one(session(1))
    app["tasks"].insert_many([task(number, owner=1) for number in range(10, 30)])
    terminal.configure(TASKS, SESSIONS)
    assert terminal("run").code == 0
    app["sessions"].delete_many({})
    app["sessions"].insert_one(session(77, userId="nobody"))
    app["tasks"].insert_one(task(77, owner=1))
    for words in (("backfill",), ("reconcile", "--allow", "100"), ("backfill", "--full"), ("verify", "--full")):
        assert terminal(*words).code == 0, words
    assert app["score_events"].find_one({"_id": f"task_complete:{oid(1077)}"})
    assert app["lbmigrate_rejects"].distinct("sourceId") == [session(77)["_id"]]


@pytest.mark.slow
def test_a_user_without_a_name_or_with_an_address_for_one_is_on_the_board_without_a_name(app, terminal):
    app["users"].update_one({"_id": oid(1)}, {"$unset": {"name": ""}})
    app["users"].update_one({"_id": oid(2)}, {"$set": {"name": "someone@example.org"}})
    assert "2 of 2" in " ".join(terminal("plan").out.split())
    assert terminal("run").code == 0
    done = terminal("top", "--json")
    assert [place["name"] for place in done.result["places"]] == [None, None]
    assert "example.org" not in done.out + terminal("top").out


# --- the configuration and the command line -------------------------------------------------------------------------


def test_a_configuration_for_another_version(app, terminal):
    terminal.configure(TASKS, version=2)
    refused(terminal("plan"), 2, "leaderboard.yaml", "version 2", "config init")


def test_no_configuration(terminal):
    terminal.config.unlink()
    refused(terminal("plan"), 2, "no configuration", "lbmigrate config init")


def test_every_problem_of_a_configuration_is_told_at_once(terminal):
    terminal.configure({**TASKS, "points": "minuts * 2", "colour": "red"}, timezone="Mars/Olympus")
    told = refused(terminal("plan"), 2, "3 problems", "sources[0].points", "sources[0].colour", "Mars/Olympus")
    assert re.search(r"leaderboard.yaml:\d+", told)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["migrate"], "migrate"),
        (["run", "--dryrun"], "--dryrun"),
        (["run", "--to", "nine"], "'--to'"),
        (["run", "--to", "9"], "no step 9"),
        (["run", "--only", "0"], "no step 0"),
        (["rollback", "--to", "7", "--yes"], "no step 7"),
        (["run", "--workers", "0"], "--workers"),
        (["run", "--since", "someday"], "--since 'someday'"),
        (["backfill", "--since", "2025-02-01", "--until", "2025-01-01"], "is not before"),
        (["run", "--lock-ttl", "soon"], "--lock-ttl 'soon'"),
        (["run", "--dry-run", "--fixtures", "/nowhere-at-all"], "/nowhere-at-all"),
        (["flag", "write", "maybe"], "maybe"),
        (["rank"], "'user'"),
        (["top", "-n", "0"], "-n"),
    ],
    ids=lambda words: " ".join(words[:2]).replace(HALF, "half"),
)
def test_a_verb_or_an_option_that_cannot_be_used(app, terminal, words, part):
    before = picture(app)
    refused(terminal(*words), 2, part)
    assert picture(app) == before
    assert "lbmigrate_state" not in app.list_collection_names()


HALF = "a\udcff"  # how Python has an argument whose bytes are not UTF-8


@pytest.mark.parametrize(
    "words",
    [
        ("rank", HALF), ("around", HALF), ("forget", HALF, "--yes"), ("top", "--period", HALF),
        ("status", "--uri", HALF), ("backfill", "--user", HALF), ("backfill", "--since", HALF),
        ("plan", "--database", HALF),
        ("run", "--backup-ref", HALF), ("backup", "restore", "B", "--digest", HALF), ("run", "--sample", HALF),
        ("config", "show", "--allow-functions", HALF),
    ],
    ids=lambda words: " ".join(words[:2]).replace(HALF, "half"),
)  # fmt: skip
def test_an_argument_that_is_not_utf8_is_a_usage_error(terminal, words):
    done = terminal(*words)
    assert done.code == 2
    assert "is not UTF-8: 'a\\udcff'" in done.err
    assert "next: " in done.err


def test_a_failure_shows_a_traceback_only_on_demand(terminal):
    terminal.config.write_text("version: 2\nsources: []\n")
    assert "Traceback" not in terminal("plan").err
    asked = terminal("plan", "--debug")
    assert "Traceback" in asked.err
    assert asked.code == 2


# --- two at once ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_second_runner_is_told_who_holds_the_lock_and_changes_nothing(app, terminal):
    state = State(app)
    lease = Lease(state, Holder("another-host", 4711, 0.0, "lbmigrate run"), lambda: server_time(app))
    lease.take()
    before = picture(app)
    rows = list(state.rows.find({"kind": {"$ne": "backup"}}))
    for words in (["run"], ["backfill"], ["verify"], ["rollback", "--yes"]):
        refused(terminal(*words), 4, "pid 4711 on another-host", "lbmigrate status")
    assert list(state.rows.find({"kind": {"$ne": "backup"}})) == rows
    assert picture(app) == before
    lease.release()
    assert terminal("run").code == 0
