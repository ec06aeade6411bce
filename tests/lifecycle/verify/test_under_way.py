"""What is under way is no mismatch: events that came in since the last backfill, which the next one rolls up."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Int64

from lbmigrate.errors import Mismatch
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import VerifyOptions
from lbmigrate.schema import ENTRIES, EVENTS
from tests.apps import NEW_YEAR, App, config, oid, task, user

VERIFY, BACKFILL, CUT_OVER = STEPS[4:5], STEPS[3:4], STEPS[5:6]
EVERYONE = VerifyOptions(full=True)
LATER = NEW_YEAR + dt.timedelta(days=200)
AN_HOUR = dt.timedelta(hours=1)


@pytest.fixture
def app(database):
    """Three users with tasks, backfilled and not yet verified; days and weeks are those of Kathmandu."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].create_index("updatedAt")
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
    app = App(database, config(timezone="Asia/Kathmandu", periods=["global", "day", "week", "month", "year"]))
    app.apply(STEPS[:4])
    return app


def record(app, number, owner=1, at=LATER, **fields):
    """As the app does it that is written in another language: the event alone, beside its task."""
    done = task(number, owner=owner, completedAt=at, updatedAt=at)
    app.database["tasks"].insert_one(done)
    event = {"_id": f"task_complete:{done['_id']}", "userId": oid(owner), "actionType": "task_complete"}
    worth = {"points": Int64(10), "sourceId": done["_id"], "meta": {"origin": "live"}, "createdAt": at}
    app.database[EVENTS].insert_one({**event, **worth, **fields})


def verify(app):
    """Whether it passes, and what is told beside that."""
    told = [piece.warning for piece in STEPS[4].apply(app.context(verify=EVERYONE)) if piece.warning]
    app.apply(VERIFY, verify=EVERYONE)
    return told


def test_an_app_that_goes_on_recording_does_not_keep_a_board_from_being_shown(app):
    for number in range(20, 26):
        record(app, number, owner=1 + number % 2, at=LATER + number * AN_HOUR)
        app.backfill()
        record(app, 100 + number, owner=1 + number % 2, at=LATER + number * AN_HOUR)
        [told] = verify(app)
        assert "came in since the last backfill" in told
        app.apply(CUT_OVER)
    app.backfill()
    assert verify(app) == []


def test_all_that_came_in_since_is_under_way_however_many_of_one_user(app):
    for number in range(30):
        record(app, 20 + number, owner=1 + number % 2, at=LATER + number * 7 * AN_HOUR)
    [told] = verify(app)
    assert told.startswith("2 users have events that came in since the last backfill")
    app.backfill()
    assert verify(app) == []


def test_somebody_whom_the_board_does_not_have_yet_is_under_way_too(app):
    record(app, 20, owner=9)
    assert len(verify(app)) == 1
    assert not [each for each in app.entries().values() if each["userId"] == oid(9)]


def test_what_was_rolled_up_meanwhile_counts_as_far_as_it_was(app):
    record(app, 20)
    context = app.context()
    app.backfill()
    app.state.put()
    record(app, 21)
    app.database[EVENTS].update_one({"_id": f"task_complete:{oid(1020)}"}, {"$set": {"meta.origin": "live"}})
    assert context.state.get("newcomers")
    assert len(verify(app)) == 1


@pytest.mark.parametrize("change", [{"score": 5}, {"events": 1}, {"score": -10}, {"score": 10}])
def test_an_entry_that_is_wrong_is_told_though_something_is_under_way(app, change):
    record(app, 20)
    app.database[ENTRIES].update_one({"_id": f"global:{oid(1)}"}, {"$inc": change})
    with pytest.raises(Mismatch, match=r"user 0*1 in global"):
        app.apply(VERIFY, verify=EVERYONE)


def test_an_event_that_went_missing_is_told_though_as_many_came_in(app):
    record(app, 20)
    app.database[EVENTS].delete_one({"_id": f"task_complete:{oid(1000)}"})
    with pytest.raises(Mismatch):
        app.apply(VERIFY, verify=EVERYONE)


def test_what_a_backfill_has_put_in_and_not_rolled_up_is_wrong(app):
    """Its events came in before what the last backfill remembers, so nothing excuses that an entry lacks them."""
    app.database[ENTRIES].update_one(
        {"_id": f"global:{oid(1)}"}, {"$inc": {"score": -10, "events": -1}, "$set": {"lastEventAt": NEW_YEAR}}
    )
    with pytest.raises(Mismatch):
        app.apply(VERIFY, verify=EVERYONE)
