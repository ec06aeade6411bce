"""The ledger of those who have no entries yet, read without a filter, comes to what it comes to with one."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

import bson
import pytest
from bson import Int64
from bson.raw_bson import RawBSONDocument

from lbmigrate.ledger import rollup
from lbmigrate.ledger.people import People
from lbmigrate.ledger.plain_events import NotPlain, plain_events
from lbmigrate.records import EARLIEST, LATEST, MOST_POINTS
from lbmigrate.schema import EVENTS
from tests.apps import TASKS, App, config, oid

pytestmark = pytest.mark.usefixtures("mongod")
MILLISECOND = dt.timedelta(milliseconds=1)


def event(number: int, **fields: Any) -> dict[str, Any]:
    usual = {"points": Int64(number), "createdAt": dt.datetime(2025, 1, 1 + number % 9), "meta": {"origin": "backfill"}}
    return {"_id": f"task:{number}", "userId": oid(number % 3), **usual, **fields}


PLAIN = [
    {"_id": "task:1000"},
    {"userId": oid(7)},
    {"points": Int64(MOST_POINTS)},
    {"points": Int64(-MOST_POINTS)},
    {"createdAt": EARLIEST},
    {"createdAt": LATEST - MILLISECOND},
    {"meta": {}},
    {"meta": None},
    {"meta": {"origin": "live", "note": [1]}},
]
ODD = [
    {"_id": 5},
    {"_id": "ä"},
    {"_id": "BROKEN"},
    {"points": 5},
    {"points": 5.0},
    {"points": [Int64(5)]},
    {"points": Int64(MOST_POINTS + 1)},
    {"points": Int64(-(2**63))},
    {"createdAt": LATEST},
    {"createdAt": EARLIEST - MILLISECOND},
    {"createdAt": "2025"},
    {"userId": [oid(1), oid(2)]},
    {"meta": {"forgotten": True}},
    {"meta": {"forgotten": False}},
    {"meta": {"reason": "voided"}},
    {"meta": {"reason": "restored"}},
]


@pytest.fixture
def app(database):
    database[EVENTS].insert_many([event(number) for number in range(20)])
    return App(database, config(TASKS))


def put(app: App, fields: dict[str, Any]) -> None:
    raw = bson.encode(event(20, **fields)).replace(b"BROKEN", b"BR\xc3KEN")
    app.database[EVENTS].insert_one(RawBSONDocument(raw))


def both(app: App, users: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    context = app.context()
    found = [read(context.target, users, People(context)) for read in (rollup.days, rollup._first_days)]
    first, second = ({n: list([] if c is None else c) for n, c in asdict(each).items()} for each in found)
    return first, second


@pytest.mark.parametrize("users", [{"$gte": oid(0)}, {"$in": [oid(0), oid(2), oid(7)]}], ids=["range", "list"])
def test_what_counts_is_read_alike_and_without_a_filter(app, users):
    for fields in PLAIN:
        put(app, fields)
        with patch.object(rollup, "NotPlain", RuntimeError):
            filtered, found = both(app, users)
        assert filtered == found
        assert sum(found["events"]) >= 13
        app.database[EVENTS].delete_one({"_id": fields.get("_id", "task:20")})


def test_what_may_not_count_has_all_of_them_read_with_the_filter(app):
    for fields in ODD:
        put(app, fields)
        with pytest.raises(NotPlain):
            list(plain_events(app.database, {"$gte": oid(0)}))
        filtered, found = both(app, {"$gte": oid(0)})
        assert filtered == found
        app.database[EVENTS].delete_many({"_id": {"$nin": [f"task:{n}" for n in range(20)]}})


def test_of_a_name_that_comes_twice_the_server_says_whether_it_counts(app):
    raw = bson.encode({"_id": "task:20", "pointz": Int64(MOST_POINTS + 1), **event(20)}).replace(b"pointz", b"points")
    app.database[EVENTS].insert_one(RawBSONDocument(raw))
    filtered, found = both(app, {"$gte": oid(0)})
    assert filtered == found
    assert sum(found["events"]) == 20


@pytest.mark.parametrize("ids", [[*range(20)], [f"user {n}" for n in range(20)]], ids=["numbers", "texts"])
def test_users_of_other_types_are_read_alike(app, ids):
    app.database[EVENTS].drop()
    app.database[EVENTS].insert_many([event(n, userId=ids[n % 20]) for n in range(60)])
    for batch in (7, 1_000):
        with patch("lbmigrate.ledger.plain_events.BATCH", batch), patch.object(rollup, "NotPlain", RuntimeError):
            filtered, found = both(app, {"$in": ids})
        assert filtered == found
        assert sum(found["events"]) == 60
