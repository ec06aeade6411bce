"""`forget` at a terminal, on a real server."""

from __future__ import annotations

import pytest

from tests.apps import oid, picture

ADA = str(oid(1))


@pytest.fixture
def app(migrated):
    return migrated


@pytest.mark.slow
def test_one_who_is_forgotten_is_on_no_board_and_stays_away(app, terminal):
    assert terminal("rank", ADA).code == 0
    done = terminal("forget", ADA, "--yes", "--json")
    assert done.code == 0
    backups = ["what a test loses, it makes again"]
    assert done.result == {"verb": "forget", "forgotten": True, "backups": backups}
    assert "backups made before still hold this user: what a test loses" in done.err
    assert terminal("rank", ADA).code == 2
    assert terminal("backfill", "--full").code == 0
    assert terminal("reconcile").code == 0
    assert terminal("verify", "--full").code == 0
    assert {place["user"] for place in terminal("top", "--json").result["places"]} == {str(oid(2)), str(oid(3))}
    assert app["score_events"].count_documents({"userId": oid(1)}) == 0
    assert terminal("plan").code == 0


@pytest.mark.slow
def test_neither_the_record_of_the_run_nor_the_lock_tells_who_it_was(app, terminal):
    assert terminal("forget", ADA, "--yes").code == 0
    assert app["lbmigrate_state"].find_one({"verb": "forget"})["outcome"] == "done"
    assert ADA not in str(list(app["lbmigrate_state"].find()))
    assert ADA not in str(list(app["lbmigrate_rejects"].find()))


@pytest.mark.slow
def test_without_a_terminal_nobody_is_forgotten_unasked(app, terminal):
    before = picture(app)
    done = terminal("forget", ADA)
    assert done.code == 2
    assert "--yes" in done.err
    assert picture(app) == before


@pytest.mark.slow
def test_somebody_whom_nobody_knows_is_told_so(app, terminal):
    before, rows = picture(app), list(app["lbmigrate_state"].find())
    assert terminal("forget", "eve", "--yes").code == 2
    assert (picture(app), list(app["lbmigrate_state"].find())) == (before, rows)


@pytest.mark.slow
def test_a_rollback_removes_what_is_under_a_tombstone_too(app, terminal):
    assert terminal("forget", ADA, "--yes").code == 0
    assert terminal("rollback", "--yes").code == 0
    assert not {"score_events", "leaderboard_entries"} & set(app.list_collection_names())


@pytest.mark.slow
def test_a_rehearsal_shows_nobody_who_has_left(app, terminal):
    assert ADA in terminal("run", "--dry-run", "--json").out + str(terminal("top", "--json").out)
    assert terminal("forget", ADA, "--yes").code == 0
    rehearsed = terminal("run", "--dry-run", "--json")
    assert rehearsed.code == 0
    assert ADA not in rehearsed.out
    assert "User 1" not in rehearsed.out + terminal("run", "--dry-run").out
