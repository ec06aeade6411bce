"""`reconcile` at a terminal, on a real server; and what a roll-up makes of adjustments as they come off the wire."""

from __future__ import annotations

import uuid

import pytest
from bson import Int64

from lbmigrate.ledger import rollup
from lbmigrate.migration.steps import STEPS
from lbmigrate.rehearsal.outcome import summary
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, oid, picture, task, user

DEARER = {**TASKS, "points": 15}


@pytest.fixture
def app(migrated):
    return migrated


@pytest.mark.slow
def test_a_dry_run_lists_what_is_due_and_writes_nothing_at_all(app, terminal):
    app["tasks"].update_one({"_id": oid(1003)}, {"$set": {"status": "todo"}})
    before, state = picture(app), list(app["lbmigrate_state"].find())
    done = terminal("reconcile", "--dry-run")
    assert done.code == 0
    assert f"task_complete:{oid(1003)}#1" in done.out
    assert "1 voided; nothing was written" in done.err
    assert (picture(app), list(app["lbmigrate_state"].find())) == (before, state)
    result = terminal("reconcile", "--dry-run", "--json").result
    assert result["adjustments"] == {"voided": 1}
    assert [event["points"] for event in result["listed"]] == [-10]


@pytest.mark.slow
def test_a_reconciliation_is_on_record_and_its_entries_verify(app, terminal):
    app["tasks"].update_many({"userId": oid(3)}, {"$set": {"userId": oid(1)}})
    done = terminal("reconcile", "--json")
    assert done.code == 0
    assert done.result["adjustments"] == {"moved": 20}
    assert done.result["counts"]["adjusted"] == 10
    assert app["lbmigrate_state"].find_one({"verb": "reconcile"})["outcome"] == "done"
    assert app["leaderboard_entries"].find_one({"_id": f"global:{oid(3)}"})["score"] == 0
    assert terminal("verify", "--full").code == 0
    again = terminal("reconcile", "--json")
    assert again.result["adjustments"] == {}
    assert "every source agrees with the ledger" in again.err


@pytest.mark.slow
def test_a_changed_rule_ends_in_the_digests_of_a_fresh_migration(app, terminal):
    events = {event["_id"]: event for event in app["score_events"].find()}
    terminal.configure(DEARER, SESSIONS)
    assert terminal("reconcile").code == 0
    found = summary(app)
    after = {event["_id"]: event for event in app["score_events"].find()}
    assert {name: after[name] for name in events} == events
    assert terminal("rollback", "--yes").code == 0
    assert terminal("run").code == 0
    fresh = summary(app)
    for name in ("sha256_global", "sha256_week", "points", "entries"):
        assert found[name] == fresh[name], name


@pytest.mark.slow
@pytest.mark.parametrize("make", [oid, "user-{:03}".format, lambda number: uuid.UUID(int=number), int])
def test_a_roll_up_sees_what_stands_whatever_names_its_users(database, terminal, make):
    terminal.configure(TASKS)
    database["users"].insert_many([user(number, _id=make(number)) for number in (1, 2)])
    days = [task(number, userId=make(1 + number % 2), hours=12 * number) for number in range(20)]
    database["tasks"].insert_many(days)
    assert terminal("run").code == 0
    streaks = {entry["userId"]: entry["streak"] for entry in database["leaderboard_entries"].find({"period": "global"})}
    assert streaks == {make(1): 10, make(2): 10}
    database["tasks"].update_one({"_id": oid(1008)}, {"$set": {"status": "todo"}})
    database["tasks"].update_many({"userId": make(2)}, {"$set": {"status": "todo"}})
    assert terminal("reconcile").code == 0
    streaks = {entry["userId"]: entry["streak"] for entry in database["leaderboard_entries"].find({"period": "global"})}
    assert streaks == {make(1): 5, make(2): 0}
    assert terminal("verify", "--full").code == 0


def test_a_roll_up_sees_a_reason_that_all_its_events_have(database):
    app = App(database)
    app.apply(STEPS[:3])
    meta = {"origin": "live", "reason": "voided"}
    rest = {"userId": oid(1), "actionType": "done", "points": Int64(-1), "meta": meta, "createdAt": NEW_YEAR}
    database["score_events"].insert_many(
        [{"_id": f"done:{number}#1", "sourceId": number, **rest} for number in range(3)]
    )
    rollup.roll_up(app.context(), {"$in": [oid(1)]})
    assert app.entries()[f"global:{oid(1)}"]["streak"] == 0


def test_a_database_without_a_leaderboard_is_told_what_to_do_first(database, terminal):
    done = terminal("reconcile")
    assert done.code == 2
    assert "lbmigrate run" in done.err
    assert database.list_collection_names() == []


@pytest.mark.slow
def test_a_limit_ends_it_early_and_the_next_one_goes_on(app, terminal):
    terminal.configure(DEARER, SESSIONS)
    assert terminal("reconcile", "--max-docs", "5").code == 3
    assert terminal("reconcile").code == 0
    assert app["score_events"].count_documents({"meta.reason": "rescored"}) == 30
    assert terminal("verify", "--full").code == 0
