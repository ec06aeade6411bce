"""What a run makes of what a worker says, and a worker of what it is handed; in one process, without a way between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from lbmigrate.errors import LbmigrateError, LeaseLost
from lbmigrate.mongo import errors_told
from lbmigrate.mongo.faults import AGAIN
from lbmigrate.records import Document
from lbmigrate.run.context import utc_now
from lbmigrate.run.crew import Answer, WorkerLost
from lbmigrate.workers.at_work import answered, packed, unpacked
from lbmigrate.workers.ways import carry_out
from tests.apps import App, config, task, user

GIVEN_UP = errors_told.as_document(LeaseLost("this worker was not heard of for too long"))


class Worker:
    """A crew of one, which works right here with a clock of its own; its first answers may be others than it has."""

    def __init__(self, app: App, *first: Document, late: dt.timedelta = dt.timedelta()) -> None:
        self._app, self._first, self._late = app, list(first), late
        self.done = 0

    def hands(self) -> int:
        return 1

    def helpers(self) -> int:
        return 1

    def news(self) -> list[str]:
        return []

    @contextmanager
    def line(self) -> Iterator[Worker]:
        yield self

    def ask(self, task: Document, answer: Answer) -> Document:
        context = replace(self._app.context(), clock=lambda: utc_now() - self._late)
        found = carry_out(context, unpacked(packed(task)), lambda asked: unpacked(packed(answer(asked))))
        self.done += 1
        return self._first.pop(0) if self._first else unpacked(answered(found))


def app_with(database: Any, number: int, **fields: Any) -> App:
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(each, **fields) for each in range(number)])
    return App(database, config(backfill={"chunk_size": 10}), clock=utc_now)


@pytest.mark.parametrize("said", [{"failed": GIVEN_UP, "seconds": 0.1, "attempts": 1}, {"error": GIVEN_UP}])
def test_a_worker_that_finds_itself_given_up_hands_its_chunk_to_another(database, said):
    """It has slept for longer than it may, and its run has not noticed."""
    app = app_with(database, 30)
    app.apply(crew=Worker(app, said))
    assert len(app.events()) == 30
    assert app.entries()[f"global:{user(1)['_id']}"]["score"] == 300
    assert [row["status"] for row in app.chunks()] == ["rolled"] * 3
    assert sum(row["counts"]["read"] for row in app.chunks()) == 30


def test_a_chunk_of_which_every_worker_finds_itself_given_up_ends_the_run(database):
    app = app_with(database, 5)
    with pytest.raises(WorkerLost) as told:
        app.apply(crew=Worker(app, *[{"error": GIVEN_UP}] * 5))
    assert told.value.hint == AGAIN
    assert app.apply(crew=Worker(app)).duplicates == 5


def test_a_run_that_was_overtaken_ends_with_that_whoever_notices(database):
    app = app_with(database, 30)
    app.apply(crew=None)
    database["tasks"].insert_one(task(99))

    class Overtaking(Worker):
        def ask(self, task: Document, answer: Answer) -> Document:
            app.state.rows.update_one({"_id": "lock"}, {"$set": {"fence": 9, "kind": "lock"}}, upsert=True)
            return super().ask(task, answer)

    with pytest.raises(LeaseLost):
        app.backfill(crew=Overtaking(app, {"error": GIVEN_UP}))


@pytest.mark.parametrize("days", [400, -400], ids=["behind", "ahead"])
def test_the_clock_of_a_worker_decides_nothing(database, days):
    """Neither which actions lie too far in the future, nor when something was written."""
    now = utc_now()
    app = app_with(database, 10, completedAt=now, updatedAt=now)
    database["tasks"].insert_one(task(50, completedAt=now + dt.timedelta(days=30), updatedAt=now))
    worker = Worker(app, late=dt.timedelta(days=days))
    counts = app.apply(crew=worker)
    assert worker.done > 1
    assert (counts.emitted, counts.rejected, counts.future) == (10, 1, 0)
    for entry in app.entries().values():
        assert abs(entry["updatedAt"] - now) < dt.timedelta(hours=1)
        assert abs(entry["createdAt"] - now) < dt.timedelta(hours=1)


def test_an_error_of_a_worker_that_is_no_loss_ends_the_run_with_it(database):
    app = app_with(database, 5)
    told = errors_told.as_document(LbmigrateError("something else"))
    with pytest.raises(LbmigrateError, match="something else"):
        app.apply(crew=Worker(app, {"error": told}))
