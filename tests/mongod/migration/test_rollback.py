"""The way back: what was there before is there again, whoever asked, however often, and whenever it was killed."""

from __future__ import annotations

import datetime as dt
import io
import os
import random
import signal
import subprocess
import sys

import pytest
from pymongo.collection import Collection

from lbmigrate.migration.steps import s4_backfill
from tests.apps import picture, session, task, user

KILLER = """
import os, signal, sys
from pymongo import monitoring
from lbmigrate.cli.main import main
from lbmigrate.migration.steps import s4_backfill

left = int(sys.argv.pop(1))
s4_backfill.REMOVED_AT_ONCE = 7

class Killer(monitoring.CommandListener):
    def started(self, event):
        self.count()
    def succeeded(self, event):
        self.count()
    def failed(self, event):
        pass
    def count(self):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

monitoring.register(Killer())
main()
"""
RNG = random.Random("any moments will do")
MOMENTS = [RNG.randrange(first, first + 33) for first in range(12, 210, 33)]  # a whole one takes some 215 words
KILLED = -signal.SIGKILL
THEIRS = [{"_id": 1, "what": "of another program"}, {"_id": "x", "userId": "9", "points": 3, "meta": {"a": 1}}]


@pytest.fixture
def app(database, terminal):
    """An app that was not migrated; another program already writes to a collection of our name, and has a flag."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    database["tasks"].insert_one(task(90, userId=None))
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(12)])
    database["score_events"].insert_many(THEIRS)
    database["score_events"].create_index([("userId", 1)], name="theirs")
    database["feature_flags"].insert_one({"_id": "leaderboard", "write": False, "read": False, "owner": "web"})
    return database


def rolled_back_until(moment, terminal):
    """Start a rollback in a process of its own that is killed at its so-many-th word with the server; its exit code."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LBMIGRATE_CONFIG": str(terminal.config)}
    command = [sys.executable, "-c", KILLER, str(moment), "rollback", "--yes"]
    return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.slow
def test_a_rollback_killed_at_any_moment_and_run_again_leaves_what_was_there_before(app, terminal, moment):
    before = picture(app)
    assert terminal("run").code == 0
    assert rolled_back_until(moment, terminal) == KILLED
    assert terminal("rollback", "--yes").code == 0
    assert picture(app) == before
    assert list(app["score_events"].find()) == THEIRS


@pytest.mark.slow
def test_a_rollback_killed_again_and_again_gets_there(app, terminal):
    before = picture(app)
    assert terminal("run").code == 0
    codes = [rolled_back_until(moment, terminal) for moment in (70, 90, 110)]
    assert codes == [KILLED] * 3
    assert terminal("rollback", "--yes").code == 0
    assert picture(app) == before


@pytest.mark.slow
def test_nobody_records_or_shows_any_more_when_the_first_document_goes(app, terminal, monkeypatch):
    terminal("run")
    flags = []
    original = Collection.delete_many

    def watched(self, *given, **options):
        flags.append(app["feature_flags"].find_one({"_id": "leaderboard"}))
        return original(self, *given, **options)

    monkeypatch.setattr(Collection, "delete_many", watched)
    assert terminal("rollback", "--yes").code == 0
    assert flags
    assert not any(flag["write"] or flag["read"] for flag in flags)


# --- what stays, what goes ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_rollback_leaves_a_record_of_itself(app, terminal):
    terminal("run")
    terminal("rollback", "--yes")
    runs = terminal("history", "--json").result["runs"]
    assert [(row["verb"], row["outcome"]) for row in runs] == [("rollback", "done"), ("run", "done")]
    steps = terminal("status", "--json").result["steps"]
    assert [step["status"] for step in steps] == ["reverted"] * 6


@pytest.mark.slow
def test_data_goes_in_bounded_chunks(app, terminal, monkeypatch):
    terminal("run")
    sizes = []
    original = Collection.delete_many

    def counted(self, condition, *given, **options):
        gone = original(self, condition, *given, **options)
        if self.name in ("score_events", "leaderboard_entries"):
            sizes.append(gone.deleted_count)
        return gone

    monkeypatch.setattr(Collection, "delete_many", counted)
    monkeypatch.setattr(s4_backfill, "REMOVED_AT_ONCE", 10)
    assert terminal("rollback", "--yes").code == 0
    assert max(sizes) == 10
    assert sum(sizes) > 42
    assert list(app["score_events"].find()) == THEIRS


