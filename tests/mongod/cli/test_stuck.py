"""Where an operator would be stuck or misled: each situation, and that the command which is named ends it."""

from __future__ import annotations

import pytest

from tests.apps import NEW_YEAR, SESSIONS, TASKS, oid, session, task, user

pytestmark = pytest.mark.slow  # verbs typed one after the other at a server: a quick run has others of their kind


@pytest.fixture
def app(database, terminal):
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3, done=1) for number in range(30)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(12)])
    return database


# --- an empty board -------------------------------------------------------------------------------------------------

MISTYPED = {**TASKS, "where": {"done": True}}


@pytest.mark.slow
def test_a_filter_that_nothing_meets_is_not_cut_over_and_the_hint_ends_it(app, terminal):
    terminal.configure(MISTYPED)
    refused = terminal("run")
    assert refused.code == 6
    assert "would show an empty board" in refused.err
    assert "{'done': True}" in refused.err
    assert not (app["feature_flags"].find_one() or {}).get("read")
    assert terminal("flag", "read", "on").code == 6
    terminal.configure({**TASKS, "where": {"done": 1}})
    assert "lbmigrate backfill --full" in refused.err
    assert terminal("backfill", "--full").code == 0
    done = terminal("run")
    assert done.code == 0, done.err
    assert terminal("top", "--json").result["places"]


def test_an_app_without_any_history_may_begin_with_an_empty_board(database, terminal):
    for name in ("users", "tasks", "sessions"):
        database.create_collection(name)
    database["users"].insert_one(user(1))
    done = terminal("run")
    assert done.code == 0, done.err
    assert database["feature_flags"].find_one()["read"] is True


@pytest.mark.parametrize("way", ["corrected", "left out"])
def test_a_board_on_which_nothing_of_a_source_counts_is_not_shown_and_both_ways_of_the_hint_end_it(way, app, terminal):
    terminal.configure(MISTYPED, SESSIONS)
    refused = terminal("run")
    assert refused.code == 6
    assert "nothing of a source counts: tasks: no document of tasks meets {'done': True}" in refused.err
    assert refused.hint == (
        "correct its `where`, or leave the source out until some does, then: lbmigrate reconcile, then: lbmigrate run"
    )
    right = {**TASKS, "where": {"done": 1}}
    terminal.configure(*([right, SESSIONS] if way == "corrected" else [SESSIONS]))
    assert terminal("reconcile").code == 0
    done = terminal("run")
    assert done.code == 0, done.err
    assert app["score_events"].count_documents({}) == (42 if way == "corrected" else 12)
    assert app["feature_flags"].find_one()["read"] is True


# --- another time zone ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_after_a_corrected_time_zone_the_hint_of_a_mismatch_ends_it(app, terminal):
    app["tasks"].update_many({}, [{"$set": {"completedAt": {"$dateTrunc": {"date": "$completedAt", "unit": "week"}}}}])
    assert terminal("run").code == 0
    terminal.configure(timezone="America/New_York")
    found = terminal("verify", "--full")
    assert found.code == 5
    assert found.hint == "lbmigrate reconcile, then: lbmigrate verify"
    assert terminal("reconcile").code == 0
    assert terminal("verify").code == 0
    assert terminal("verify", "--full").code == 0
    assert terminal("plan").code == 0


# --- in parts, and late ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_reconciliation_in_parts_covers_what_it_saw_and_the_hint_finds_the_rest(app, terminal):
    assert terminal("run").code == 0
    assert terminal("reconcile", "--max-docs", "5").code == 3
    first = app["lbmigrate_state"].find_one({"_id": "watermark:tasks:reconcile"})["pass"]["began"]
    app["tasks"].update_one({"_id": oid(1000)}, {"$set": {"done": 0, "status": "todo"}})
    second = terminal("reconcile", "--json")
    assert second.code == 0
    assert "every source agrees" not in second.err
    assert f"agreed with the ledger when it was looked at, from {first:%Y-%m-%dT%H:%M:%SZ} on" in second.err
    assert "was not looked at; next: lbmigrate reconcile" in second.err
    assert (second.result["since"], second.result["adjustments"]) == (f"{first:%Y-%m-%dT%H:%M:%S}Z", {})
    third = terminal("reconcile", "--json")
    assert (third.result["since"], third.result["adjustments"]) == (None, {"voided": 1})
    assert "every source agrees" in terminal("reconcile").err


@pytest.mark.slow
def test_a_recount_before_the_first_pass_has_ended_names_what_must_come_first(app, terminal):
    assert terminal("recount").code == 2
    assert terminal("run", "--max-docs", "5").code == 3
    early = terminal("recount", "--json")
    assert early.code == 0
    assert "tasks: its first pass has not ended; next: lbmigrate backfill" in early.err
    assert terminal("backfill").code == 0
    app["tasks"].delete_one({"_id": oid(1000)})
    app["tasks"].insert_one(task(31, updatedAt=NEW_YEAR, completedAt=NEW_YEAR))
    found = terminal("recount", "--json")
    assert "its first pass" not in found.err
    assert found.result["counts"]["emitted"] == 1
    looks = terminal("status", "--json").result["sources"][0]["looks"]
    assert set(looks) == {"backfill", "recount"}
