"""An operator's word at the command line: what was turned off stays off, and what was turned on is on record."""

from __future__ import annotations

import pytest

from tests.apps import task, user

pytestmark = pytest.mark.slow  # verbs typed one after the other at a server: a quick run has others of their kind


@pytest.fixture
def app(database, terminal):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(5)])
    database.create_collection("sessions")
    assert terminal("run").code == 0
    return database


def flag(app):
    return app["feature_flags"].find_one({"_id": "leaderboard"})


def step(found, number):
    return next(step["status"] for step in found.result["steps"] if step["number"] == number)


def test_a_board_that_is_turned_on_after_a_rollback_is_shown_as_applied_everywhere(app, terminal):
    assert terminal("rollback", "--to", "5", "--yes").code == 0
    assert step(terminal("status", "--json"), 6) == "reverted"
    assert terminal("flag", "read", "on").code == 0
    assert flag(app)["read"] is True
    assert step(terminal("status", "--json"), 6) == "applied"
    planned = terminal("plan", "--json")
    assert (planned.code, step(planned, 6)) == (0, "applied")
    runs = terminal("history", "--json").result["runs"]
    assert [row["verb"] for row in runs] == ["flag read on", "rollback", "run"]
    assert runs[0]["options"]["command"] == "lbmigrate flag read on"


@pytest.mark.parametrize(("side", "number"), [("read", 6), ("write", 3)])
def test_what_an_operator_turned_off_is_turned_on_by_no_run_without_a_word(app, terminal, side, number):
    assert terminal("flag", side, "off").code == 0
    refused = terminal("run")
    assert refused.code == 6
    assert f"{side} was turned off by " in refused.err
    assert f"next: lbmigrate flag {side} on, or lbmigrate run --yes" in refused.err
    assert flag(app)[side] is False
    assert step(terminal("status", "--json"), number) == "off"
    shown = terminal("plan")
    assert shown.code == 3
    assert "a run asks first" in shown.out
    assert terminal("backfill").code == 0  # cron goes on, and turns nothing on
    assert flag(app)[side] is False


@pytest.mark.parametrize("words", [["run", "--yes"], ["flag", "read", "on"]])
def test_both_ways_that_the_message_names_end_it(app, terminal, words):
    terminal("flag", "read", "off")
    assert terminal(*words).code == 0
    assert flag(app)["read"] is True
    assert terminal("plan").code == 0
    assert terminal("run").code == 0


def test_a_part_of_a_run_that_turns_nothing_on_does_not_ask(app, terminal):
    terminal("flag", "read", "off")
    assert terminal("run", "--to", "5").code == 0
    assert flag(app)["read"] is False


@pytest.mark.parametrize(("answer", "code", "read"), [("y", 0, True), ("n", 6, False)])
def test_at_a_terminal_a_run_asks(app, terminal, monkeypatch, answer, code, read):
    terminal("flag", "read", "off")
    monkeypatch.setattr("lbmigrate.cli.confirm.is_possible", lambda: True)
    asked = []
    monkeypatch.setattr("typer.confirm", lambda question, err: asked.append(question) or answer == "y")
    assert terminal("run").code == code
    assert "read was turned off by" in asked[0]
    assert flag(app)["read"] is read