@pytest.mark.slow
def test_a_rollback_after_a_run_that_was_never_finished_leaves_nothing_of_it(app, terminal):
    before = picture(app)
    assert terminal("run", "--max-docs", "10").code == 3
    assert app["score_events"].count_documents({}) > len(THEIRS)
    assert terminal("rollback", "--yes").code == 0
    assert picture(app) == before


@pytest.mark.slow
def test_what_others_make_after_a_rollback_is_none_of_its_business(app, terminal):
    terminal("run")
    terminal("rollback", "--yes")
    app.create_collection("leaderboard_entries")
    app["leaderboard_entries"].create_index([("userId", 1)])
    before = picture(app)
    assert terminal("rollback", "--yes").code == 0
    assert picture(app) == before


def test_kept_data_is_where_the_next_run_goes_on(app, terminal):
    for name, field in (("tasks", "updatedAt"), ("sessions", "endedAt")):
        app[name].create_index(field)
    terminal("run")
    made = {name: list(app[name].find().sort("_id", 1)) for name in ("score_events", "leaderboard_entries")}
    assert terminal("rollback", "--keep-data", "--yes").code == 0
    assert {name: list(app[name].find().sort("_id", 1)) for name in made} == made
    assert not any(app["feature_flags"].find_one()[side] for side in ("write", "read"))
    late = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    app["tasks"].insert_one(task(300, owner=1, completedAt=late, updatedAt=late))
    done = terminal("run", "--json")
    assert done.code == 0
    assert done.result["counts"]["emitted"] == 1
    assert app["score_events"].count_documents({"meta.origin": "backfill"}) == 43
    assert app["feature_flags"].find_one()["read"] is True


@pytest.mark.slow
def test_a_rollback_after_keeping_the_data_still_knows_what_was_made(app, terminal):
    before = picture(app)
    terminal("run")
    terminal("rollback", "--keep-data", "--yes")
    assert terminal("rollback", "--yes").code == 0
    assert picture(app) == before


# --- showing and asking ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_dry_run_shows_what_would_go_and_changes_nothing(app, terminal):
    terminal("run")
    before, rows = picture(app), list(app["lbmigrate_state"].find())
    shown = terminal("rollback", "--dry-run", "--json")
    assert shown.code == 0
    assert [step["number"] for step in shown.result["steps"]] == [6, 5, 4, 3, 2, 1]
    lines = [line for step in shown.result["steps"] for line in step["lines"]]
    assert "remove 42 documents from score_events" in lines
    assert "leave 2 documents in score_events that this migration did not make" in lines
    assert "put feature_flags/leaderboard back as it was" in lines
    assert terminal("rollback", "--dry-run", "--yes").code == 0
    assert picture(app) == before
    assert list(app["lbmigrate_state"].find()) == rows


class Keyboard(io.StringIO):
    """A terminal at which somebody typed something."""

    def isatty(self):
        return True


def typed(monkeypatch, words):
    monkeypatch.setattr(sys, "stdin", Keyboard(words))


@pytest.mark.slow
def test_the_name_of_the_database_typed_lets_the_data_go(app, terminal, monkeypatch):
    before = picture(app)
    terminal("run")
    typed(monkeypatch, f"{app.name}\n")
    done = terminal("rollback")
    assert done.code == 0
    assert "What a rollback does" in done.out
    assert "remove 42 documents from score_events" in done.out
    assert "type the database's name to go on" in done.err
    assert picture(app) == before


@pytest.mark.slow
@pytest.mark.parametrize("words", ["yes\n", "y\n", "APP\n", "test_\n", "admin\n"])
def test_another_name_typed_changes_nothing(app, terminal, monkeypatch, words):
    terminal("run")
    before = picture(app)
    typed(monkeypatch, words)
    refused = terminal("rollback")
    assert refused.code == 6
    assert "that is not the database's name; nothing was changed" in refused.err
    assert "next: lbmigrate rollback --dry-run" in refused.err
    assert picture(app) == before


@pytest.mark.slow
def test_a_terminal_that_is_closed_instead_changes_nothing(app, terminal, monkeypatch):
    terminal("run")
    before = picture(app)
    typed(monkeypatch, "")
    assert terminal("rollback").code == 130
    assert picture(app) == before


def test_nobody_is_asked_where_nothing_was_migrated(app, terminal):
    app["score_events"].drop()
    done = terminal("rollback")
    assert done.code == 0
    assert "nothing to roll back" in done.err
