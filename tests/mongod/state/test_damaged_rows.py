"""Rows of the state that were edited or damaged, on a server: every type of BSON, and what an operator sees then."""

from __future__ import annotations

import datetime as dt
import os
import re
from typing import Any

import pytest
from bson import DatetimeMS, Int64
from pymongo import MongoClient

from lbmigrate.state import COLLECTION
from tests.apps import TASKS, oid, task, user
from tests.damage import EVERY_VALUE, LOOKS, MISSING, WORK_DONE, Place, begun, done, walk

FAR = DatetimeMS(1_762_000_000_000_000)
KINDS = ("step", "run", "chunk", "watermark", "verdict", "lock", "control", "tail", "backup", "odd", "boards",
         "profiles", "forgotten")  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("LBMIGRATE_POISON") != "all", reason="takes hours; LBMIGRATE_POISON=all walks it")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [begun, done])
def test_no_value_in_any_field_stops_a_verb(client: MongoClient[Any], database: Any, make: Any, kind: str) -> None:
    place = Place(client, database.name, make)
    assert walk(place, kind, lambda _: EVERY_VALUE, tuple(LOOKS), tuple(WORK_DONE)) == []


# --- what is typed --------------------------------------------------------------------------------------------------


@pytest.fixture
def app(database: Any, terminal: Any) -> Any:
    """An app that is migrated."""
    terminal.configure(TASKS)
    database["users"].insert_many([user(number) for number in (1, 2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
    assert terminal("run", "--yes").code == 0
    return database


def set_in(app: Any, row: str, **fields: Any) -> None:
    app[COLLECTION].update_one({"_id": row}, {"$set": fields})


def newest_run(app: Any) -> str:
    return str(app[COLLECTION].find_one({"_id": re.compile("^run:")}, sort=[("startedAt", -1)])["_id"])


@pytest.mark.slow
def test_every_verb_that_looks_names_the_row_the_field_and_what_ends_it(app: Any, terminal: Any) -> None:
    run = newest_run(app)
    set_in(app, run, startedAt="yesterday")
    set_in(app, "watermark:tasks", value=5)
    for verb in ("status", "plan", "history", "doctor"):
        shown = terminal(verb)
        said = " ".join((shown.out + shown.err).split())
        assert shown.code in (0, 3), said
        assert "row 'watermark:tasks' of lbmigrate_state: value is int 5 and must be a time" in said
        assert f"row {run!r} of lbmigrate_state: startedAt is string 'yesterday' and must be a time" in said or (
            verb in ("plan",)
        )
    again = terminal("backfill")
    assert again.code == 0
    assert "this run reads the source from where that is certain" in again.err
    (command,) = re.findall(r"db\.lbmigrate_state\.deleteMany\(\{_id: '(run:\w+)'\}\)", terminal("history").err)
    app[COLLECTION].delete_many({"_id": command})
    assert "of lbmigrate_state:" not in terminal("doctor").out + terminal("status").err


@pytest.mark.slow
@pytest.mark.parametrize("expires", [FAR, "soon", None, MISSING, dt.datetime(9999, 1, 1), [dt.datetime(2020, 1, 1)]])
def test_a_lease_without_a_readable_end_is_not_stolen_and_unlock_ends_it(app: Any, terminal: Any, expires: Any) -> None:
    holder = {"host": "elsewhere", "pid": 1, "born": 1.0, "command": "lbmigrate run", "table": ""}
    set_in(app, "lock", holder=holder, run="abc")
    gone = {"$unset": {"expiresAt": ""}} if expires is MISSING else {"$set": {"expiresAt": expires}}
    app[COLLECTION].update_one({"_id": "lock"}, gone)
    refused = terminal("backfill", "--wait-lock", "1s")
    assert refused.code == 4
    assert "pid 1 on elsewhere" in refused.err
    assert "lbmigrate unlock" in refused.err
    assert "pid 1 on elsewhere, until" in terminal("status").out
    assert terminal("unlock", "--yes").code == 0
    assert terminal("backfill").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("holder", ["ann", {"host": 5}, {"pid": -1, "host": "x", "born": 0.0}, [], None])
def test_a_lease_whose_holder_cannot_be_read_is_not_stolen_either(app: Any, terminal: Any, holder: Any) -> None:
    set_in(app, "lock", holder=holder, expiresAt=dt.datetime(9999, 1, 1))
    assert terminal("backfill").code == 4
    assert "until 9999" in terminal("status").out
    assert terminal("unlock", "--yes").code == 0
    assert terminal("backfill").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "fence",
    ["7", None, MISSING, float("nan"), Int64(2**63 - 1), -5, [1], 10**12, {"a": 1}],
    ids=["text", "null", "absent", "NaN", "largest", "negative", "array", "far", "object"],
)
@pytest.mark.parametrize("row", ["lock", "step:4", "watermark:tasks"])
def test_a_fence_that_was_damaged_keeps_no_run_from_working(app: Any, terminal: Any, row: str, fence: Any) -> None:
    gone = {"$unset": {"fence": ""}} if fence is MISSING else {"$set": {"fence": fence}}
    app[COLLECTION].update_one({"_id": row}, gone)
    app["tasks"].insert_one(task(50, owner=1))
    ended = terminal("backfill", "--full")
    assert ended.code == 0, ended.err
    assert app["leaderboard_entries"].find_one({"userId": oid(1), "period": "global"})["score"] == 70
    fences = [each["fence"] for each in app[COLLECTION].find({"_id": {"$in": ["lock", "step:4", "watermark:tasks"]}})]
    assert len(set(fences)) == 1


@pytest.mark.slow
def test_a_lock_that_was_deleted_is_made_again_above_every_row(app: Any, terminal: Any) -> None:
    app[COLLECTION].delete_one({"_id": "lock"})
    assert terminal("backfill").code == 0
    assert terminal("backfill").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [7, oid(1), None, True, dt.datetime(2025, 1, 1), "note", {"a": 1}], ids=repr)
def test_a_row_that_nobody_knows_is_named_and_left_alone(app: Any, terminal: Any, name: Any) -> None:
    stranger = {"_id": name, "kind": "chunk", "status": "emitted", "source": "tasks", "pass": 1, "users": 5}
    app[COLLECTION].insert_one(stranger)
    for verb in (["status"], ["plan"], ["doctor"], ["history"], ["backfill"], ["reconcile"], ["verify"]):
        shown = terminal(*verb)
        assert shown.code in (0, 3), shown.err
        if verb[0] in ("status", "plan", "doctor", "history"):
            assert "lbmigrate has no row with such an _id" in " ".join((shown.out + shown.err).split())
    assert app[COLLECTION].find_one({"_id": name}) == stranger
    assert terminal("forget", str(oid(2)), "--yes").code == 0


@pytest.mark.slow
def test_an_open_chunk_whose_bounds_were_lost_is_read_again_with_all_of_its_source(app: Any, terminal: Any) -> None:
    chunk = app[COLLECTION].find_one({"_id": re.compile("^chunk:tasks:")})
    app["score_events"].delete_one({"sourceId": task(3)["_id"]})
    app["leaderboard_entries"].delete_many({"userId": oid(2)})
    set_in(app, chunk["_id"], status="claimed", low="a")
    set_in(app, "ledger", counts=None)  # as while a run is at work
    ended = terminal("backfill")
    assert ended.code == 0, ended.err
    assert f"row {chunk['_id']!r} of lbmigrate_state: low and high must be of one type" in ended.err
    assert app["score_events"].count_documents({}) == 12
    assert app["leaderboard_entries"].find_one({"userId": oid(2), "period": "global"})["score"] == 60
    assert app[COLLECTION].find_one({"_id": chunk["_id"]}) is None
    assert "lbmigrate_state:" not in terminal("backfill").err


@pytest.mark.slow
def test_a_switch_that_somebody_turned_off_stays_off_though_its_row_was_damaged(app: Any, terminal: Any) -> None:
    assert terminal("flag", "write", "off").code == 0
    set_in(app, "step:3", status=5)
    refused = terminal("run")
    assert refused.code == 6
    assert "write was turned off" in refused.err
    assert app["feature_flags"].find_one()["write"] is False


@pytest.mark.slow
def test_whoever_has_left_stays_away_though_the_tombstone_is_gone(app: Any, terminal: Any) -> None:
    assert terminal("forget", str(oid(2)), "--yes").code == 0
    app[COLLECTION].update_one({"tombstone": {"$exists": True}}, {"$unset": {"tombstone": ""}})
    app["tasks"].insert_one(task(70, owner=2))
    for verb in (["backfill"], ["backfill", "--full"], ["reconcile"]):
        assert terminal(*verb).code == 0
    assert app["leaderboard_entries"].count_documents({"userId": oid(2)}) == 0


@pytest.mark.slow
def test_without_the_salt_nobody_comes_back_and_the_hint_ends_it(app: Any, terminal: Any) -> None:
    assert terminal("forget", str(oid(2)), "--yes").code == 0
    set_in(app, "forgotten:salt", salt="zzz")
    for verb in ("status", "plan", "doctor"):
        assert terminal(verb).code in (0, 3)
    refused = terminal("backfill")
    assert refused.code == 6
    assert "db.lbmigrate_state.deleteMany({_id: /^forgotten:/}), then: lbmigrate forget USER" in refused.err
    app[COLLECTION].delete_many({"_id": re.compile("^forgotten:")})
    assert terminal("forget", str(oid(2)), "--yes").code == 0
    assert terminal("backfill").code == 0
    assert app["leaderboard_entries"].count_documents({"userId": oid(2)}) == 0
