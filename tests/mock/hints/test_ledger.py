"""What is wrong with the ledger, the board, the switches or the state: the command of the hint ends it."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Int64

from lbmigrate.board import board as boards
from lbmigrate.board.board import Board
from lbmigrate.config.load import load_config
from lbmigrate.errors import LbmigrateError, LeaseLost, UsageError
from lbmigrate.ledger import enter, rollup, settle
from lbmigrate.ledger.rolled import Rolled
from lbmigrate.live import flag_cache
from lbmigrate.live.recorder import ScoreRecorder
from lbmigrate.mongo.faults import AGAIN
from lbmigrate.records import Checkpoint
from lbmigrate.state import Holder, Lease, State
from tests.apps import NEW_YEAR, TASKS, App, config, oid, task

pytestmark = pytest.mark.slow


def typed(terminal, hint):
    """Type the commands that a hint names, one after the other; each must go through."""
    for part in hint.split(", then: "):
        done = terminal(*part.removeprefix("lbmigrate ").split())
        assert done.code == 0, done.err


def fix_of(terminal, part):
    told = terminal("doctor", "--json").result["findings"]
    return next((each["fix"] for each in told if part in each["fact"] and each["level"] != "ok"), None)


def score(app, number):
    return app["leaderboard_entries"].find_one({"_id": f"global:{oid(number)}"})["score"]


# --- the ledger ----------------------------------------------------------------------------------------------------


def live(name, **fields):
    event = {"_id": name, "userId": oid(1), "actionType": "admin_bonus", "points": Int64(1000), "sourceId": "1"}
    return {**event, "meta": {"origin": "live"}, "createdAt": NEW_YEAR, **fields}


@pytest.mark.parametrize(
    ("event", "fact"),
    [(live("admin_bonus:1"), "admin_bonus:1"), (live(f"task_complete:{oid(1000)}#9", points=1.5), "not as an event")],
    ids=["of no source", "not as it must be"],
)
def test_an_event_that_counts_for_nothing_is_settled_by_reconcile(migrated, terminal, event, fact):
    migrated["score_events"].insert_one(event)
    assert terminal("backfill", "--full").code == 0
    fix = fix_of(terminal, fact)
    assert fix.startswith("lbmigrate reconcile ")
    typed(terminal, "lbmigrate reconcile")
    assert fix_of(terminal, fact) is None
    assert score(migrated, 1) == 30
    assert terminal("verify", "--full").code == 0


@pytest.mark.parametrize("way", ["lbmigrate backfill --full", "lbmigrate rollback --to 3 --yes, then: lbmigrate run"])
def test_a_mismatch_is_ended_by_either_way_that_the_verification_names(migrated, terminal, way):
    migrated["leaderboard_entries"].update_many({"period": "global"}, {"$inc": {"score": 5}})
    refused = terminal("verify", "--full")
    assert refused.code == 5
    hint = refused.hint
    assert hint == "lbmigrate backfill --full; if that does not end it: lbmigrate rollback --to 3, then lbmigrate run"
    typed(terminal, way)
    assert score(migrated, 1) == 30
    assert terminal("verify", "--full").code == 0


def nobody_gets_through(*_):
    return Rolled(), [oid(2)]


CONTESTED = {
    "an adjustment": (settle, "CONFLICTS", 0, "try again", "reconcile"),
    "an entry": (rollup, "_attempt", nobody_gets_through, AGAIN, "run"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("module", "name", "instead", "hint", "verb"), CONTESTED.values(), ids=CONTESTED)
def test_what_changes_faster_than_it_is_read_goes_through_when_it_is_tried_again(
    migrated, terminal, monkeypatch, module, name, instead, hint, verb
):
    undone = {"status": "todo", "updatedAt": dt.datetime.now(dt.UTC)}
    migrated["tasks"].update_one({"_id": oid(1000)}, {"$set": undone})
    migrated["tasks"].insert_one(task(50, owner=2, updatedAt=dt.datetime(2026, 1, 1)))
    with monkeypatch.context() as busy:
        busy.setattr(module, name, instead)
        refused = terminal(verb)
    assert (refused.code, refused.hint) == (1, hint)
    typed(terminal, f"lbmigrate {verb}")
    assert score(migrated, 1 if verb == "reconcile" else 2) == (20 if verb == "reconcile" else 40)


def test_an_event_that_is_there_and_not_shown_goes_in_when_it_is_tried_again(migrated, monkeypatch):
    app = App(migrated, config())
    migrated["tasks"].insert_one(task(50, owner=2, updatedAt=dt.datetime(2026, 1, 1)))
    with monkeypatch.context() as busy:
        busy.setattr(enter, "CONFLICTS", 0)
        with pytest.raises(LbmigrateError) as caught:
            enter.enter(app.context(), app.config.sources[0], [live("task_complete:1")], {})
    assert caught.value.hint == "try again"
    assert enter.enter(app.context(), app.config.sources[0], [live("task_complete:1")], {}).new


# --- the switches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["write", "read"])
@pytest.mark.parametrize("way", ["turn it on", "agree"])
def test_what_was_turned_off_is_turned_on_by_either_command_of_the_hint(migrated, terminal, side, way):
    assert terminal("flag", side, "off").code == 0
    refused = terminal("run")
    assert (refused.code, refused.hint) == (6, f"lbmigrate flag {side} on, or lbmigrate run --yes")
    assert terminal(*(["flag", side, "on"] if way == "turn it on" else ["run", "--yes"])).code == 0
    assert migrated["feature_flags"].find_one({"_id": "leaderboard"})[side] is True
    assert terminal("run").code == 0


def test_a_cut_over_without_a_fresh_verdict_goes_through_after_the_verification(migrated, terminal):
    assert terminal("rollback", "--to", "4", "--yes").code == 0
    refused = terminal("run", "--only", "6")
    assert (refused.code, refused.hint) == (6, "lbmigrate verify")
    typed(terminal, "lbmigrate verify")
    assert terminal("run", "--only", "6").code == 0
    assert migrated["feature_flags"].find_one()["read"] is True


def test_a_cut_over_with_an_empty_board_goes_through_as_the_hint_says(app, terminal):
    terminal.configure({**TASKS, "where": {"status": "Done"}})
    refused = terminal("run")
    assert refused.code == 6
    assert refused.hint.startswith("correct the source's `where` (lbmigrate doctor), then: lbmigrate backfill --full")
    terminal.configure(TASKS)
    typed(terminal, "lbmigrate backfill --full, then: lbmigrate run")
    assert app["feature_flags"].find_one()["read"] is True


@pytest.mark.parametrize("how", ["rules", "filter"])
def test_a_cut_over_with_half_a_board_goes_through_as_the_hint_says(app, terminal, how):
    app["tasks"].update_one({"_id": oid(1000)}, {"$set": {"priority": "high"}})
    terminal.configure({**TASKS, "where": {"priority": "low"}} if how == "filter" else TASKS)
    assert terminal("run", "--to", "5").code == 0
    terminal.configure(TASKS if how == "filter" else {**TASKS, "points": 15})
    refused = terminal("run", "--only", "6")
    assert refused.code == 6
    typed(terminal, refused.hint if "then: lbmigrate run" in refused.hint else "lbmigrate run")
    assert app["feature_flags"].find_one()["read"] is True
    assert score(app, 1) == (30 if how == "filter" else 45)


def test_changed_rules_are_settled_by_what_the_plan_names(migrated, terminal):
    terminal.configure({**TASKS, "points": 15})
    assert fix_in_plan(terminal, "changed since the ledger was scored") == "lbmigrate reconcile"
    typed(terminal, "lbmigrate reconcile")
    assert fix_in_plan(terminal, "changed since the ledger was scored") is None
    terminal.configure({**TASKS, "points": 15, "where": {"status": {"$in": ["done", "todo"]}}})
    assert fix_in_plan(terminal, "has changed since it was read").startswith("lbmigrate reconcile reads it again")
    typed(terminal, fix_in_plan(terminal, "changed since the ledger was scored"))
    assert terminal("verify", "--full").code == 0
    assert terminal("plan").code == 0


def fix_in_plan(terminal, part):
    findings = terminal("plan", "--json").result["findings"]
    return next((each["fix"] for each in findings if part in each["fact"]), None)


# --- the state -----------------------------------------------------------------------------------------------------


def test_a_chunk_that_lost_its_bounds_is_read_again_by_a_full_backfill(migrated, terminal):
    rows = migrated["lbmigrate_state"]
    rows.update_one({"kind": "chunk"}, {"$set": {"status": "claimed"}, "$unset": {"low": "", "high": "", "extra": ""}})
    first = terminal("backfill")
    typed(terminal, "lbmigrate backfill --full")
    assert terminal("backfill").code == 0
    assert first.code in (0, 6)
    assert score(migrated, 1) == 30


def test_a_run_that_lost_its_lease_is_looked_at_with_status_and_the_next_one_goes_on(migrated, terminal):
    migrated["tasks"].insert_many([task(number, updatedAt=dt.datetime(2026, 1, 1)) for number in range(50, 80)])
    state = State(migrated)
    lease = Lease(state, Holder.here("lbmigrate run"), lambda: dt.datetime(2099, 1, 1), ttl=60, run="mine")
    lease.take()
    assert terminal("unlock", "--yes").code == 0
    for attempt in (lease.renew, lambda: state.save(Checkpoint("step:5", {"status": "applied"}))):
        with pytest.raises(LeaseLost) as caught:
            attempt()
        assert caught.value.hint == "lbmigrate status"
    assert terminal("status").code == 0
    assert terminal("run").code == 0
    assert score(migrated, 1) == 330


def test_a_pause_that_doctor_finds_is_ended_by_resume(migrated, terminal):
    assert terminal("pause").code == 0
    control = migrated["lbmigrate_state"].find_one({"_id": "control"})
    assert control["paused"]
    typed(terminal, "lbmigrate resume")
    assert migrated["lbmigrate_state"].find_one({"_id": "control"})["paused"] is None


def test_damaged_rows_are_put_right_by_what_is_named(migrated, terminal):
    migrated["lbmigrate_state"].update_one({"_id": "verdict"}, {"$set": {"passed": "perhaps"}})
    fix = fix_of(terminal, "verdict")
    assert fix == "lbmigrate verify"
    typed(terminal, fix)
    assert fix_of(terminal, "verdict") is None


# --- the board and the recorder --------------------------------------------------------------------------------------


def test_a_board_that_is_asked_oddly_is_asked_as_the_hint_says(migrated, terminal):
    board = Board(migrated, load_config(terminal.config))
    with pytest.raises(UsageError) as caught:
        board.top({"$ne": ""})
    assert caught.value.hint == "name one: global, 2025-W44, 2025-11-04"
    places = board.top("global")
    for odd in ({"$gt": ""}, None):
        with pytest.raises(UsageError) as caught:
            board.rank(odd)
        assert caught.value.hint == "give the `user` of a Place, or its text"
    assert board.rank(places[0].user).rank == board.rank(str(places[0].user)).rank == 1
    with pytest.raises(UsageError) as caught:
        boards.check_known("2031", board)
    assert caught.value.hint == "lbmigrate top --period global"


def test_what_cannot_be_scored_is_recorded_when_the_reason_that_rejects_tells_is_gone(migrated, terminal):
    recorder = ScoreRecorder(migrated, load_config(terminal.config), strict=True)
    migrated["tasks"].insert_one(task(70, completedAt="soon"))
    with pytest.raises(LbmigrateError) as caught:
        recorder.record_source("tasks", oid(1070))
    assert caught.value.hint == "lbmigrate rejects"
    assert "soon" in terminal("rejects").out
    migrated["tasks"].update_one({"_id": oid(1070)}, {"$set": {"completedAt": NEW_YEAR}})
    assert recorder.record_source("tasks", oid(1070))
    assert score(migrated, 1) == 40


def test_an_id_that_something_else_has_is_settled_by_reconcile_and_recorded_then(migrated, terminal):
    recorder = ScoreRecorder(migrated, load_config(terminal.config), strict=True)
    migrated["score_events"].insert_one(live(f"task_complete:{oid(1070)}", actionType="task_complete", sourceId="else"))
    migrated["tasks"].insert_one(task(70, owner=1))
    with pytest.raises(LbmigrateError) as caught:
        recorder.record("task_complete", oid(1), oid(1070), at=task(70)["completedAt"])
    assert caught.value.hint == "lbmigrate reconcile"
    typed(terminal, caught.value.hint)
    assert score(migrated, 1) == 40
    assert terminal("verify", "--full").code == 0


def test_an_app_with_an_asynchronous_client_opens_another_one_for_the_recorder(migrated, monkeypatch):
    class Asynchronous:
        pass

    with monkeypatch.context() as other:
        other.setattr(flag_cache, "AsyncDatabase", Asynchronous)
        with pytest.raises(UsageError) as caught:
            ScoreRecorder(Asynchronous(), config())
    assert caught.value.hint.startswith("open a MongoClient beside the AsyncMongoClient")
    assert ScoreRecorder(migrated, config(), strict=True).record("task_complete", oid(1), oid(1), at=NEW_YEAR)
