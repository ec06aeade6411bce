"""What a dry run tells beside the present board: actions that would be worth something else, and who would move."""

from __future__ import annotations

import datetime as dt

from lbmigrate.board.order import BY_USER, Order
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.reconcile.drift import drift
from lbmigrate.rehearsal.report import moves
from lbmigrate.rehearsal.shifts import Shift, shifts
from tests.apps import SESSIONS, TASKS, App, config, oid, session, task, user


def fill(database):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(10)])
    database["sessions"].insert_many([session(number) for number in range(4)])
    return database


def migrated(database, *sources, **parts):
    app = App(fill(database), config(*sources, **parts))
    app.apply(STEPS[:4])
    return app


def rehearsed(app, *sources, **parts):
    """The app as it is now, migrated again in memory."""
    target = fake.client()["app"]
    for name in ("users", "tasks", "sessions"):
        target[name].insert_many(list(app.database[name].find()))
    App(target, config(*sources, **parts)).apply(STEPS[:4])
    return target


def test_it_names_each_action_that_would_be_worth_something_else(database):
    app = migrated(database, TASKS, SESSIONS)
    other = rehearsed(app, {**TASKS, "points": 15})
    assert shifts(database, other) == [Shift("focus_session", 100, 0, 4, 0), Shift("task_complete", 100, 150, 10, 10)]
    aim = App(database, config({**TASKS, "points": 15}, SESSIONS), clock=app.clock)
    assert drift(aim.context()).actions["task_complete"].up == 50  # which is what plan says


def test_what_was_taken_back_stands_no_more_and_is_no_difference(database):
    app = migrated(database, TASKS, SESSIONS)
    later = dt.datetime(2030, 1, 1)
    database["tasks"].update_many(
        {"_id": {"$in": [oid(1000), oid(1001)]}}, {"$set": {"status": "open", "updatedAt": later}}
    )
    assert shifts(database, rehearsed(app, TASKS, SESSIONS)) == [Shift("task_complete", 100, 80, 10, 8)]
    app.backfill()
    assert shifts(database, rehearsed(app, TASKS, SESSIONS)) == []


def test_without_a_board_nothing_shifts(database):
    fill(database)
    assert shifts(database, rehearsed(App(database, config()))) == []


def test_another_order_moves_those_who_share_a_score(database):
    app = migrated(database, TASKS)
    other = rehearsed(app, TASKS, ranking={"ties": "ordinal", "order": ["score", "earliest"]})
    assert moves(database, other, "ordinal", (BY_USER, BY_USER)) == []
    moved = moves(database, other, "ordinal", (BY_USER, Order("earliest")))
    assert {(move.user, move.before, move.after) for move in moved} == {(str(oid(1)), 2, 1), (str(oid(2)), 1, 2)}
