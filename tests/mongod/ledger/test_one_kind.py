"""Once the ledger says of which type its users are, a server refuses events of others, but for what takes them back."""

from __future__ import annotations

import pytest
from bson import Int64, ObjectId
from pymongo.errors import WriteError

from lbmigrate import schema
from lbmigrate.board.board import Board
from lbmigrate.migration.steps import STEPS
from lbmigrate.schema import EVENTS
from tests.apps import NEW_YEAR, TASKS, App, config, oid, task, user

BACKFILL = STEPS[:4]


def event(who, **fields):
    action = oid(9_000)
    usual = {"_id": f"task_complete:{action}", "userId": who, "actionType": "task_complete", "points": Int64(10)}
    return {**usual, "sourceId": action, "meta": {"origin": "live"}, "createdAt": NEW_YEAR, **fields}


def refuses(app, document):
    try:
        app.database[EVENTS].insert_one(document)
    except WriteError as error:
        return error.code == 121
    app.database[EVENTS].delete_one({"_id": document["_id"]})
    return False


@pytest.fixture
def app(database):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(24)])
    app = App(database, config())
    app.apply(BACKFILL)
    app.apply(BACKFILL[:1])  # as the next run does, or the cut-over
    return app


def test_after_a_run_the_server_takes_users_of_the_ledgers_type_alone(app):
    assert not refuses(app, event(ObjectId()))
    for other in ("6b07de66fb9301e45d8a19b3", Int64(7), 7.0):
        assert refuses(app, event(other))
    assert not refuses(app, event("text", meta={"origin": "backfill", "reason": "voided"}, points=Int64(-10)))
    assert not refuses(app, event("forgotten", meta={"origin": "live", "forgotten": True}))
    assert schema.differences(app.database) == []


@pytest.mark.slow
def test_an_event_of_another_type_from_before_is_still_moved_to_its_user(app):
    database = app.database
    odd = {**event("somebody"), "_id": f"task_complete:{oid(1000)}", "sourceId": oid(1000)}
    database[EVENTS].delete_one({"_id": odd["_id"]})
    database[EVENTS].insert_one(odd, bypass_document_validation=True)
    app.reconcile()
    entries = {each["userId"]: each["score"] for each in database["leaderboard_entries"].find({"period": "global"})}
    assert entries == {oid(1): 120, oid(2): 120, "somebody": 0}
    assert sum(each["points"] for each in database[EVENTS].find({"userId": "somebody"})) == 0


@pytest.mark.slow
def test_a_conversion_that_is_put_right_before_anything_counts_is_no_trap(app):
    app.revert(STEPS[3:4])
    texts = {**TASKS, "user": {"path": "userId", "as": "string"}}
    other = App(app.database, config(texts), clock=app.clock)
    other.apply(BACKFILL)
    assert {each["userId"] for each in app.database[EVENTS].find()} == {str(oid(1)), str(oid(2))}
    other.apply(BACKFILL[:1])
    assert refuses(other, event(ObjectId()))
    assert [place.score for place in Board(app.database, other.config).top()] == [120, 120]


@pytest.mark.slow
def test_a_few_events_do_not_tell_the_type(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(5)])
    app = App(database, config())
    app.apply(BACKFILL)
    app.apply(BACKFILL[:1])
    assert not refuses(app, event("text"))
