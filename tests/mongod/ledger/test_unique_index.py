"""An E11000 says that something is there already only where it is of `_id`: an index of the app's own is named."""

from __future__ import annotations

import pytest
from pymongo.errors import DuplicateKeyError

from lbmigrate.commands import Terms, backfill, run, turn_flag
from lbmigrate.errors import LbmigrateError
from lbmigrate.live import ScoreRecorder
from lbmigrate.run.connection import connection
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.state import COLLECTION, Holder, Lease
from lbmigrate.state.rows import State
from tests.apps import NEW_YEAR, TASKS, App, config, oid, task, user


@pytest.fixture
def app(database):
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    app = App(database, config(TASKS))
    app.apply()
    return app


def five_of_one_moment(app):
    app.database["tasks"].insert_many([task(n, 1 + n % 3, completedAt=NEW_YEAR, updatedAt=NEW_YEAR) for n in range(5)])


@pytest.mark.slow
def test_events_that_an_index_of_the_apps_own_refuses_are_rejects_that_name_it(app):
    app.database[EVENTS].create_index("createdAt", unique=True, name="one_a_moment")
    five_of_one_moment(app)
    counts = app.backfill()
    assert (counts.read, counts.emitted, counts.duplicates, counts.rejected) == (5, 1, 0, 4)
    reasons = app.database[REJECTS].distinct("reason")
    assert len(reasons) == 4
    assert all("its unique index one_a_moment is not of lbmigrate" in reason for reason in reasons)
    assert app.backfill().duplicates == 1  # which is one indeed


def test_a_recorder_says_which_index_refuses_an_action(app):
    app.database[EVENTS].create_index("createdAt", unique=True, name="one_a_moment")
    recorder = ScoreRecorder(app.database, app.config, strict=True)
    assert recorder.record("task_complete", oid(1), oid(1), at=NEW_YEAR)
    with pytest.raises(LbmigrateError, match="one_a_moment is not of lbmigrate"):
        recorder.record("task_complete", oid(1), oid(2), at=NEW_YEAR)
    assert app.event_ids() == [f"task_complete:{oid(1)}"]


@pytest.mark.parametrize("field", ["score", "displayNameSnapshot"])
def test_entries_that_an_index_refuses_end_the_run_at_once_and_the_hint_ends_that(app, field):
    five_of_one_moment(app)
    app.database[ENTRIES].create_index(field, unique=True, name="theirs")
    with pytest.raises(LbmigrateError, match=r"unique index that is not of lbmigrate \(theirs\)") as refused:
        app.backfill()
    assert refused.value.hint == "db.leaderboard_entries.dropIndex('theirs'), then lbmigrate backfill --full"
    app.database[ENTRIES].drop_index("theirs")
    app.backfill(scope=app.context().scope.__class__(full=True))
    assert sum(e["score"] for e in app.entries().values() if e["period"] == "global") == 50


@pytest.mark.slow
def test_a_change_of_an_entry_that_an_index_refuses_is_told_with_its_name(app):
    five_of_one_moment(app)
    app.backfill()
    app.database[ENTRIES].create_index([("period", 1), ("events", 1), ("userId", 1)], unique=True, name="fine")
    app.database[ENTRIES].create_index([("period", 1), ("lastEventAt", 1), ("events", 1), ("score", 1)], name="plain")
    app.database[ENTRIES].delete_many({"period": "global", "score": 20})
    app.database[ENTRIES].create_index(
        "score", unique=True, name="theirs", partialFilterExpression={"period": "global"}
    )
    app.database["tasks"].insert_one(task(9, 3))
    with pytest.raises(LbmigrateError, match=r"\(theirs\)"):
        app.backfill(scope=app.context().scope.__class__(full=True))


def test_a_unique_index_on_the_state_is_no_lost_lease_and_no_lock(app, server_uri):
    where = connection(app.database.client, config(TASKS, database={"uri": server_uri, "name": app.database.name}))
    app.database["tasks"].insert_many([task(number) for number in range(5)])
    app.database[COLLECTION].drop()
    app.database[COLLECTION].create_index("layout", unique=True, name="theirs")
    app.database[COLLECTION].insert_one({"_id": "something", "layout": 1})
    lease = Lease(State(app.database), Holder.here(), lambda: NEW_YEAR)
    with pytest.raises(DuplicateKeyError):
        lease.take()
    with pytest.raises(LbmigrateError, match=r"lbmigrate_state.theirs is a unique index"):
        backfill(where, terms=Terms())
    with pytest.raises(LbmigrateError, match="has a unique index that refuses what is no duplicate") as refused:
        turn_flag(where, "write", False)
    assert "theirs" in refused.value.message


@pytest.mark.slow
def test_a_flag_that_an_index_of_the_app_refuses_is_told_and_another_collection_ends_that(app, server_uri):
    parts = {"database": {"uri": server_uri, "name": app.database.name}}
    five_of_one_moment(app)
    app.database["feature_flags"].drop()
    app.database["feature_flags"].create_index("name", unique=True)
    app.database["feature_flags"].insert_one({"_id": "dark-mode"})
    where = connection(app.database.client, config(TASKS, **parts))
    with pytest.raises(LbmigrateError, match=r"feature_flags index: name_1") as refused:
        run(where, no_backup=True, confirmed=True)
    assert "name another collection (flag" in refused.value.hint
    elsewhere = connection(app.database.client, config(TASKS, **parts, flag={"collection": "switches"}))
    run(elsewhere, no_backup=True, confirmed=True)
    assert app.database["switches"].find_one()["read"] is True
