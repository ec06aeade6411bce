"""A full backfill leaves no entry for which the ledger has nothing, whoever it is of."""

from __future__ import annotations

import pytest
from bson import Binary, Int64, ObjectId

from lbmigrate.ledger import walk
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope
from lbmigrate.schema import ENTRIES
from tests.apps import NEW_YEAR, App, config, oid, task, user

BEYOND = {
    "below all others": oid(1),
    "between two others": oid(5),
    "above all others": oid(9),
    "a number": 7,
    "a negative number": Int64(-(2**60)),
    "text": "ada",
    "binary data": Binary(b"0" * 16, 4),
}


def entry(owner):
    return {
        "_id": f"global:{owner}", "userId": owner, "period": "global", "score": Int64(5), "streak": 1,
        "events": Int64(1), "rev": Int64(1), "lastEventAt": NEW_YEAR, "optOutSnapshot": False,
        "displayNameSnapshot": "x", "avatarSnapshot": None,
    }  # fmt: skip


@pytest.fixture
def app(database):
    database["users"].insert_many([user(number) for number in (3, 7)])
    database["tasks"].insert_many([task(number, owner=number) for number in (3, 7)])
    app = App(database, config())
    app.apply(STEPS[:4])
    return app


@pytest.mark.parametrize("owner", BEYOND.values(), ids=BEYOND)
def test_an_entry_of_somebody_of_whom_the_ledger_has_nothing_goes(app, owner):
    right = app.entries()
    app.database[ENTRIES].insert_one(entry(owner))
    app.backfill(scope=Scope(full=True))
    assert app.entries() == right


def test_entries_of_users_alone_are_walked_where_there_is_no_event_at_all(app):
    app.database["score_events"].delete_many({})
    found = list(walk.everyone(app.database))
    assert [each["$lte"] for each in found] == [oid(7)]


def test_a_walk_goes_on_from_where_it_stopped_also_beyond_the_ledger(app):
    app.database[ENTRIES].insert_many([entry(oid(1)), entry(oid(9))])
    (whole,) = walk.everyone(app.database)
    assert whole == {"$gte": oid(1), "$lte": oid(9)}
    assert list(walk.everyone(app.database, after=oid(7))) == [{"$gt": oid(7), "$lte": oid(9)}]
    assert list(walk.everyone(app.database, after=ObjectId("f" * 24))) == []
