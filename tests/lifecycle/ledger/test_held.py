"""What somebody has put into the ledger or the entries beside what belongs there is read a little at a time, or not."""

from __future__ import annotations

import pytest
from bson import Int64

from lbmigrate.board.board import Board
from lbmigrate.ledger import forget
from lbmigrate.ledger.entries import present_entries
from lbmigrate.ledger.identify import rows_of
from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.reconcile import parts
from lbmigrate.run.context import Scope
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.schema.layout import Layout
from lbmigrate.values import ids
from tests.apps import App, config, oid, task, user

BIG = "x" * 300_000


@pytest.fixture
def app(database):
    database["users"].insert_many([user(number) for number in (1, 2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
    app = App(database, config(backfill={"chunk_size": 100}))
    app.apply(STEPS[:4])
    return app


def swell(app, collection, **fields):
    """Add these fields to every document, past the validator."""
    if is_fake(app.database):
        app.database[collection].update_many({}, {"$set": fields})
    else:
        app.database.command("collMod", collection, validationLevel="off")
        app.database[collection].update_many({}, {"$set": fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"x": BIG},
        {"moved": {"from": BIG, "period": BIG}},
        {"displayNameSnapshot": BIG},
        {"avatarSnapshot": [BIG]},
        {"score": BIG},
    ],
)
def test_of_entries_no_more_is_held_than_is_compared_and_they_are_made_right(app, fields):
    right = {name: (entry["score"], entry["displayNameSnapshot"]) for name, entry in app.entries().items()}
    swell(app, ENTRIES, **fields)
    held = present_entries(app.database, Layout(), [(ENTRIES, {"$in": [oid(1), oid(2)]})], lambda _: None)
    assert len(held) == len(right)
    assert len(str(held)) < len(BIG)
    assert all(len(place.name or "") < 3_000 for place in Board(app.database, app.config).top())
    app.backfill(scope=Scope(full=True))
    assert {name: (entry["score"], entry["displayNameSnapshot"]) for name, entry in app.entries().items()} == right


def test_a_range_of_the_ledger_is_reconciled_in_parts_with_the_same_outcome(app, monkeypatch):
    app.database["tasks"].update_many({"userId": oid(1)}, {"$set": {"status": "todo"}})
    monkeypatch.setattr(parts, "HELD_SIZE", 100)  # an event's `_id` has 38
    assert app.reconcile().adjusted == 6
    again = app.reconcile()
    assert (again.read, again.adjusted) == (18, 0), "an adjustment may be in the part after its event"
    assert {e["userId"]: e["score"] for e in app.entries().values() if e["period"] == "global"} == {
        oid(1): 0,
        oid(2): 60,
    }


@pytest.mark.slow
def test_who_leaves_with_large_events_is_forgotten_some_at_a_time(app, monkeypatch):
    swell(app, EVENTS, meta={"origin": "live", "note": f"of {oid(1)} {BIG}"})
    parts = []
    monkeypatch.setattr(forget, "AT_ONCE_SIZE", 700_000)
    entomb = forget._entomb
    monkeypatch.setattr(forget, "_entomb", lambda *given: (parts.append(len(given[2])), entomb(*given)))
    app.forget(str(oid(1)))
    assert parts == [2, 2, 2]
    assert not any(str(oid(1)) in str(event) for event in app.events() if event["userId"] != oid(2))


def test_what_stands_under_an_asked_for_id_is_held_no_longer_than_its_id_allows(app):
    swell(app, EVENTS, sourceId=BIG, meta={"origin": BIG})
    rows = rows_of(app.context(), app.event_ids())
    assert len(rows) == 12
    assert len(str(rows)) < 12 * 1_000


def test_a_rollback_removes_what_has_large_ids_some_at_a_time(app, monkeypatch):
    monkeypatch.setattr(s4_backfill, "portions", lambda found, room: ids.portions(found, room, most_bytes=100))
    app.revert([s4_backfill])
    assert app.events() == []
    assert app.entries() == {}


def test_an_entry_whose_id_is_longer_than_any_of_ours_goes(app):
    right = app.entries()
    entry = {**next(iter(right.values())), "_id": f"global:{BIG}", "rev": Int64(1)}
    app.database[ENTRIES].insert_one(entry)
    app.backfill(scope=Scope(full=True))
    assert app.entries() == right
