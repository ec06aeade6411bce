"""What an app writes into the ledger itself is on the board after the next backfill, whatever its documents say."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Int64

from lbmigrate.ledger import newcomers
from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.schema import EVENTS
from tests.apps import NEW_YEAR, App, oid, stopped_after, task, user

pytestmark = pytest.mark.sampled

YESTERDAY = NEW_YEAR + dt.timedelta(days=300)


@pytest.fixture
def app(database):
    """Ten tasks of three users, backfilled; the last of them was done long after the others."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].create_index("updatedAt")
    database["tasks"].insert_many([task(number, 1 + number % 2) for number in range(9)])
    database["tasks"].insert_one(task(9, 2, completedAt=YESTERDAY, updatedAt=YESTERDAY))
    app = App(database)
    app.apply()
    return app


def event(number=50, owner=3, **fields):
    """An event as an app may write it."""
    written = {"_id": f"task_complete:{oid(1000 + number)}", "userId": oid(owner), "actionType": "task_complete"}
    worth = {"points": Int64(10), "sourceId": oid(1000 + number), "meta": {}, "createdAt": NEW_YEAR}
    return {**written, **worth, **fields}


def scores(app):
    return {str(e["userId"])[-1]: e["score"] for e in app.entries().values() if e["period"] == "global"}


def verify(app):
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"origin": "live"},
        {"origin": "backfill"},
        {"origin": "import"},
        {"origin": None},
        {"note": "x"},
        {"reason": "restored"},
    ],
)
@pytest.mark.parametrize("is_there", [False, True], ids=["without a document", "of an old document"])
def test_an_event_that_an_app_wrote_is_on_the_board_after_the_next_backfill(app, meta, is_there):
    if is_there:
        app.database["tasks"].insert_one(task(50, 3, hours=0))
    app.database[EVENTS].insert_one(event(meta=meta))
    app.backfill()
    assert scores(app) == {"1": 50, "2": 50, "3": 10}
    verify(app)


def test_an_event_of_somebody_else_than_its_document_says_is_moved_when_the_document_is_looked_at(app):
    app.database[EVENTS].insert_one(event(meta={"origin": "live"}))
    app.backfill()
    assert scores(app)["3"] == 10
    app.database["tasks"].insert_one(task(50, 1, hours=24 * 300))
    app.backfill()
    assert scores(app) == {"1": 60, "2": 50, "3": 0}
    verify(app)


def test_a_backfill_with_nothing_new_changes_nothing(app):
    app.database[EVENTS].insert_one(event())
    app.backfill()
    before = app.entries(), app.events(), app.state.get(newcomers.ROW)["after"]
    app.backfill()
    assert (app.entries(), app.events(), app.state.get(newcomers.ROW)["after"]) == before


def test_what_came_in_before_a_run_that_was_stopped_is_on_the_board_after_the_next(app):
    app.database[EVENTS].insert_one(event())
    stopped_after(s4_backfill, app.context(), 2, saved=True)
    app.backfill()
    assert scores(app)["3"] == 10


def test_a_bounded_backfill_leaves_it_to_the_next_ordinary_one(app):
    app.database[EVENTS].insert_one(event())
    app.backfill(scope=Scope(user=str(oid(1))))
    assert "3" not in scores(app)
    app.backfill()
    assert scores(app)["3"] == 10


def test_whoever_remembers_nothing_or_what_is_gone_reads_the_whole_ledger(app, monkeypatch):
    monkeypatch.setattr(newcomers, "BEYOND", 0)
    app.database[EVENTS].insert_one(event())
    app.database[EVENTS].insert_many([event(number, 1) for number in range(60, 90)])
    app.state.rows.delete_one({"_id": newcomers.ROW})
    app.backfill()
    assert scores(app) == {"1": 350, "2": 50, "3": 10}
    app.database[EVENTS].insert_many([event(51), event(52, 2)])
    app.state.rows.update_one({"_id": newcomers.ROW}, {"$set": {"after": ["gone"]}})
    app.database["tasks"].delete_many({})
    app.backfill()
    assert (scores(app)["2"], scores(app)["3"]) == (60, 20)


def test_no_more_is_read_than_what_is_new(app, monkeypatch):
    monkeypatch.setattr(newcomers, "BEYOND", 2)
    app.backfill()
    app.database[EVENTS].insert_many([event(number) for number in (50, 51)])
    app.database[EVENTS].update_many({}, {"$unset": {"meta.origin": 1}})
    assert newcomers.users(app.context())[0] == oid(3)
    assert len(list(newcomers._new(app.context()))) == 2 + 2


def test_too_many_newcomers_are_everyone(app, monkeypatch):
    monkeypatch.setattr(newcomers, "MOST_USERS", 0)
    app.database[EVENTS].insert_one(event())
    app.backfill()
    assert scores(app) == {"1": 50, "2": 50, "3": 10}
    app.database[EVENTS].insert_one(event(51, 1))
    app.backfill()
    assert scores(app) == {"1": 60, "2": 50, "3": 10}
