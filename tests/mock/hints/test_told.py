"""What is said to be next, in warnings, notes and errors of a run: typing it is what ends the matter."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from lbmigrate.ledger import rollup
from lbmigrate.ledger.leavers import KEY, KEY_FILE, SALT
from lbmigrate.state import COLLECTION
from tests.apps import TASKS, oid, task

pytestmark = pytest.mark.slow

LATER = dt.datetime(2026, 1, 1)
SECRET = "a secret that is long enough to be one"


def said(outcome):
    return " ".join(f"{outcome.out} {outcome.err}".split())


def typed(terminal, command):
    done = terminal(*command.removeprefix("lbmigrate ").split())
    assert done.code == 0, done.err
    return done


# --- a run that ends early -------------------------------------------------------------------------------------------


def test_an_interrupted_verb_goes_on_when_it_is_typed_again(app, terminal, monkeypatch):
    app["tasks"].insert_many([task(number, owner=1) for number in range(10, 40)])
    with monkeypatch.context() as interrupted:
        interrupted.setattr(rollup, "roll_up", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        refused = terminal("run")
    assert (refused.code, refused.hint) == (130, "type the same command again: it goes on")
    assert terminal("run").code == 0
    assert sum(entry["score"] for entry in app["leaderboard_entries"].find({"period": "global"})) == 360


def test_a_run_that_a_limit_ends_goes_on_with_the_command_of_the_hint(app, terminal):
    refused = terminal("run", "--max-docs", "5")
    assert refused.code == 3
    assert refused.hint == "lbmigrate run --max-docs 5"
    typed(terminal, refused.hint)
    assert app["feature_flags"].find_one()["read"] is True


def test_what_went_wrong_unexpectedly_is_shown_whole_with_debug_and_the_next_run_goes_on(app, terminal, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(rollup, "roll_up", lambda *_, **__: 1 / 0)
        refused = terminal("run")
        assert (refused.code, refused.hint) == (1, "run it again with --debug")
        shown = terminal("run", "--debug")
        assert "Traceback" in shown.err
        assert "ZeroDivisionError" in shown.err
    typed(terminal, "lbmigrate run")
    assert app["feature_flags"].find_one()["read"] is True


# --- rules -----------------------------------------------------------------------------------------------------------


def test_status_names_what_settles_changed_rules_and_is_silent_then(migrated, terminal):
    terminal.configure({**TASKS, "points": 15, "where": {"status": {"$in": ["done", "todo"]}}})
    shown = said(terminal("status"))
    assert "its `where` has changed since it was read; next: lbmigrate reconcile" in shown
    assert "`points` of tasks and `where` of tasks have changed since the ledger was scored" in shown
    assert "the verdict is about another configuration; next: lbmigrate verify" in shown
    for command in ("lbmigrate reconcile", "lbmigrate verify"):
        typed(terminal, command)
    shown = said(terminal("status"))
    for part in ("has changed since", "since the ledger was scored", "another configuration"):
        assert part not in shown


def test_a_whole_look_that_is_long_ago_is_made_by_the_recount_that_status_names(migrated, terminal):
    long_ago = dt.datetime(2020, 1, 1)
    for row in list(migrated[COLLECTION].find({"kind": "watermark"})):
        aged = {name: long_ago for name, value in row.items() if isinstance(value, dt.datetime)}
        migrated[COLLECTION].update_one({"_id": row["_id"]}, {"$set": aged})
    migrated[COLLECTION].update_many({"kind": "looks"}, {"$set": {"at": long_ago}})
    assert "next: lbmigrate recount" in said(terminal("status"))
    typed(terminal, "lbmigrate recount")
    assert "next: lbmigrate recount" not in said(terminal("status"))


# --- who has left ----------------------------------------------------------------------------------------------------


def test_a_key_that_cannot_be_used_is_made_or_corrected_as_the_hint_says(migrated, terminal, monkeypatch, tmp_path):
    leave = ("forget", str(oid(1)), "--yes")
    monkeypatch.setenv(KEY, "short")
    refused = terminal(*leave)
    assert (refused.code, refused.hint) == (2, "make one: openssl rand -hex 32")
    monkeypatch.delenv(KEY)
    monkeypatch.setenv(KEY_FILE, "nowhere")
    refused = terminal(*leave)
    assert (refused.code, refused.hint) == (2, f"correct {KEY_FILE}")
    (tmp_path / "key").write_text("5f" * 32)  # as that command prints it
    monkeypatch.setenv(KEY_FILE, "key")
    assert terminal(*leave).code == 0
    monkeypatch.delenv(KEY_FILE)
    refused = terminal("backfill", "--full")
    assert refused.code == 6
    assert refused.hint == f"set {KEY}, or {KEY_FILE}, as it was when they were forgotten"
    monkeypatch.setenv(KEY_FILE, "key")
    assert terminal("backfill", "--full").code == 0
    assert migrated["leaderboard_entries"].count_documents({"userId": oid(1)}) == 0


def test_a_key_that_nobody_can_check_is_vouched_for_as_the_hint_says(migrated, terminal, monkeypatch):
    monkeypatch.setenv(KEY, SECRET)
    assert terminal("forget", str(oid(1)), "--yes").code == 0
    migrated[COLLECTION].update_one({"_id": SALT}, {"$unset": {"keyCheck": ""}})
    refused = terminal("backfill", "--full")
    assert refused.code == 6
    (check,) = re.findall(r"keyCheck: '(\w+)'", refused.hint)
    migrated[COLLECTION].update_one({"_id": SALT}, {"$set": {"keyCheck": check}})
    assert terminal("backfill", "--full").code == 0
    assert migrated["leaderboard_entries"].count_documents({"userId": oid(1)}) == 0


# --- the state -------------------------------------------------------------------------------------------------------

LAYOUT = {"kind": "odd", "fence": 0, "layout": 1}
DAMAGED = {  # the row, what is wrong in it, and what is named
    "verdict": ({"passed": "perhaps"}, "lbmigrate verify"),
    "control": ({"paused": "perhaps"}, "lbmigrate resume"),
    "backup": ({"how": 5, "at": 5}, "lbmigrate backup"),
    "odd": ({"count": "perhaps"}, "lbmigrate reconcile"),
}


@pytest.mark.parametrize(("row", "wrong", "command"), [(row, *each) for row, each in DAMAGED.items()], ids=DAMAGED)
def test_a_row_of_the_state_that_was_damaged_is_put_right_by_what_is_named(migrated, terminal, row, wrong, command):
    assert terminal("backup", "--out", "first").code == 0
    assert terminal("reconcile").code == 0
    assert terminal("pause").code == terminal("resume").code == 0
    migrated[COLLECTION].update_one({"_id": row}, {"$set": wrong, "$setOnInsert": LAYOUT}, upsert=True)
    shown = said(terminal("doctor"))
    assert f"row '{row}' of lbmigrate_state" in shown, shown
    assert command in shown
    typed(terminal, command)
    shown = said(terminal("doctor"))
    assert f"row '{row}' of lbmigrate_state" not in shown, shown


@pytest.mark.parametrize("name", ["something:else", 5])
def test_a_row_that_nobody_reads_is_deleted_as_it_is_said(migrated, terminal, name):
    migrated[COLLECTION].insert_one({"_id": name})
    shown = said(terminal("doctor"))
    assert "lbmigrate has no row with such an _id" in shown
    (given,) = re.findall(r"db\.lbmigrate_state\.deleteMany\(\{_id: (.+?)\}\)", shown)
    migrated[COLLECTION].delete_many({"_id": name if "$type" in given else given.strip("'")})
    assert "no row with such" not in said(terminal("doctor"))


def test_more_damaged_rows_than_a_verb_names_are_named_by_doctor_and_gone_after_what_it_says(migrated, terminal):
    migrated[COLLECTION].insert_many([{"_id": f"else:{number}"} for number in range(30)])
    assert "more; next: lbmigrate doctor" in said(terminal("status"))
    names = re.findall(r"deleteMany\(\{_id: '(else:\d+)'\}\)", said(terminal("doctor")))
    assert len(names) == 30
    migrated[COLLECTION].delete_many({"_id": {"$in": names}})
    assert "next: lbmigrate doctor" not in said(terminal("status"))


# --- what comes after what was done ----------------------------------------------------------------------------------


def test_what_is_named_after_a_backup_a_check_or_a_pause_goes_through(app, terminal):
    assert "next: lbmigrate doctor" in terminal("config", "check").err
    assert terminal("plan").code == 3
    made = terminal("config", "init", "other.yaml")
    assert "next: lbmigrate config check --config other.yaml" in made.err
    assert terminal("config", "check", "--config", "other.yaml").code == 0
    assert terminal("run").code == 0
    assert "next: lbmigrate backup verify kept" in terminal("backup", "--out", "kept").err
    assert "to bring it back: lbmigrate backup restore kept" in typed(terminal, "backup verify kept").err
    for name in ("score_events", "leaderboard_entries", "lbmigrate_rejects", "feature_flags", "lbmigrate_state"):
        app.drop_collection(name)
    assert "next: lbmigrate status" in terminal("backup", "restore", "kept", "--yes").err
    typed(terminal, "lbmigrate status")
    assert "next: lbmigrate resume" in terminal("pause").err
    typed(terminal, "lbmigrate resume")
    assert app[COLLECTION].find_one({"_id": "control"})["paused"] is None
    assert terminal("verify", "--full").code == 0


def test_tail_needs_the_run_that_it_names_and_a_server_whose_changes_can_be_followed(app, terminal):
    refused = terminal("tail")
    assert (refused.code, refused.hint) == (6, "lbmigrate run")
    typed(terminal, refused.hint)
    refused = terminal("tail")
    assert refused.code == 6
    assert "or schedule lbmigrate backfill instead" in refused.hint
    app["tasks"].insert_one(task(70, owner=1, updatedAt=LATER))
    typed(terminal, "lbmigrate backfill")
    assert app["leaderboard_entries"].find_one({"_id": f"global:{oid(1)}"})["score"] == 40


def test_a_lock_that_another_holds_is_taken_away_by_unlock_where_that_one_is_gone(migrated, terminal):
    held = {"holder": {"host": "another", "pid": 1, "born": 0.0, "command": "lbmigrate run"}, "run": "another"}
    migrated[COLLECTION].update_one({"_id": "lock"}, {"$set": {**held, "expiresAt": dt.datetime(2099, 1, 1)}})
    refused = terminal("run")
    assert refused.code == 4
    assert refused.hint == "lbmigrate status (or `lbmigrate unlock` if it is gone)"
    typed(terminal, "lbmigrate status")
    assert "next: lbmigrate status" in typed(terminal, "lbmigrate unlock --yes").err
    typed(terminal, "lbmigrate run")


def test_a_ttl_index_that_doctor_refuses_is_dropped_by_hand(migrated, terminal):
    migrated["score_events"].create_index("createdAt", expireAfterSeconds=5, name="theirs")
    refused = terminal("doctor")
    assert (refused.code, refused.hint) == (6, "fix it by hand: lbmigrate changes nothing that it did not make")
    migrated["score_events"].drop_index("theirs")
    assert terminal("doctor").code == 0
