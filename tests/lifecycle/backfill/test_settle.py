"""What was undone, moved, or is worth something else by now is put right by the next incremental backfill."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace

import pytest

from lbmigrate.backfill import settle
from lbmigrate.errors import Refused
from lbmigrate.ledger.settle import Found
from lbmigrate.migration.steps import s4_backfill
from lbmigrate.reconcile.taken_back import refuse_too_much
from tests.apps import NEW_YEAR, config, oid, picture, stopped_after, task
from tests.histories import LISTS, WEIGHED, History, assert_named, assert_right, killed, migrated, usual

pytestmark = pytest.mark.sampled


@pytest.fixture
def app(database):
    return usual(database)


def adjusted(app):
    return Counter(event["meta"]["reason"] for event in app.events() if "reason" in event["meta"])


def later(app):
    """A time after all changes so far."""
    newest = max((each["updatedAt"] for name in ("tasks", "lists") for each in app.database[name].find()), default=None)
    return (newest or NEW_YEAR) + dt.timedelta(minutes=30)


def change(app, number, **fields):
    app.database["tasks"].update_one({"_id": oid(1000 + number)}, {"$set": {"updatedAt": later(app), **fields}})


CHANGES = {
    "undone": ({"status": "todo"}, {"voided": 1}),
    "of somebody else": ({"userId": oid(3)}, {"moved": 2}),
    "done at another time": ({"completedAt": NEW_YEAR - dt.timedelta(days=9)}, {"moved": 2}),
    "worth more": ({"weight": 3}, {"rescored": 1}),
    "of nobody": ({"userId": None}, {"voided": 1}),
}


@pytest.mark.parametrize(("fields", "reasons"), CHANGES.values(), ids=CHANGES)
def test_what_changed_is_settled_by_the_next_backfill_and_not_again_by_the_one_after(app, fields, reasons):
    change(app, 3, **fields)
    app.backfill()
    assert adjusted(app) == reasons
    assert_right(app)
    before = picture(app.database)
    app.backfill()
    assert picture(app.database) == before
    assert app.reconcile().adjusted == 0


def test_what_was_undone_and_is_done_again_counts_again(app):
    change(app, 3, status="todo")
    app.backfill()
    change(app, 3, status="done")
    app.backfill()
    assert adjusted(app) == {"voided": 1, "restored": 1}
    assert_right(app)


def test_an_element_that_is_gone_or_undone_is_taken_back(database):
    items = [{"_id": n, "done": True, "at": NEW_YEAR + dt.timedelta(hours=n)} for n in range(4)]
    lists = [{"_id": oid(1), "userId": oid(1), "updatedAt": NEW_YEAR, "items": items}]
    app = migrated(database, [], lists)
    left = [items[0], {**items[1], "done": False}, items[3]]
    database["lists"].update_one({}, {"$set": {"items": left, "updatedAt": later(app)}})
    app.backfill()
    assert adjusted(app) == {"voided": 2}
    assert_right(app)


WRITTEN = {
    "text": dt.datetime.isoformat,
    "number": lambda at: at.replace(tzinfo=dt.UTC).timestamp(),
    "date": lambda at: at,
}
UNTIMED = {key: value for key, value in WEIGHED.items() if key != "updated"}


@pytest.mark.parametrize("rules", [WEIGHED, UNTIMED], ids=["of changes", "of actions"])
def test_an_idle_pass_asks_the_ledger_for_nothing_that_does_not_say_when_it_changed(database, rules, monkeypatch):
    never = {"status": "todo", "completedAt": None, "updatedAt": None}
    app = migrated(database, [task(1), task(2), *(task(number, **never) for number in range(3, 9))], [], rules)
    looked_at = []
    monkeypatch.setattr(settle, "settle_documents", lambda *given, **_: looked_at.extend(given[2]) or Found())
    app.backfill()
    assert set(looked_at) <= {oid(1001), oid(1002)}
    assert looked_at


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("is_indexed", [True, False], ids=["indexed", "walked"])
def test_what_was_undone_is_seen_however_its_change_is_written(database, write, is_indexed):
    times = [NEW_YEAR + dt.timedelta(hours=number) for number in range(6)]
    app = migrated(database, [task(n, updatedAt=write(at)) for n, at in enumerate(times)], [], is_indexed=is_indexed)
    app.backfill()
    undone = {"status": "todo", "completedAt": None, "updatedAt": write(dt.datetime.now(dt.UTC).replace(tzinfo=None))}
    database["tasks"].update_one({"_id": oid(1002)}, {"$set": undone})
    app.backfill()
    assert adjusted(app) == {"voided": 1}


def test_a_first_pass_and_one_under_other_rules_take_nothing_back(app):
    other = replace(app, config=config({**WEIGHED, "where": {"status": "Done"}}, LISTS, backfill={"lag": "1h"}))
    change(other, 3, weight=2)
    other.backfill()
    other.backfill()
    assert adjusted(other) == {}


def test_many_actions_of_a_source_that_is_empty_are_left_until_their_number_is_agreed_to(database):
    app = migrated(database, [task(number) for number in range(120)], [])
    app = replace(app, config=app.config.model_copy(update={"backfill": config().backfill.model_copy(
        update={"chunk_size": 500, "lag": dt.timedelta(hours=1)})}))  # fmt: skip
    database["tasks"].update_many({}, {"$set": {"status": "archived", "updatedAt": later(app)}})
    told = [piece.warning for piece in s4_backfill.apply(app.context()) if piece.warning]
    assert "120 of task_complete were not taken back; next: lbmigrate reconcile" in told[0]
    assert adjusted(app) == {}
    with pytest.raises(Refused) as refused:
        refuse_too_much(app.context(), 0)
    assert refused.value.hint.endswith("lbmigrate reconcile --allow 120")
    refuse_too_much(app.context(), 120)
    app.reconcile()
    assert adjusted(app) == {"voided": 120}


def live_through(app, seed, rounds=6):
    """Half of the histories delete documents, which nobody sees but a reconciliation."""
    history = History(app, seed, deletes=bool(seed % 2), moves=True)
    for _ in range(rounds):
        history.acts()
        chance = history.rng.random()
        if chance < 0.3:
            stopped_after(s4_backfill, app.context(), history.rng.randrange(1, 8), saved=chance < 0.15)
            app.backfill()  # goes on with the pass that was cut off; what changed since that was opened is for the next
            history.acts(2)
        elif chance < 0.7:
            with killed(history.rng):
                app.backfill()
            app.backfill()
            history.acts(2)
        app.backfill()
        if seed % 2:
            app.reconcile()
        assert_right(app)
        assert_named(app)


@pytest.mark.parametrize("seed", range(5))
def test_any_history_is_right_after_the_next_backfill(app, seed):
    live_through(app, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5, 200))
def test_any_of_many_histories_is_right_after_the_next_backfill(app, seed):
    live_through(app, seed)
