from __future__ import annotations

import itertools

import pytest

from lbmigrate import schema
from lbmigrate.migration.steps import BACKFILL, STEPS, s1_create_collections
from tests.apps import SESSIONS, TASKS, App, config, picture, session, stopped_after, task, user

pytestmark = pytest.mark.sampled

every_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.NAME)
however_saved = pytest.mark.parametrize("saved", [True, False], ids=["checkpointed", "killed-before-its-checkpoint"])


@pytest.fixture
def fresh(database):
    """Makes equal apps, each in a database of its own, with the steps below a step applied."""
    numbers = itertools.count()

    def make(step=STEPS[0], upto=None):
        home = database.client[f"{database.name}_{next(numbers)}"]
        home["users"].insert_many([user(number) for number in (1, 2, 3)])
        home["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
        home["tasks"].insert_one(task(90, userId=None))  # a reject
        home["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
        home["tasks"].create_index("updatedAt")  # so that later passes seek
        app = App(home, config(TASKS, SESSIONS))
        app.apply(STEPS[: (step.NUMBER - 1 if upto is None else upto)])
        return app

    return make


def look(app):
    return picture(app.database, times=False)


@every_step
def test_a_step_applied_twice_changes_nothing_the_second_time(fresh, step):
    app = fresh(step, upto=step.NUMBER)
    before = picture(app.database)
    app.apply([step])
    assert picture(app.database) == before


def test_two_runs_may_create_the_collections_at_once(fresh):
    app = fresh()
    slow, fast = (s1_create_collections.apply(app.context()) for _ in range(2))
    next(slow)  # it knows what is missing, and has created nothing
    for walk in (fast, slow):
        list(walk)
    assert schema.missing_collections(app.database) == []
    assert schema.differences(app.database) == []


@every_step
def test_a_step_reverted_twice_changes_nothing_the_second_time(fresh, step):
    app = fresh(step, upto=step.NUMBER)
    app.revert([step])
    before = picture(app.database)
    app.revert([step])
    assert picture(app.database) == before


@every_step
def test_a_step_that_was_never_applied_reverts_to_what_was_there(fresh, step):
    app = fresh(step)
    before = picture(app.database)
    app.revert([step])
    assert picture(app.database) == before


@every_step
def test_reverting_a_step_leaves_what_was_there_before_it(fresh, step):
    app = fresh(step)
    before = look(app)
    app.apply([step])
    app.revert([step])
    if step is BACKFILL:
        before["lbmigrate_rejects"] = look(app)["lbmigrate_rejects"]  # they go with their collection
    assert look(app) == before


@every_step
def test_a_step_can_go_up_and_down_again_and_again(fresh, step):
    app = fresh(step, upto=step.NUMBER)
    applied = look(app)
    app.revert([step])
    app.revert([step])
    reverted = look(app)
    app.apply([step])
    assert look(app) == applied
    app.revert([step])
    assert look(app) == reverted


@however_saved
@every_step
def test_a_step_stopped_after_any_piece_ends_in_the_same_state(fresh, step, saved):
    app = fresh(step, upto=step.NUMBER)
    wanted = look(app)
    for number in itertools.count(1):
        app.revert([step])
        made = stopped_after(step, app.context(), number, saved)
        app.apply([step])
        assert look(app) == wanted, f"stopped after piece {number}"
        if made < number:
            return


@however_saved
@every_step
def test_a_revert_stopped_after_any_piece_ends_in_the_same_state(fresh, step, saved):
    app = fresh(step, upto=step.NUMBER)
    app.revert([step])
    wanted = look(app)
    for number in itertools.count(1):
        app.apply([step])
        made = stopped_after(step, app.context(), number, saved, "revert")
        app.revert([step])
        assert look(app) == wanted, f"stopped after piece {number}"
        if made < number:
            return


def test_up_and_down_over_all_steps_leaves_the_database_as_it_was(fresh):
    app = fresh()
    before = picture(app.database)
    for _ in range(2):
        app.apply()
        assert look(app) != before
        app.revert()
        assert picture(app.database) == before
