"""Emitting: every document that is read is emitted, a duplicate, out of bounds, or a reject; on either server."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate.ledger.emit import emit
from lbmigrate.ledger.emitted import Emitted, Seen
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.records import Counts
from lbmigrate.run.context import Scope
from lbmigrate.schema import REJECTS
from tests.apps import NEW_YEAR, App, config, oid, task

EVERYTHING = {"_id": {"$gte": oid(0)}}


@pytest.fixture
def app(database):
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(6)])
    database["tasks"].insert_one(task(90, userId=None))
    database["tasks"].insert_one(task(91, status="todo"))
    return App(database, config())


def emitted(app, seen=Seen.NEVER, **chosen) -> Emitted:
    context = app.context(**chosen)
    return emit(context, app.config.sources[0], EVERYTHING, seen, OneUserType(context))


def test_each_document_in_scope_is_accounted_for(app):
    assert emitted(app).counts == Counts(read=7, emitted=6, rejected=1)
    assert app.event_ids() == [f"task_complete:{oid(1000 + number)}" for number in range(6)]
    assert app.database[REJECTS].find_one()["sourceId"] == oid(1090)


@pytest.mark.parametrize("seen", Seen)
def test_a_repeat_adds_nothing_whatever_was_expected(app, seen):
    emitted(app)
    before = app.events()
    assert emitted(app, seen).counts == Counts(read=7, duplicates=6, rejected=1)
    assert app.events() == before


def test_actions_outside_the_bounds_are_skipped(app):
    half = NEW_YEAR + dt.timedelta(hours=3 * 9)
    assert emitted(app, scope=Scope(since=half)).counts == Counts(read=7, emitted=3, rejected=1, skipped=3)


def test_the_users_of_new_events_are_those_to_roll_up(app):
    assert set(emitted(app).users) == {oid(1), oid(2)}


def test_after_an_attempt_that_was_not_saved_the_users_of_known_events_count_too(app):
    emitted(app)
    assert emitted(app, Seen.OVERLAP).users == []
    assert set(emitted(app, Seen.RETRY).users) == {oid(1), oid(2)}


def test_users_of_events_that_were_recorded_live_are_rolled_up_by_the_pass_that_meets_them(app):
    emitted(app, live=True)
    assert set(emitted(app, Seen.OVERLAP).users) == {oid(1), oid(2)}


def test_a_batch_larger_than_a_chunk_is_read_in_parts_and_counted_once(app):
    app.database["tasks"].insert_many([task(number) for number in range(100, 140)])
    assert emitted(app).counts == Counts(read=47, emitted=46, rejected=1)
