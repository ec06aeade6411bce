"""What is fixed, deleted or out of scope leaves the rejects, and what can be scored by now is scored."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest

from lbmigrate.backfill import recheck
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope
from lbmigrate.verify import verdict
from tests.apps import TASKS, App, config, oid, picture, task, user

FILL = STEPS[:4]
NUMBERS = itertools.count(1)
LATER = dt.datetime(2025, 3, 1)


@pytest.fixture
def app(database):
    """Ten tasks of two users, of which number 3 has no user and number 4 no time."""
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(10)])
    database["tasks"].update_one({"_id": oid(1003)}, {"$unset": {"userId": ""}})
    database["tasks"].update_one({"_id": oid(1004)}, {"$set": {"completedAt": "soon"}})
    app = App(database)
    app.apply(FILL)
    assert rejected(app) == {oid(1003), oid(1004)}
    return app


def rejected(app):
    return {row["sourceId"] for row in app.database["lbmigrate_rejects"].find()}


def again(app, **chosen):
    """The next run; each has a name of its own."""
    return app.backfill(run=f"run {next(NUMBERS)}", **chosen)


def change(app, number, **fields):
    app.database["tasks"].update_one({"_id": oid(1000 + number)}, {"$set": fields})


def test_a_document_that_was_corrected_leaves_the_rejects_when_it_is_scored(app):
    change(app, 3, userId=oid(1), updatedAt=LATER)
    counts = again(app)
    assert counts.emitted == 1
    assert rejected(app) == {oid(1004)}
    assert f"task_complete:{oid(1003)}" in app.event_ids()


def test_one_that_was_corrected_without_a_new_time_of_change_is_scored_and_on_the_board(app):
    before = app.entries()[f"global:{oid(1)}"]["score"]
    change(app, 3, userId=oid(1), updatedAt=dt.datetime(2020, 1, 1))
    assert again(app).emitted == 1
    assert rejected(app) == {oid(1004)}
    assert app.entries()[f"global:{oid(1)}"]["score"] == before + 10


def test_a_verdict_does_not_cover_what_was_scored_after_it(app):
    app.apply(STEPS[4:5])
    assert verdict.is_current(app.context())
    again(app)
    assert verdict.is_current(app.context())
    change(app, 3, userId=oid(1))
    again(app)
    assert not verdict.is_current(app.context())


def test_one_that_was_deleted_or_no_longer_qualifies_leaves_them(app):
    app.database["tasks"].delete_one({"_id": oid(1003)})
    change(app, 4, status="open")
    assert again(app).emitted == 0
    assert rejected(app) == set()
    assert len(app.events()) == 8


def test_one_that_is_rejected_for_another_reason_by_now_says_so(app):
    change(app, 3, userId=oid(1), completedAt="never")
    again(app)
    reasons = {row["sourceId"]: row["reason"] for row in app.database["lbmigrate_rejects"].find()}
    assert "never" in reasons[oid(1003)]
    assert rejected(app) == {oid(1003), oid(1004)}


def test_another_rule_under_which_a_document_can_be_scored_is_enough(app):
    app.config = config({**TASKS, "at": ["completedAt", "updatedAt"]})
    again(app)
    assert rejected(app) == {oid(1003)}


def test_nothing_new_changes_nothing(app):
    before = picture(app.database)
    for scope in (Scope(), Scope(full=True)):
        counts = again(app, scope=scope)
        assert counts.emitted == 0
        assert picture(app.database) == before


def test_a_bounded_backfill_leaves_the_others_alone(app):
    change(app, 3, userId=oid(1))
    app.database["tasks"].delete_one({"_id": oid(1004)})
    again(app, scope=Scope(user=str(oid(2))))
    assert rejected(app) == {oid(1003), oid(1004)}


def test_what_a_bounded_backfill_scores_leaves_them_as_well(app):
    change(app, 3, userId=oid(1))
    again(app, scope=Scope(user=str(oid(1))))
    assert rejected(app) == {oid(1004)}


def test_of_many_rejects_each_run_looks_at_some_until_all_were_looked_at(app, monkeypatch):
    monkeypatch.setattr(recheck, "MOST", 4)
    monkeypatch.setattr(recheck, "AT_ONCE", 2)
    app.database["tasks"].insert_many([task(100 + n, completedAt=None, updatedAt=LATER) for n in range(9)])
    again(app)
    assert len(rejected(app)) == 11
    app.database["tasks"].delete_many({"completedAt": None})
    for _ in range(4):
        again(app)
    assert rejected(app) == {oid(1003), oid(1004)}


def test_many_users_of_another_type_do_not_stop_the_next_run(app):
    """A tenth of another type is no mistake of the configuration, but of rejects alone they would be all."""
    others = [task(100 + n, userId=f"guest {n}" if n % 10 == 0 else oid(1), updatedAt=LATER) for n in range(300)]
    app.database["tasks"].insert_many(others)
    app.config = config(backfill={"chunk_size": 1000})
    again(app)
    assert len(rejected(app)) == 32
    assert again(app).emitted == 0
    assert len(rejected(app)) == 32


EMBEDDED = {**TASKS, "unwind": "done", "user": "userId", "at": ["done.at"], "where": {}, "updated": "updatedAt"}


def test_elements_leave_them_one_by_one(database):
    database["users"].insert_one(user(1))
    good, bad = {"_id": "a", "at": LATER}, [{"_id": name, "at": "soon"} for name in "bcd"]
    database["tasks"].insert_one({"_id": oid(7), "userId": oid(1), "updatedAt": LATER, "done": [good, *bad]})
    app = App(database, config({k: v for k, v in EMBEDDED.items() if k != "meta"}))
    app.apply(FILL)
    assert rejected(app) == {f"{oid(7)}/{name}" for name in "bcd"}
    fixed = [good, {"_id": "b", "at": LATER}, bad[2]]
    database["tasks"].update_one({"_id": oid(7)}, {"$set": {"done": fixed}})
    again(app)
    assert rejected(app) == {f"{oid(7)}/d"}
    assert len(app.events()) == 2
