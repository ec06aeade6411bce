"""A pass: opened with frozen bounds, claimed chunk by chunk, resumed where it stopped; on either kind of server."""

from __future__ import annotations

import pytest

from lbmigrate.passes import passes
from lbmigrate.run.context import Scope
from tests.apps import App, config, task


@pytest.fixture
def app(database):
    database["tasks"].insert_many([task(number) for number in range(12)])
    database["tasks"].create_index("updatedAt")
    return App(database, config())


def source(app):
    return app.config.sources[0]


def opened(app, **chosen):
    context = app.context(**chosen)
    current, checkpoint = passes.open_pass(context, source(app))
    if checkpoint:
        context.state.save(checkpoint)
    return context, current


def claimed(app, context, current):
    return list(passes.todo(context, source(app), current, lambda: 5))


def test_a_pass_is_cut_into_chunks_that_share_no_document_and_leave_none_out(app):
    context, current = opened(app)
    chunks = claimed(app, context, current)
    read = [row["_id"] for chunk in chunks for row in app.database["tasks"].find(chunk.bounds.condition())]
    assert len(chunks) == 3
    assert sorted(read) == [task["_id"] for task in app.database["tasks"].find().sort("_id", 1)]
    assert len(read) == len(set(read)) == 12


def test_a_chunk_is_on_record_with_its_bounds_before_it_is_handed_out(app):
    context, current = opened(app)
    for number, chunk in enumerate(passes.todo(context, source(app), current, lambda: 5), start=1):
        row = app.state.get(chunk.row)
        assert (row["status"], row["attempts"], row["number"]) == ("claimed", 1, number - 1)
        assert len(app.chunks()) == number


def test_what_another_run_left_open_comes_first_and_with_the_same_bounds(app):
    context, current = opened(app)
    first = next(passes.todo(context, source(app), current, lambda: 5))
    context, again = opened(app)
    assert (again.number, again.fresh) == (current.number, False)
    resumed = claimed(app, context, again)
    assert (resumed[0].row, resumed[0].bounds, resumed[0].tried) == (first.row, first.bounds, 1)
    assert len(resumed) == 3


def test_documents_that_came_after_a_pass_was_opened_are_for_the_next_one(app):
    context, current = opened(app)
    app.database["tasks"].insert_one(task(500))
    last = claimed(app, context, current)[-1]
    assert last.bounds.high == task(11)["_id"]


def test_closing_moves_the_watermark_and_a_closed_pass_is_followed_by_the_next_number(app):
    app.backfill()
    assert app.state.watermark("tasks")["value"] == task(11)["updatedAt"]
    assert passes.close(app.context(), source(app)) is None
    _, current = opened(app)
    assert (current.number, current.fresh) == (2, True)


def test_a_bounded_pass_has_a_row_of_its_own_and_moves_no_watermark(app):
    app.backfill()
    before = app.state.watermark("tasks")
    app.backfill(scope=Scope(user=str(task(1)["userId"])))
    assert app.state.watermark("tasks") == before
    assert app.state.get("watermark:tasks:bounded")["pass"]["done"] is True


@pytest.mark.parametrize(
    "broken", ["what", {"number": 1}, {"number": "1", "scope": {}, "spans": [], "done": 1, "next": 1}]
)
def test_a_pass_that_was_edited_out_of_shape_is_followed_by_a_new_one_under_the_next_number(app, broken):
    context, current = opened(app)
    claimed(app, context, current)
    app.state.rows.update_one({"_id": "watermark:tasks"}, {"$set": {"pass": broken}})
    _, again = opened(app)
    assert (again.number, again.fresh) == (2, True)
