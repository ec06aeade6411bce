"""Elements are found again by their names, however many their document has and whatever their ids are."""

from __future__ import annotations

import datetime as dt
import math
import uuid

import pytest
from bson import Decimal128, Int64, ObjectId

from lbmigrate.ledger import sources
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.rules import unwind
from tests.apps import NEW_YEAR, TASKS, App, config, task

OID = ObjectId("507f1f77bcf86cd799439011")
IDS = [
    OID, str(OID), 5, "5", Int64(2**40), "a/b", "a", "", "null", '"5"', '{"$oid": "507f1f77bcf86cd799439011"}', 0, True,
    {"k": 1}, dt.datetime(2025, 1, 1), uuid.UUID(int=7), str(uuid.UUID(int=7)), "x" * 3_000,
]  # fmt: skip
ON_A_SERVER = [7.0, 7.5, Decimal128("8"), math.inf]
ITEMS = {**TASKS, "unwind": "items", "where": {}, "at": ["items.at"], "meta": {}}


@pytest.fixture
def app(database):
    ids = [*IDS, *([] if is_fake(database) else ON_A_SERVER)]
    items = [{"_id": each, "at": NEW_YEAR} for each in ids] + [{"id": each, "at": NEW_YEAR} for each in ids]
    items += [{"at": NEW_YEAR} for _ in range(40)]
    database["tasks"].insert_many([task(number, _id=name, items=items) for number, name in enumerate((OID, "a/b", 5))])
    return App(database, config(ITEMS))


def named(app, names):
    (source,) = app.config.sources
    found = sources.named(app.context(), source, names)
    return {event["_id"]: event for event in found.events}, found.former


def everything(app):
    (source,) = app.config.sources
    context = app.context()
    found = [sources.score(context, source, some) for some in sources.read(context, source, {})]
    return {event["_id"]: event for part in found for event in part.events}


def test_the_elements_that_a_server_picks_are_those_that_are_named(app, monkeypatch):
    monkeypatch.setattr(sources, "MANY", 0.01)
    wanted = everything(app)
    assert len(wanted) > 100
    names = [event["sourceId"] for event in wanted.values()]
    assert named(app, names)[0] == wanted
    for event in wanted.values():
        found, _ = named(app, [event["sourceId"]])
        assert found[event["_id"]] == event
        assert len(found) <= 2, "one, and perhaps one that an earlier version gave that name"


def test_an_element_that_no_reading_of_its_name_finds_is_looked_for_among_all(app, monkeypatch):
    monkeypatch.setattr(sources, "MANY", 0.01)
    monkeypatch.setattr(unwind, "among", lambda names, source: {"$match": {"items._id": "nobody"}})
    wanted = everything(app)
    assert named(app, [event["sourceId"] for event in wanted.values()])[0] == wanted
