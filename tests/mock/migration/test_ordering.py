"""From one order of those who share a score to another: killed at every write, read and recorded meanwhile."""

from __future__ import annotations

import itertools

import pytest

from lbmigrate.board.board import Board
from lbmigrate.migration.steps import STEPS, s2_create_indexes
from lbmigrate.mongo import fake
from lbmigrate.schema import ENTRIES
from lbmigrate.schema.layout import partitions
from lbmigrate.state import layouts
from tests.apps import App, config, oid, task, ticking, untimed, user
from tests.mock.migration.test_killed import life, survives  # noqa: F401  a fixture

pytestmark = pytest.mark.sampled

WAYS = ("userId", "earliest", "latest")
PERIODS = ["global", "2024-12-30", "2025-W01"]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(layouts, "GRACE", 0)
    monkeypatch.setattr(layouts, "LOOK_AGAIN", 0)
    monkeypatch.setattr("lbmigrate.board.whereabouts.LOOK_AGAIN", 0)


def settings(order, layout):
    return config(ranking={"order": ["score", order]}, layout=layout)


def made(order, layout="single"):
    app = App(fake.client()["app"], settings(order, layout), clock=ticking())
    app.database["users"].insert_many([user(number) for number in range(1, 7)])
    hours = [7, 3, 5, 1, 2, 4, 9, 9, 8, 6, 0, 3]
    app.database["tasks"].insert_many(
        [task(place, owner=1 + place % 6, hours=each) for place, each in enumerate(hours)]
    )
    app.apply(STEPS[:4])
    return app


def as_(app, order):
    return App(app.database, settings(order, app.config.layout), clock=app.clock)


def everything(app):
    names = [ENTRIES, *partitions(app.database)]
    found = {(name, entry["_id"]): untimed(ENTRIES, entry) for name in names for entry in app.database[name].find()}
    indexes = {(name, index) for name in names for index in app.database[name].index_information()}
    return found, indexes, layouts.now(app.state)


def tops(app):
    board = Board(app.database, app.config)
    return {period: [place.original for place in board.top(period, 100)] for period in PERIODS}


def change(app):
    app.apply([s2_create_indexes])


@pytest.mark.parametrize("layout", ["single", "partitioned"])
@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(WAYS, 2)))
def test_a_run_leaves_what_a_new_migration_makes_in_every_layout(before, after, layout):
    app, aim = made(before, layout), made(after, layout)
    change(as_(app, after))
    assert everything(app) == everything(aim)
    assert tops(as_(app, after)) == tops(aim)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["single", "partitioned"])
@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(WAYS, 2)))
def test_killed_at_any_write_and_started_again_a_board_stands_in_one_order_or_the_other(
    life,  # noqa: F811
    before,
    after,
    layout,
):
    aim, allowed = everything(made(after, layout)), 0
    orders = [tops(made(order, layout)) for order in (before, after, "userId")]
    while True:
        app = as_(made(before, layout), after)
        life.left = allowed
        done = survives(change, app)
        life.left = None
        assert tops(app) in orders, f"after {allowed} writes"
        change(app)
        assert everything(app) == aim, f"after {allowed} writes"
        if done:
            break
        allowed += 1


@pytest.mark.slow
@pytest.mark.parametrize(("before", "first", "then"), list(itertools.permutations(WAYS)))
def test_who_changes_their_mind_half_way_gets_the_last_word(life, before, first, then):  # noqa: F811
    aim, allowed = everything(made(then)), 0
    back = everything(made(before))
    while True:
        app = made(before)
        life.left = allowed
        done = survives(change, as_(app, first))
        life.left = None
        change(as_(app, then))
        assert everything(app) == aim, f"after {allowed} writes"
        change(as_(app, before))
        assert everything(app) == back, f"after {allowed} writes"
        if done:
            break
        allowed += 1


def test_a_backfill_between_two_attempts_leaves_nothing_undone(life):  # noqa: F811
    aim = everything(made("earliest"))
    for allowed in (3, 9):
        app = made("userId")
        life.left = allowed
        survives(change, as_(app, "earliest"))
        life.left = None
        as_(app, "earliest").backfill()
        change(as_(app, "earliest"))
        assert everything(app) == aim, f"after {allowed} writes"


def test_a_migration_that_is_rolled_back_leaves_no_order_behind():
    app = made("earliest")
    app.revert(STEPS[:4])
    assert layouts.now(app.state) == layouts.Layout()
    assert ENTRIES not in app.database.list_collection_names()
    app.apply(STEPS[:4])
    assert everything(app)[:2] == everything(made("earliest"))[:2]
    assert oid(4) in tops(app)["global"]
