"""What `Date.now()` gives is a double to JavaScript and an integer to others: one value is one id and one user."""

from __future__ import annotations

import pytest
from bson import Decimal128, Int64
from pymongo.errors import DuplicateKeyError

from lbmigrate.board.board import Board
from lbmigrate.live import ScoreRecorder
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.schema import EVENTS
from tests.apps import NEW_YEAR, App, task, user

NOW = 1795646312070
FORMS = (float, Int64, lambda number: Decimal128(str(number)), lambda number: Decimal128(f"{number}.0"))


@pytest.fixture
def app(database):
    """Four users with five tasks each; tasks, users and what refers to them have numbers of every type as ids."""
    database["users"].insert_many([user(1, hidden=n == 2) | {"_id": FORMS[n](NOW + n)} for n in range(4)])
    tasks = [task(n, _id=FORMS[n % 4](NOW + n), userId=FORMS[n // 2 % 4](NOW + n % 4)) for n in range(20)]
    database["tasks"].insert_many(tasks)
    app = App(database)
    app.apply()
    return app


@pytest.mark.slow
def test_numbers_of_every_type_are_one_user_with_one_entry(app):
    assert app.event_ids() == [f"task_complete:{NOW + number}" for number in range(20)]
    assert {event["userId"] for event in app.events()} == {NOW + number for number in range(4)}
    entries = [entry for entry in app.entries().values() if entry["period"] == "global"]
    assert {entry["userId"]: entry["score"] for entry in entries} == {NOW + number: 50 for number in range(4)}
    assert [entry["userId"] for entry in entries if entry["optOutSnapshot"]] == [NOW + 2]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS, ids=["double", "long", "decimal", "decimal with a zero"])
def test_whichever_type_an_app_writes_it_is_the_same_action_and_the_same_user(app, form):
    written = {"_id": f"task_complete:{NOW}", "userId": float(NOW), "actionType": "task_complete", "points": Int64(10)}
    with pytest.raises(DuplicateKeyError):
        app.database[EVENTS].insert_one({**written, "sourceId": form(NOW), "meta": {}, "createdAt": NEW_YEAR})
    recorder = ScoreRecorder(app.database, app.config, strict=True)
    assert recorder.record("task_complete", form(NOW + 1), form(NOW + 100), at=NEW_YEAR)
    assert not recorder.record("task_complete", NOW + 1, NOW + 100, at=NEW_YEAR)
    assert not recorder.record_source("tasks", form(NOW + 1))
    assert app.backfill(scope=Scope(full=True)).emitted == app.reconcile().adjusted - 1 == 0  # the one without a task
    place = Board(app.database, app.config).rank(form(NOW))
    assert (place.original, place.score) == (NOW, 50)
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))


@pytest.mark.slow
def test_who_leaves_is_gone_in_every_type(app):
    app.forget(str(NOW))
    assert app.backfill(scope=Scope(full=True)).skipped == 5
    assert NOW not in {event["userId"] for event in app.events()} | {e["userId"] for e in app.entries().values()}
