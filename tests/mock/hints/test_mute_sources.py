"""A source that has no field which tells of changes: what a verification names ends that permanently, not for a day."""

from __future__ import annotations

import itertools

import pytest
from bson import Int64

from tests.apps import TASKS, oid, task

LATE = itertools.count(100)


@pytest.fixture
def mute(app, terminal):
    """Tasks with ids in no order of time, migrated by a configuration that names no `updated`."""
    terminal.configure({**TASKS, "updated": None})
    app["tasks"].create_index("completedAt")
    assert terminal("run").code == 0
    return app


def finish_late(app):
    """A task that is done long ago, and found out now, with an id below all others."""
    number = next(LATE)
    app["tasks"].insert_one({**task(number, hours=-number), "_id": oid(number)})


def test_what_comes_late_day_after_day_is_on_the_board_with_the_command_that_is_named(mute, terminal):
    finish_late(mute)
    assert terminal("backfill").code == 0
    wrong = terminal("verify", "--full")
    assert wrong.code == 5
    hint = " ".join(wrong.hint.split())
    assert hint.startswith("lbmigrate verify --full --repair; that repairs it once, but tasks has no `updated`")
    assert "schedule lbmigrate reconcile and after it lbmigrate recount every night" in hint
    for _ in range(2):
        assert terminal("reconcile").code == 0
        assert terminal("recount").code == 0
        assert terminal("verify", "--full").code == 0
        finish_late(mute)
        mute["tasks"].update_one({"status": "done"}, {"$set": {"status": "open"}})
        assert terminal("backfill").code == 0


def test_a_source_that_tells_of_changes_is_repaired_without_more_words(app, terminal):
    assert terminal("run").code == 0
    app["score_events"].update_one({"_id": f"task_complete:{oid(1000)}"}, {"$set": {"points": Int64(7)}})
    app["leaderboard_entries"].update_one({"_id": f"global:{oid(2)}"}, {"$set": {"streak": 99}})
    assert terminal("verify", "--full").hint == "lbmigrate verify --full --repair"
