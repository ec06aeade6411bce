"""Several actions under one id: one of them counts, and the others are rejects that say why."""

from __future__ import annotations

import pytest

from lbmigrate.run.context import Scope
from lbmigrate.schema import REJECTS
from tests.apps import NEW_YEAR, TASKS, App, config, oid, task, user

ITEMS = {**TASKS, "unwind": "items", "where": {"items.done": True}, "at": ["items.at"], "points": "minutes",
         "let": {"minutes": {"path": "items.minutes"}}, "meta": {}}  # fmt: skip


def item(name, minutes=10, **fields):
    return {"id": name, "done": True, "at": NEW_YEAR, "minutes": minutes, **fields}


def app_with(database, items, **backfill):
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(0, items=items))
    return App(database, config(ITEMS, backfill=backfill))


def became(counts):
    return counts.read, counts.emitted, counts.duplicates, counts.rejected


def reasons(app):
    return {row["sourceId"]: row["reason"] for row in app.database[REJECTS].find()}


def test_of_two_elements_with_one_id_the_first_counts_and_the_other_is_a_reject_that_says_why(database):
    app = app_with(database, [item("a"), item("a", 20), item("b", 30)])
    assert became(app.apply()) == (3, 2, 0, 1)
    assert [event["points"] for event in app.events()] == [10, 30]
    told = {f"{oid(1000)}/a": "an earlier element of items has the same id, so this one does not count"}
    assert reasons(app) == told
    assert became(app.backfill(scope=Scope(full=True))) == (3, 0, 2, 1)
    assert app.reconcile().adjusted == 0


@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_element_is_known_whatever_lies_between_it_and_its_namesake(database, size):
    """More elements than a batch holds: the batch before is remembered as far as its last document."""
    app = app_with(database, [item(name, number + 1) for number, name in enumerate("abcda")], chunk_size=size)
    assert became(app.apply()) == (5, 4, 0, 1)
    assert sum(event["points"] for event in app.events()) == 1 + 2 + 3 + 4


def test_an_element_that_does_not_qualify_takes_no_id(database):
    app = app_with(database, [item("a", done=False), item("a", at="yesterday or so"), item("a", 20)])
    assert became(app.apply()) == (2, 1, 0, 1)
    assert [event["points"] for event in app.events()] == [20]
    assert app.reconcile().adjusted == 0


def test_elements_of_two_documents_may_have_one_id(database):
    app = app_with(database, [item("a")], chunk_size=1)
    database["tasks"].insert_one(task(1, items=[item("a", 20)]))
    assert became(app.apply()) == (2, 2, 0, 0)
