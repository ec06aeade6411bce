"""Hints that need a server: what doctor finds in it and in the state, what it refuses, and where it is."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate.mongo.process import HOST, free_port
from tests.apps import TASKS, oid, task, user

pytestmark = pytest.mark.slow  # verbs typed one after the other at a server: a quick run has others of their kind

HELD = {"holder": {"host": "another", "pid": 1, "born": 0.0, "command": "lbmigrate run"}, "run": "another"}


@pytest.fixture
def app(database, terminal):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(6)])
    terminal.configure(TASKS)
    return database


def fixes(terminal, subject):
    found = terminal("doctor", "--json").result["findings"]
    return [each["fix"] for each in found if each["subject"] == subject and each["level"] != "ok"]


@pytest.mark.slow
def test_what_doctor_finds_in_the_state_is_over_after_what_it_says(app, terminal):
    assert terminal("run", "--to", "3").code == 0
    rows = app["lbmigrate_state"]
    rows.update_one({"_id": "lock"}, {"$set": {**HELD, "expiresAt": dt.datetime(2099, 1, 1)}})
    assert terminal("pause").code == 0
    rows.update_one({"kind": "run"}, {"$set": {"outcome": "stopped", "options": {"command": "lbmigrate run --to 4"}}})
    assert fixes(terminal, "lock") == ["lbmigrate status (or `lbmigrate unlock` if it is gone)"]
    assert fixes(terminal, "control") == ["lbmigrate resume"]
    assert terminal("unlock", "--yes").code == 0
    assert terminal("resume").code == 0
    assert fixes(terminal, "last run") == ["lbmigrate run --to 4"]
    assert terminal("run", "--to", "4").code == 0
    assert [fixes(terminal, subject) for subject in ("lock", "control", "last run")] == [[], [], []]
    rows.update_one({"_id": "verdict"}, {"$set": {"passed": 5, "kind": "verdict"}}, upsert=True)
    app["leaderboard_entries"].update_many({}, {"$inc": {"score": 1}})
    assert terminal("verify").code == 5
    assert fixes(terminal, "last run") == ["lbmigrate history"]
    assert "mismatch" in terminal("history", "--json").out
    assert terminal("backfill", "--full").code == 0
    assert fixes(terminal, "last run") == []


def test_what_was_here_before_is_looked_at_and_a_newer_state_needs_a_newer_version(app, terminal):
    app["score_events"].insert_one({"_id": "theirs"})
    assert fixes(terminal, "leftovers") == ["look at db.score_events.findOne() before you run"]
    assert app["score_events"].find_one() == {"_id": "theirs"}
    app["score_events"].drop()
    assert fixes(terminal, "leftovers") == []
    app["lbmigrate_state"].insert_one({"_id": "step:1", "kind": "step", "layout": 99})
    assert fixes(terminal, "leftovers") == ["pip install --upgrade lbmigrate"]


@pytest.mark.slow
def test_entries_that_a_validator_of_somebody_refuses_are_taken_when_it_is_undone_as_the_plan_shows(app, terminal):
    assert terminal("run", "--to", "3").code == 0
    (before,) = app.list_collections(filter={"name": "leaderboard_entries"})
    app.command("collMod", "leaderboard_entries", validator={"score": {"$lt": 5}})
    refused = terminal("backfill")
    assert (refused.code, refused.hint) == (1, "lbmigrate plan")
    assert "leaderboard_entries has another validator" in " ".join(terminal("plan").out.split())
    app.command("collMod", "leaderboard_entries", validator=before["options"]["validator"])
    assert terminal("backfill").code == 0
    assert terminal("run").code == 0
    assert app["leaderboard_entries"].find_one({"_id": f"global:{oid(1)}"})["score"] == 30


@pytest.mark.slow
def test_a_server_is_found_where_the_hint_says_that_it_can_be_named(app, terminal, monkeypatch):
    dead = f"mongodb://{HOST}:{free_port()}/?serverSelectionTimeoutMS=100"
    wrong = [
        (dead, 1, "check that it runs and what MONGODB_URI or --uri says"),
        ("mongodb://app:p@ss:w0rd@/x", 2, "a password needs @ : / ? as %40 %3A %2F %3F"),
        (" ", 2, "export LBMIGRATE_URI=mongodb://HOST, or give it as --uri"),
        ("local:", 2, "write local:DIR, for example local:.lbmigrate"),
    ]
    for uri, code, hint in wrong:
        refused = terminal("plan", "--uri", uri)
        assert (refused.code, hint in refused.hint) == (code, True), refused.err
    assert terminal("plan", "--uri", terminal.uri).code == 3
    monkeypatch.setenv("LBMIGRATE_URI", terminal.uri)
    assert terminal("plan").code == 3
    monkeypatch.delenv("LBMIGRATE_URI")
    assert terminal("plan", "--uri", "local:.lbmigrate").code in (3, 6)


def test_a_view_that_is_read_whole_each_time_is_not_when_the_collection_beneath_is_named(app, terminal):
    app["tasks"].rename("raw")
    app.create_collection("tasks", viewOn="raw", pipeline=[{"$match": {"status": "done"}}])
    app["raw"].create_index("updatedAt")
    assert "name raw as the collection, if `where` and `unwind` can say it" in fixes(terminal, "tasks")
    terminal.configure({**TASKS, "collection": "raw"})
    assert not [fix for fix in fixes(terminal, "tasks") if "raw" in fix]
    assert terminal("run").code == 0
