"""Where an operator would be stuck or misled: each situation, and that the command which is named ends it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

from lbmigrate.cli.app import app as command_line
from tests.apps import NEW_YEAR, SESSIONS, TASKS, oid, session, task, user

PACKAGE = Path(__file__).parents[3] / "lbmigrate"


@pytest.fixture
def app(database, terminal):
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3, done=1) for number in range(30)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(12)])
    return database


# --- an empty board -------------------------------------------------------------------------------------------------

MISTYPED = {**TASKS, "where": {"done": True}}


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


def test_one_source_that_is_right_is_enough_for_a_board(app, terminal):
    terminal.configure(MISTYPED, SESSIONS)
    done = terminal("run")
    assert done.code == 0, done.err


# --- another time zone ----------------------------------------------------------------------------------------------


def test_after_a_corrected_time_zone_the_hint_of_a_mismatch_ends_it(app, terminal):
    app["tasks"].update_many({}, [{"$set": {"completedAt": {"$dateTrunc": {"date": "$completedAt", "unit": "week"}}}}])
    assert terminal("run").code == 0
    terminal.configure(timezone="America/New_York")
    found = terminal("verify", "--full")
    assert found.code == 5
    assert "next: the rules or the time zone have changed since: lbmigrate rollback --to 3" in found.err
    assert terminal("rollback", "--to", "3", "--yes").code == 0
    assert terminal("run").code == 0
    assert terminal("verify", "--full").code == 0


# --- every command that is named ------------------------------------------------------------------------------------


def named_commands() -> list[tuple[str, str]]:
    """Every `lbmigrate VERB …` in a string of the code, with the module that says it."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for line in re.findall(r"\blbmigrate ((?:[a-z-]+ )?[a-z]+(?: --[a-z-]+)*)", node.value):
                    found.append((str(path.relative_to(PACKAGE)), line))
    return found


def test_every_option_of_a_command_that_is_named_anywhere_exists():
    wrong = [(where, line) for where, line in named_commands() if not exists(line.split())]
    assert wrong == []


def exists(words: list[str]) -> bool:
    """Whether a verb has the options that are named with it. What is no verb is a sentence about the toolkit."""
    command = typer.main.get_command(command_line)
    options = [word for word in words if word.startswith("--")]
    for word in (word for word in words if not word.startswith("--")):
        if not hasattr(command, "list_commands"):
            break
        context = typer.Context(command)
        if word not in command.list_commands(context):
            break
        command = command.get_command(context, word)
    if hasattr(command, "list_commands") and "make" in command.list_commands(typer.Context(command)):
        command = command.get_command(typer.Context(command), "make")  # what plain `lbmigrate backup` means
    known = {name for parameter in command.params for name in parameter.opts}
    return set(options) <= {*known, "--help"}


# --- in parts, and late ---------------------------------------------------------------------------------------------


def test_a_reconciliation_in_parts_vouches_for_what_it_saw_and_the_hint_finds_the_rest(app, terminal):
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
