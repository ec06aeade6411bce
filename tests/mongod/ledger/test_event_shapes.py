"""What the validator takes of an app, the roll-up and the verification see alike."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from bson import Code, Decimal128, Int64

from lbmigrate.errors import Mismatch
from lbmigrate.migration.steps import STEPS
from lbmigrate.records import EARLIEST, LATEST, MOST_POINTS
from lbmigrate.run.context import VerifyOptions
from lbmigrate.schema import EVENTS
from tests.apps import NEW_YEAR, App, task, user

NOW = 1795646312070
SHAPES = {
    "a user as a double": {"userId": 3.0},
    "a new user as a double": {"userId": float(NOW)},
    "a user as an int64": {"userId": Int64(3)},
    "a source as a double": {"sourceId": 5001.0, "_id": "task_complete:5001"},
    "a source as a Decimal128": {"sourceId": Decimal128("5002"), "_id": "task_complete:5002"},
    "a source as its digits": {"sourceId": "5003", "_id": "task_complete:5003"},
    "a boolean source": {"sourceId": True, "_id": "task_complete:true"},
    "the first moment": {"createdAt": EARLIEST},
    "the last moment": {"createdAt": LATEST - dt.timedelta(milliseconds=1)},
    "no points": {"points": Int64(0)},
    "less than nothing": {"points": Int64(-7)},
    "the most points": {"points": Int64(MOST_POINTS)},
    "an origin of its own": {"meta": {"origin": "import"}},
    "an origin that is ours": {"meta": {"origin": "backfill"}, "userId": 7},
    "an origin that is a list": {"meta": {"origin": ["live"]}},
    "a reason that is ours": {"meta": {"reason": "voided"}},
    "a reason of its own": {"meta": {"reason": "bonus"}},
    "a reason that is code": {"meta": {"reason": Code("voided")}},
    "a reason that is a list": {"meta": {"reason": ["voided"]}},
    "a tombstone's mark": {"meta": {"forgotten": True}},
    "a mark that is none": {"meta": {"forgotten": "yes"}},
    "marks in a list": {"meta": {"forgotten": [True]}},
    "further fields": {"note": "x", "deep": {"a": [1]}},
    "an adjustment": {"_id": "task_complete:1#1", "sourceId": 1},
    "a user that is no id": {"userId": " "},
    "a user of another type": {"userId": uuid.uuid4()},
}
OLDER = ("a user that is no id", "a user of another type")  # than the validator, which now refuses them


@pytest.fixture
def app(database):
    database["users"].insert_many([{**user(1), "_id": number} for number in range(1, 10)])
    database["tasks"].insert_many([task(number, _id=number, userId=1 + number % 3) for number in range(30)])
    database["tasks"].create_index("updatedAt")
    app = App(database)
    app.apply()
    return app


def test_every_shape_of_an_event_is_seen_alike_after_the_next_backfill(app):
    for number, (name, fields) in enumerate(SHAPES.items(), 6000):
        event = {"userId": 3, "actionType": "task_complete", "points": Int64(10), "sourceId": number, "meta": {}}
        whole = {"_id": f"task_complete:{number}", **event, "createdAt": NEW_YEAR, **fields}
        app.database[EVENTS].insert_one(whole, bypass_document_validation=name in OLDER)
    app.backfill()
    with pytest.raises(Mismatch):  # by documents that are not there, not by entries
        app.apply([STEPS[4]], verify=VerifyOptions(full=True))
    assert {each["subject"] for each in app.state.get("verdict")["found"]} == {EVENTS}
    of_users = {entry["userId"]: entry["score"] for entry in app.entries().values() if entry["period"] == "global"}
    assert of_users.keys() == {1, 2, 3, 7, NOW}
    assert of_users[7] == of_users[NOW] == 10
