"""Flags of the app beside ours: whatever an operator does, theirs stay as they are, and ours is put back alone."""

from __future__ import annotations

import bson
import pytest

from tests.apps import picture, session, task, user

THEIRS = [{"_id": "dark mode", "on": True}, {"_id": 7, "write": True, "read": False, "who": {"b": 1, "a": 2}}]


@pytest.fixture
def app(database):
    database["users"].insert_many([user(number) for number in (1, 2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
    database["sessions"].insert_one(session(0))
    database["feature_flags"].insert_many(THEIRS)
    return database


def theirs(app):
    others = app["feature_flags"].find({"_id": {"$ne": "leaderboard"}}, sort=[("_id", -1)])
    return [bson.encode(document) for document in others]


def typed(terminal, *words, code=0):
    found = terminal(*words)
    assert found.code == code, found.err[-1500:]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, {"_id": "leaderboard", "write": False, "read": False, "owner": "web"}])
def test_a_rollback_that_was_a_mistake_is_taken_back_beside_flags_of_the_app(app, terminal, before):
    flags = app["feature_flags"]
    if before:
        flags.insert_one(before)
    kept = theirs(app)
    typed(terminal, "run")
    typed(terminal, "backup", "make", "kept")
    migrated = picture(app)
    typed(terminal, "rollback", "--yes")
    assert flags.find_one({"_id": "leaderboard"}) == before
    assert theirs(app) == kept
    flags.insert_one({"_id": "made since", "on": True})
    app["lbmigrate_state"].drop()
    typed(terminal, "backup", "restore", "kept", "--yes")
    assert flags.delete_one({"_id": "made since"}).deleted_count == 1
    assert picture(app) == migrated
    typed(terminal, "verify", "--full")
    assert typed(terminal, "run", "--json").result["counts"]["emitted"] == 0
    typed(terminal, "rollback", "--yes")
    assert flags.find_one({"_id": "leaderboard"}) == before
    assert theirs(app) == kept


VERBS = [
    ("flag", "read", "off"), ("flag", "write", "off"), ("flag", "write", "on"), ("backfill",), ("reconcile",),
    ("rollback", "--to", "4", "--yes"), ("rollback", "--keep-data", "--yes"),
]  # fmt: skip


@pytest.mark.slow
def test_no_other_verb_touches_flags_of_the_app(app, terminal):
    kept = theirs(app)
    typed(terminal, "run")
    for words in (*VERBS, ("forget", str(user(2)["_id"]), "--yes")):
        typed(terminal, *words)
        assert theirs(app) == kept
