"""Events and entries that somebody put past the validator: they stop nobody, and their points go nowhere for ever."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from bson import Code, Decimal128, Int64, Regex
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from lbmigrate.board.board import Board
from lbmigrate.errors import Mismatch
from lbmigrate.ledger import walk
from lbmigrate.ledger.odd import odd_events
from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.schema import ENTRIES, EVENTS
from tests.apps import LOST, NEW_YEAR, App, config, lost, oid, task, user

pytestmark = pytest.mark.usefixtures("mongod")
FULL = Scope(full=True)
RIGHT = {oid(1): 60, oid(2): 60}


@pytest.fixture
def app(database: Any) -> App:
    """Two users with six tasks each, whose points are on the board."""
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
    app = App(database, config())
    app.apply(STEPS[:3])
    app.backfill()
    assert scores(app) == RIGHT
    return app


def scores(app: App) -> dict[Any, int]:
    entries = app.database[ENTRIES].find({"period": "global", "userId": {"$in": list(RIGHT)}})
    return {entry["userId"]: entry["score"] for entry in entries}


def put(app: App, collection: str, document: dict[str, Any]) -> None:
    app.database[collection].insert_one(lost(document), bypass_document_validation=True)


def put_event(app: App, **fields: Any) -> None:
    event = {"_id": "task_complete:zz", "userId": oid(1), "actionType": "task_complete", "points": Int64(1000)}
    event |= {"sourceId": "zz", "meta": {"origin": "live"}, "createdAt": NEW_YEAR}
    put(app, EVENTS, {**event, **fields})


def verify(app: App) -> None:
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))


STOLEN = {
    "an _id that is not UTF-8": {"_id": f"task_complete:{LOST}", "sourceId": LOST},
    "an _id that is not UTF-8 and another source": {"_id": f"task_complete:{LOST}", "sourceId": oid(3)},
    "an _id that is no text": {"_id": 7},
    "a source that is not UTF-8": {"sourceId": LOST},
    "no source": {"sourceId": None},
    "a source that asks": {"sourceId": {"$gt": ""}},
    "a source that is a pattern": {"sourceId": Regex("z")},
    "a source of megabytes": {"sourceId": "z" * 6_000_000},
    "no action": {"actionType": None},
    "an action of another type": {"actionType": 5},
    "a long action": {"actionType": "z" * 300},
    "an action that is not UTF-8": {"actionType": LOST},
    "another action": {"actionType": "task_complete:x"},
    "a mark of somebody who left that is none": {"meta": {"origin": "live", "forgotten": 5}},
    "a mark that is a list": {"meta": {"origin": "live", "forgotten": [True]}},
    "no meta": {"meta": None},
    "meta that is text": {"meta": "x"},
    "meta that is not UTF-8": {"meta": {LOST: LOST, "origin": LOST}},
    "a user that is a decimal": {"userId": Decimal128("8")},
    "a user that is not UTF-8": {"userId": LOST},
    "several users": {"userId": [oid(1), oid(2)]},
    "the year 57805": {"createdAt": dt.datetime(9999, 1, 1)},
}


@pytest.mark.slow
@pytest.mark.parametrize("fields", STOLEN.values(), ids=STOLEN)
def test_stolen_points_are_taken_back_or_count_for_nobody_and_the_others_arrive(app, fields):
    put_event(app, **fields)
    app.database["tasks"].insert_one(task(50, owner=2))
    app.database["tasks"].update_one({"_id": task(0)["_id"]}, {"$set": {"status": "todo"}})
    for _ in range(2):
        app.backfill(scope=FULL)
        app.reconcile()
        assert scores(app) == {oid(1): 50, oid(2): 70}
    assert app.reconcile().adjusted == 0
    verify(app)


@pytest.mark.slow
@pytest.mark.parametrize("fields", STOLEN.values(), ids=STOLEN)
def test_somebody_who_had_an_odd_event_can_leave(app, fields):
    put_event(app, **fields)
    app.backfill(scope=FULL)
    app.forget(str(oid(1)))
    assert app.database[EVENTS].count_documents({"userId": oid(1)}) == 0
    assert app.database[ENTRIES].count_documents({"userId": oid(1)}) == 0
    app.reconcile()
    assert scores(app) == {oid(2): 60}


def test_an_event_that_cannot_be_addressed_is_named(app):
    put_event(app, _id=f"task_complete:{LOST}")
    assert odd_events(app.database, kind_of_users(app.context())).count == 1


@pytest.mark.parametrize("size", [1, 3, 50])
def test_a_walk_over_everyone_ends_although_a_user_is_not_utf8(app, size):
    for number, name in enumerate((LOST, f"a{LOST}", f"z{LOST}")):
        put_event(app, _id=f"task_complete:z{number}", userId=name)
    found: set[Any] = set()
    for count, condition in enumerate(walk.everyone(app.database, size=size)):
        assert count < 20
        found |= set(app.database[EVENTS].distinct("userId", {"userId": condition}))
    assert {oid(1), oid(2)} <= found


@pytest.mark.slow
def test_points_beyond_what_an_event_may_have_are_taken_back_in_parts(app):
    for number in (1, 2, 3):
        name = f"task_complete:{task(1)['_id']}#{number}"
        put_event(app, _id=name, sourceId=task(1)["_id"], userId=oid(2), points=Int64(2**53))
    app.backfill(scope=FULL)
    app.reconcile()
    assert scores(app) == RIGHT
    assert app.reconcile().adjusted == 0
    verify(app)


@pytest.mark.slow
def test_a_sum_that_no_entry_can_hold_stops_nobody_is_named_and_can_be_taken_back(app):
    def event(number: int) -> dict[str, Any]:
        fields = {"userId": oid(1), "actionType": "task_complete", "points": Int64(2**53), "sourceId": f"n{number}"}
        return {"_id": f"task_complete:n{number}", **fields, "meta": {"origin": "live"}, "createdAt": NEW_YEAR}

    app.database[EVENTS].insert_many([event(number) for number in range(1_025)])
    app.database["tasks"].insert_one(task(50, owner=2))
    app.backfill(scope=FULL)
    assert scores(app) == {oid(1): 2**63 - 1, oid(2): 70}
    with pytest.raises(Mismatch, match="no source document is behind it"):
        verify(app)
    assert {each["kind"] for each in app.state.get("verdict")["found"]} == {"orphan event"}
    app.reconcile()
    assert scores(app) == {oid(1): 60, oid(2): 70}
    verify(app)


# --- entries -------------------------------------------------------------------------------------------------------

ENTRY = {"period": "global", "score": Int64(999), "events": Int64(1), "rev": Int64(1), "displayNameSnapshot": "x"}
ODD_ENTRIES = {
    "a period in a list": {"_id": "pa", "userId": oid(1), "period": ["global"]},
    "a period that is code": {"_id": "pc", "userId": oid(1), "period": Code("global")},
    "a second one": {"_id": "dup", "userId": oid(1)},
    "a second one of another id": {"_id": "global:dup", "userId": oid(1)},
    "one whose _id is a number": {"_id": 7, "userId": oid(1)},
    "one whose _id is not UTF-8": {"_id": f"global:{LOST}", "userId": oid(1)},
    "no user": {"_id": "global:nobody", "userId": None},
    "several users": {"_id": "global:all", "userId": [oid(1), oid(2)]},
    "a user that is not UTF-8": {"_id": "global:z", "userId": LOST},
    "a user that is a decimal": {"_id": "global:8", "userId": Decimal128("8")},
}
ODD_REVISIONS = [{"$gt": ""}, "x", LOST, None, 1.5, [1], Int64(-5), Int64(2**63 - 1), Decimal128("NaN")]


@pytest.mark.slow
@pytest.mark.parametrize("fields", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
def test_an_odd_entry_is_not_on_the_board_and_stops_nobody(app, fields):
    put(app, ENTRIES, {**ENTRY, **fields})
    app.database["tasks"].insert_one(task(50, owner=2))
    app.backfill(scope=FULL)
    app.reconcile()
    shown = [(place.original, place.score) for place in Board(app.database, app.config).top()]
    assert shown == [(oid(2), 70), (oid(1), 60)]
    verify(app)


@pytest.mark.slow
@pytest.mark.parametrize("rev", ODD_REVISIONS, ids=repr)
def test_an_entry_with_an_odd_revision_is_made_right(app, rev):
    name = f"global:{oid(1)}"
    app.database[ENTRIES].delete_one({"_id": name})
    put(app, ENTRIES, {**ENTRY, "_id": name, "userId": oid(1), "rev": rev})
    app.backfill(scope=FULL)
    assert scores(app) == RIGHT
    verify(app)


@pytest.mark.slow
def test_entries_of_others_under_every_id_of_a_user_give_way(app):
    app.database[ENTRIES].delete_one({"_id": f"global:{oid(1)}"})
    put(app, ENTRIES, {**ENTRY, "_id": f"global:{oid(1)}", "userId": "zz"})
    put(app, ENTRIES, {**ENTRY, "_id": f'global:{{"$oid": "{oid(1)}"}}', "userId": "zy"})
    app.backfill(scope=FULL)
    assert scores(app) == RIGHT


@pytest.mark.slow
def test_an_entry_in_a_period_for_which_the_ledger_has_nothing_is_named_and_goes_with_the_next_full_backfill(app):
    put(app, ENTRIES, {**ENTRY, "_id": f"1999-W01:{oid(1)}", "userId": oid(1), "period": "1999-W01"})
    with pytest.raises(Mismatch):
        verify(app)
    app.backfill(scope=FULL)
    verify(app)
    assert app.database[ENTRIES].count_documents({"period": "1999-W01"}) == 0


@pytest.mark.slow
def test_who_may_not_remove_backfills_all_the_same(app, monkeypatch):
    put(app, ENTRIES, {**ENTRY, "_id": f"1999-W01:{oid(1)}", "userId": oid(1), "period": "1999-W01"})
    app.database["tasks"].insert_one(task(50, owner=2))

    delete = Collection.delete_many

    def refuses(collection: Any, *arguments: Any, **options: Any) -> Any:
        if collection.name == ENTRIES:
            raise OperationFailure("not authorized on app to execute command", 13)
        return delete(collection, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Collection, "delete_many", refuses)
        app.backfill(scope=FULL)
    assert scores(app) == {oid(1): 60, oid(2): 70}
    with pytest.raises(Mismatch, match="1999-W01"):
        verify(app)
