"""A verification that comes to no verdict of its own."""

from __future__ import annotations

import datetime as dt

from lbmigrate.state import COLLECTION


def test_one_that_finds_the_lock_taken_shows_no_earlier_verdict_as_its_own(migrated, terminal):
    assert terminal("verify", "--json").result["verdict"]["passed"]
    held = {"holder": {"host": "another", "pid": 1, "born": 0.0, "command": "lbmigrate run"}, "run": "another"}
    migrated[COLLECTION].update_one({"_id": "lock"}, {"$set": {**held, "expiresAt": dt.datetime(2099, 1, 1)}})
    refused = terminal("verify", "--json")
    assert (refused.code, refused.result["verdict"]) == (4, {})
    assert "agree with the ledger" not in terminal("verify").out
    assert terminal("unlock", "--yes").code == 0
    assert "agree with the ledger" in terminal("verify").out


def test_one_that_finds_something_wrong_shows_what_it_has_found(migrated, terminal):
    assert terminal("verify").code == 0
    migrated["leaderboard_entries"].update_one({"period": "global"}, {"$inc": {"score": 5}})
    refused = terminal("verify", "--json")
    assert (refused.code, refused.result["verdict"]["passed"]) == (5, False)
