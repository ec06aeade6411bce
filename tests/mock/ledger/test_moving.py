"""Entries on their way from one layout to the other: killed at every write, read and recorded meanwhile."""

from __future__ import annotations

import pytest

from lbmigrate.board.board import Board
from lbmigrate.ledger import moving, rollup
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.steps import STEPS, s1_create_collections
from lbmigrate.mongo import fake
from lbmigrate.records import Work
from lbmigrate.schema import ENTRIES
from lbmigrate.schema.layout import ALL, Layout, partitions
from lbmigrate.state import layouts
from tests.apps import App, config, oid, task, ticking, untimed, user
from tests.mock.migration.test_killed import life, survives  # noqa: F401  a fixture

PERIODS = ["global", "2024-12-30", "2025-W01", "2025-W02"]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(layouts, "GRACE", 0)
    monkeypatch.setattr(layouts, "LOOK_AGAIN", 0)
    monkeypatch.setattr("lbmigrate.ledger.copying.CHUNK", 2)


def made(layout="single"):
    app = App(fake.client()["app"], config(layout=layout), clock=ticking())
    app.database["users"].insert_many([user(number) for number in (1, 2, 3)])
    app.database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    app.apply(STEPS[:4])
    return app


def as_(app, layout):
    return App(app.database, config(layout=layout), clock=app.clock)


def everything(app):
    """Every entry by where it is and its `_id`."""
    names = [ENTRIES, *partitions(app.database)]
    return {(name, entry["_id"]): untimed(ENTRIES, entry) for name in names for entry in app.database[name].find()}


def tops(app):
    board = Board(app.database, app.config)
    return {period: [(place.original, place.score) for place in board.top(period, 100)] for period in PERIODS}


def move(app):
    Driver(app.context()).carry_out(Work("move"), moving.pieces(app.context()))


@pytest.mark.parametrize(("before", "after"), [("single", "partitioned"), ("partitioned", "single")])
def test_a_run_moves_every_entry_to_where_the_configuration_wants_it(before, after):
    app, aim = made(before), everything(made(after))
    assert {name for name, _ in everything(app)} != {name for name, _ in aim}
    as_(app, after).apply([s1_create_collections])
    assert everything(app) == aim
    assert layouts.layout(app.state) == Layout(ALL if after == "partitioned" else "")
    assert moving.pending(as_(app, after).context()) == ""


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [("single", "partitioned"), ("partitioned", "single")])
def test_killed_at_any_write_of_a_move_and_started_again_the_board_was_never_dark(life, before, after):  # noqa: F811
    aim, whole, allowed = everything(made(after)), tops(made(after)), 0
    while True:
        app = as_(made(before), after)
        life.left = allowed
        done = survives(move, app)
        life.left = None
        assert tops(app) == whole, f"after {allowed} writes"
        move(app)
        assert everything(app) == aim, f"after {allowed} writes"
        if done:
            break
        allowed += 1
    assert allowed > 20


@pytest.mark.parametrize(("before", "after"), [("single", "partitioned"), ("partitioned", "single")])
def test_who_looked_at_the_layout_before_a_period_moved_still_finds_all_of_it(before, after):
    app = as_(made(before), after)
    board, whole = Board(app.database, app.config), tops(app)
    board.top()
    board._homes.where._next = float("inf")
    pieces = moving.pieces(app.context())
    for piece in pieces:
        if piece.note.startswith("removed") or piece.note.startswith("dropped") or piece.subject == ENTRIES:
            return
        for period in PERIODS:
            assert [(place.original, place.score) for place in board.top(period, 100)] == whole[period]
    pytest.fail("nothing was removed")


@pytest.mark.parametrize(("before", "after"), [("single", "partitioned"), ("partitioned", "single")])
def test_what_is_recorded_between_two_pieces_of_a_move_is_on_the_board_and_stays_there(before, after):
    app, number = as_(made(before), after), 100
    who, before = app.events()[0]["userId"], dict(tops(app)["2025-W01"])
    for _ in moving.pieces(app.context()):
        assert dict(tops(app)["2025-W01"])[who] == before[who] + 10 * (number - 100)
        number += 1
        event = {**app.events()[0], "_id": f"task_complete:{oid(number)}", "sourceId": oid(number)}
        app.database["score_events"].insert_one(event)
        rollup.roll_up(app.context(), {"$in": [event["userId"]]})
    expected = made(after)
    for more in range(101, number + 1):
        event = {**expected.events()[0], "_id": f"task_complete:{oid(more)}", "sourceId": oid(more)}
        expected.database["score_events"].insert_one(event)
    rollup.roll_up(expected.context(), {"$in": [event["userId"]]})
    assert everything(app) == everything(expected)


def test_a_writer_that_slept_through_a_move_writes_again_where_entries_are_now(monkeypatch):
    app = made("single")
    original, looks = layouts.look, [layouts.Seen(Layout(), float("-inf"))]
    move(as_(app, "partitioned"))
    monkeypatch.setattr(layouts, "look", lambda state: looks.pop() if looks else original(state))
    event = {**app.events()[0], "_id": f"task_complete:{oid(101)}", "sourceId": oid(101)}
    app.database["score_events"].insert_one(event)
    rollup.roll_up(app.context(), {"$in": [event["userId"]]})
    assert dict(tops(app)["2025-W01"])[event["userId"]] == 10 + dict(tops(made())["2025-W01"])[event["userId"]]


def test_what_a_process_that_knows_of_no_partitions_puts_into_the_base_collection_is_moved_by_the_next_backfill():
    app = as_(made("single"), "partitioned")
    move(app)
    kept = app.database[f"{ENTRIES}__2025_W01"].find_one_and_delete({})
    app.database[ENTRIES].insert_one(kept)
    app.backfill()
    assert everything(app) == everything(made("partitioned"))


@pytest.mark.parametrize("layout", ["single", "partitioned"])
def test_after_the_record_of_where_entries_are_was_lost_a_run_loses_none_of_them(layout):
    app, aim = as_(made("partitioned"), layout), everything(made(layout))
    app.database["lbmigrate_state"].delete_one({"_id": "entries"})
    event = app.events()[0]
    rollup.roll_up(app.context(), {"$in": [event["userId"]]})
    move(app)
    assert everything(app) == aim
    assert tops(app) == tops(made(layout))
