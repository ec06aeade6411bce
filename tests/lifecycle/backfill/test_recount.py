"""A recount finds what no incremental pass sees, and reads only the ranges in which something is missing."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid

import pytest

from lbmigrate.backfill import recount
from lbmigrate.errors import WorkRemains
from lbmigrate.migration.status import status
from lbmigrate.migration.steps import STEPS
from lbmigrate.records import Recounted
from lbmigrate.run.context import VerifyOptions
from lbmigrate.run.stop import Limits, Stop
from tests.apps import SESSIONS, TASKS, App, config, oid, picture, session, task, user

pytestmark = pytest.mark.sampled

OLD = dt.datetime(2020, 1, 1)


@pytest.fixture
def app(database):
    """Forty tasks in eight ranges and ten sessions in two, all on the board."""
    return filled(database)


def filled(database, *sources):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(2 * number, owner=1 + number % 2) for number in range(40)])
    database["sessions"].insert_many([session(number, owner=1) for number in range(10)])
    database["tasks"].create_index("updatedAt")
    database["sessions"].create_index("endedAt")
    app = App(database, config(*(sources or (TASKS, SESSIONS))))
    app.apply(STEPS[:5])
    return app


def late(number, **fields):
    """A task that the app writes today and dates back, under every watermark."""
    return task(number, updatedAt=OLD, completedAt=OLD, **fields)


def assert_counted(app, *numbers):
    assert {f"task_complete:{oid(1000 + number)}" for number in numbers} <= set(app.event_ids())
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))
    assert app.state.get("verdict")["passed"]


# --- what is found -------------------------------------------------------------------------------------------------


def test_a_task_that_came_late_is_seen_by_no_incremental_pass_and_by_a_recount(app):
    app.database["tasks"].insert_one(late(7))
    assert app.backfill().emitted == 0
    counts = app.recount()
    assert counts == Recounted(ranges=11, differing=1, read=5, emitted=1)
    assert_counted(app, 7)


def test_one_that_was_completed_without_a_new_time_of_change_is_found(database):
    database["tasks"].insert_one(task(7, status="open", updatedAt=OLD))
    app = filled(database)
    database["tasks"].update_one({"_id": oid(1007)}, {"$set": {"status": "done"}})
    assert app.backfill().emitted == 0
    assert app.recount().emitted == 1
    assert_counted(app, 7)


def test_where_everything_agrees_nothing_is_read_and_nothing_written(app):
    before = picture(app.database)
    counts = app.recount()
    assert (counts.ranges, counts.differing, counts.read) == (10, 0, 0)
    assert picture(app.database) == before


def test_what_was_taken_back_rejected_or_moved_is_no_difference(app):
    tasks = app.database["tasks"]
    tasks.update_one({"_id": oid(1000)}, {"$set": {"status": "open"}})
    tasks.update_one({"_id": oid(1002)}, {"$set": {"userId": oid(2)}})
    tasks.delete_one({"_id": oid(1004)})
    app.reconcile()
    tasks.update_one({"_id": oid(1006)}, {"$set": {"status": "open"}})
    app.reconcile()
    tasks.update_one({"_id": oid(1006)}, {"$set": {"status": "done"}})
    app.reconcile()
    tasks.insert_one(task(9, completedAt="soon", updatedAt=dt.datetime(2030, 1, 1)))
    assert app.backfill().rejected == 1
    assert app.recount().differing == 0


def test_rejects_that_are_fixed_leave_with_a_recount(app):
    app.database["tasks"].insert_one(task(9, completedAt="soon", updatedAt=dt.datetime(2030, 1, 1)))
    app.backfill()
    app.database["tasks"].update_one({"_id": oid(1009)}, {"$set": {"completedAt": OLD, "updatedAt": OLD}})
    assert app.recount(run="later").emitted == 1
    assert app.database["lbmigrate_rejects"].count_documents({}) == 0
    assert_counted(app, 9)


def test_what_is_below_and_above_all_ids_is_found(app):
    app.database["tasks"].insert_many([late(-900), late(5_000_000)])
    assert app.recount().emitted == 2
    assert_counted(app, -900, 5_000_000)


UNWOUND = {
    "name": "steps", "collection": "tasks", "action": "step_done", "unwind": "steps", "where": {"steps.done": True},
    "user": "userId", "at": "steps.at", "updated": "updatedAt", "points": 3,
}  # fmt: skip


def test_elements_are_counted_like_documents(database):
    steps = [{"_id": name, "done": name != "b", "at": OLD} for name in "abc"]
    database["tasks"].insert_one(task(1, steps=steps))
    database["users"].insert_one(user(1))
    app = App(database, config(UNWOUND))
    app.apply(STEPS[:5])
    assert app.recount().differing == 0
    database["tasks"].update_one({"_id": oid(1001)}, {"$set": {"steps": [{**each, "done": True} for each in steps]}})
    assert app.recount().emitted == 1
    assert len(app.events()) == 3


def test_sources_that_share_an_action_are_counted_together(database):
    database["tasks"].insert_many([task(2 * number + 1, status="archived") for number in range(12)])
    database["tasks"].insert_many([task(number, status="old") for number in range(200, 206)])
    past = {**TASKS, "name": "past", "where": {"status": {"$in": ["archived", "old"]}}}
    app = filled(database, TASKS, past, {**past, "name": "archive", "where": {"status": "archived"}})
    assert app.recount().differing == 0
    database["tasks"].insert_one(late(131, status="archived"))
    assert app.recount().emitted == 1
    assert_counted(app, 131)


@pytest.mark.parametrize(
    "make",
    [lambda n: n, lambda n: f"task {n:03}", lambda n: uuid.UUID(int=n << 64 | n), lambda n: {"list": 1, "number": n}],
    ids=["numbers", "texts", "uuids", "compound"],
)
def test_ids_of_every_kind_are_recounted(database, make):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(n, _id=make(n)) for n in range(8, 40)])
    app = App(database)
    app.apply(STEPS[:5])
    assert app.recount().differing == 0
    database["tasks"].insert_many([late(n, _id=make(n)) for n in (0, 41)])
    assert app.recount().emitted == 2
    assert len(app.events()) == 34
    assert app.recount().differing == 0


def test_an_id_that_no_range_holds_does_no_harm(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(n, _id=n or None) for n in range(7)])
    app = App(database)
    app.apply(STEPS[:5])
    assert app.recount().differing == 0


# --- stopped, and gone on with ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("saved", [True, False], ids=["checkpointed", "killed-before-its-checkpoint"])
def test_stopped_after_any_piece_it_ends_like_one_that_was_not(app, saved):
    app.database["tasks"].insert_many([late(7), late(33)])
    wanted = None
    for number in itertools.count(1):
        for name in ("score_events", "leaderboard_entries"):
            app.database[name].delete_many({})
        app.state.rows.delete_many({})
        app.database["tasks"].delete_many({"updatedAt": OLD})
        app.apply(STEPS[:5])
        app.database["tasks"].insert_many([late(7), late(33)])
        made = 0
        walk = recount.pieces(app.context())
        for piece in itertools.islice(walk, number):
            made += 1
            if piece.checkpoint is not None and (saved or made < number):
                app.state.save(piece.checkpoint)
        walk.close()
        app.recount()
        wanted = wanted or picture(app.database, times=False)
        assert picture(app.database, times=False) == wanted, f"stopped after piece {number}"
        if made < number:
            break
    assert_counted(app, 7, 33)


def test_a_limit_ends_it_and_the_next_run_goes_on(app):
    app.database["tasks"].insert_many([late(7), late(33)])
    stop = Stop(Limits(documents=1))
    assert app.recount(stop=stop).emitted == 1
    with pytest.raises(WorkRemains):
        stop.raise_if_asked("lbmigrate recount")
    assert app.recount().emitted == 1
    assert_counted(app, 7, 33)


def test_under_other_rules_it_starts_over(app):
    app.database["tasks"].insert_many([late(7), late(33)])
    app.recount(stop=Stop(Limits(documents=1)))
    first = app.state.get("watermark:tasks:recount")["pass"]["number"]
    app.config = config({**TASKS, "points": 11}, SESSIONS)
    app.recount()
    assert app.state.get("watermark:tasks:recount")["pass"]["number"] == first + 1


def test_before_the_first_pass_has_ended_there_is_nothing_to_recount(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(4)])
    app = App(database)
    app.apply(STEPS[:2])
    assert app.recount() == Recounted()
    assert app.events() == []


# --- what is said --------------------------------------------------------------------------------------------------


def test_status_says_when_the_last_whole_look_began(app):
    first = status(app.context()).sources[0].looks
    assert set(first) == {"backfill"}
    app.backfill()
    assert status(app.context()).sources[0].looks == first
    app.recount()
    second = status(app.context()).sources[0].looks
    assert second["backfill"] == first["backfill"] < second["recount"]


def test_its_ranges_do_not_pile_up(app):
    for _ in range(4):
        app.recount()
    rows = list(app.state.rows.find({"kind": "chunk", "source": "tasks:recount"}))
    assert len({row["pass"] for row in rows}) == 1
