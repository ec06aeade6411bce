"""Documents that a real server or its driver will not have: each becomes a reject, and nothing else does."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope
from lbmigrate.run.stop import Limits, Stop
from lbmigrate.schema import EVENTS, REJECTS
from lbmigrate.testing import messy
from tests.apps import TASKS, App, config, named, task, user

pytestmark = pytest.mark.usefixtures("mongod")
LARGEST = 16 * 1024 * 1024


@pytest.fixture
def app(database: Any) -> App:
    """Ten tasks that are fine, in chunks of five; whatever a test adds comes after them."""
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(10)])
    app = App(database, config(backfill={"failing_share": 1.0}))
    app.apply(STEPS[:2])
    return app


def rejects(app: App) -> list[Any]:
    return list(app.database[REJECTS].find())


def filled(document: dict[str, Any], field: str, size: int) -> dict[str, Any]:
    """The document with a string in `field` that makes it exactly `size` bytes."""
    room = size - len(bson.encode({**document, field: ""}))
    return {**document, field: "x" * room}


@pytest.mark.slow
@pytest.mark.parametrize("spare", [0, 40], ids=lambda spare: f"{spare} bytes left")
def test_a_document_that_fits_while_its_event_does_not_is_rejected_alone(app, spare):
    big = filled(task(20), "priority", LARGEST - spare)
    app.database["tasks"].insert_one(big)
    counts = app.backfill()
    (row,) = rejects(app)
    assert (row["sourceId"], counts.read, counts.emitted, counts.rejected) == (big["_id"], 11, 10, 1)
    assert len(row["reason"]) <= 300


@pytest.mark.slow
def test_a_document_with_an_id_of_megabytes_is_rejected_and_does_not_stop_the_run(app):
    app.database["tasks"].insert_one(filled({**task(20), "_id": "x" * 2_100_000}, "priority", LARGEST - 2_200_000))
    counts = app.backfill()
    (row,) = rejects(app)
    assert (counts.read, counts.emitted, counts.rejected) == (11, 10, 1)
    assert row["sourceId"].startswith("xxx")
    assert len(row["sourceId"]) < 250, "its id is shortened wherever it is kept"
    assert row["reason"] == "_id is longer than 2,000,000 characters"


def test_a_mapped_value_of_64_kib_is_the_largest_that_an_event_takes(app):
    largest = 65_536 - len(bson.encode({"": ""}))
    app.database["tasks"].insert_one(task(20, priority="x" * largest))
    app.database["tasks"].insert_one(task(21, priority="x" * (largest + 1)))
    assert app.backfill().emitted == 11
    (row,) = rejects(app)
    assert (row["sourceId"], row["reason"]) == (task(21)["_id"], "priority has 65,537 bytes, more than 65,536")


@pytest.mark.parametrize("levels", [33, 170])
def test_a_mapped_value_that_is_nested_too_deep_is_rejected_alone(app, levels):
    nested = 1
    for _ in range(levels):
        nested = {"a": nested}
    app.database["tasks"].insert_one(task(20, priority=nested))
    assert app.backfill().emitted == 10
    (row,) = rejects(app)
    assert (row["sourceId"], row["reason"]) == (task(20)["_id"], "priority is nested deeper than 32 levels")


def test_text_that_is_not_utf8_is_rejected_alone(app):
    good = bson.encode(task(20, priority="?????"))
    app.database["tasks"].insert_one(RawBSONDocument(good.replace(b"?????", b"\xff\xfe\xfd\xfc\xfb")))
    counts = app.backfill()
    (row,) = rejects(app)
    assert (row["sourceId"], counts.emitted, counts.rejected) == (task(20)["_id"], 10, 1)
    assert "InvalidBSON" in row["reason"]


def test_an_event_that_a_stricter_validator_refuses_is_rejected_with_its_reason(app):
    strict = {"sourceId": {"$nin": [task(3)["_id"], task(8)["_id"]]}}
    app.database.command("collMod", EVENTS, validator=strict)
    counts = app.backfill()
    assert {row["sourceId"] for row in rejects(app)} == {task(3)["_id"], task(8)["_id"]}
    assert (counts.emitted + counts.duplicates, counts.rejected) == (8, 2)
    assert len(app.events()) == 8
    assert all("Document failed validation" in row["reason"] for row in rejects(app))


def test_every_document_of_a_messy_history_is_accounted_for(database):
    documents = list(messy([task(number) for number in range(300)], share=0.6, spare=("_id", "userId")))
    database["users"].insert_one(user(1))
    database["tasks"].insert_many(documents)
    app = App(database, config({**TASKS, "where": {}}, backfill={"chunk_size": 50}))
    app.apply(STEPS[:2])
    counts = app.backfill()
    assert counts.read == len(documents) == counts.emitted + counts.rejected
    found = {row["sourceId"] for row in rejects(app)} | {event["sourceId"] for event in app.events()}
    assert found == {document["_id"] for document in documents}


# --- ids that are not UTF-8 ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 3, 50])
@pytest.mark.parametrize("odd", [[b"\xff"], [b"a\xff", b"m\xfe"], [b"z\xff\xff", b"\xc0", b"\xed\xa0\x80"]], ids=repr)
def test_ids_that_are_not_utf8_are_rejects_wherever_they_stand_and_all_others_arrive(database, odd, size):
    names = [f"{letter}{mark}" for letter in "abmz\U0001f600" for mark in ("", "b", "\ufffe")]
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number, _id=name) for number, name in enumerate(names)])
    database["tasks"].insert_many([named(name, task(0)) for name in odd])
    app = App(database, config(backfill={"chunk_size": size, "failing_share": 1.0}))
    app.apply(STEPS[:2])
    counts = app.backfill()
    assert {event["sourceId"] for event in app.events()} == set(names)
    assert counts.rejected == len(odd)
    assert {row["reason"] for row in rejects(app)} == {"its _id is not UTF-8 text"}
    assert app.backfill(scope=Scope(full=True)).emitted == 0


def test_a_pass_over_ids_that_are_not_utf8_is_resumed_where_it_was(database):
    names = [f"{number:02}" for number in range(12)]
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number, _id=name, updatedAt=None) for number, name in enumerate(names)])
    database["tasks"].insert_many([named(name, task(0)) for name in (b"\xff", b"05\xff")])
    app = App(database, config(backfill={"chunk_size": 3, "failing_share": 1.0}))
    app.apply(STEPS[:2])
    for _ in range(4):
        app.backfill(stop=Stop(Limits(documents=4)))
    assert {event["sourceId"] for event in app.events()} == set(names)
    assert len(rejects(app)) == 2
