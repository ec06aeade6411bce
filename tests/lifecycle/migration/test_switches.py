"""What somebody turned off stays off until a person agrees; on either kind of server."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate import commands
from lbmigrate.checks.data import check_data
from lbmigrate.errors import Refused, UsageError
from lbmigrate.migration import steps as migration
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.connection import Connection
from lbmigrate.state import Holder, Lease
from lbmigrate.state.statuses import StepStatus
from tests.apps import App, config, task, user

pytestmark = pytest.mark.sampled


@pytest.fixture
def app(database):
    """A migrated app with its board on."""
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(5)])
    app = App(database, config(), clock=lambda: dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0))
    app.apply()
    return app


def connection(app):
    return Connection(app.database.client, app.config, app.database, app.database, app.state)


def run(app, **chosen):
    return commands.run(connection(app), no_backup=True, **chosen)


def flag(app):
    return app.database["feature_flags"].find_one({"_id": "leaderboard"})


def status(app, number):
    return app.state.step(number)["status"]


def verbs(app):
    """The runs on record, the newest first."""
    return [(row["verb"], row["outcome"]) for row in app.state.runs(5)]


@pytest.mark.parametrize(("side", "number"), [("write", 3), ("read", 6)])
def test_turning_a_switch_off_is_on_record_and_is_the_status_of_its_step(app, side, number):
    found = commands.turn_flag(connection(app), side, False)
    assert found[side] is flag(app)[side] is False
    assert status(app, number) == StepStatus.OFF
    assert verbs(app)[0] == (f"flag {side} off", "done")


@pytest.mark.parametrize(("side", "number"), [("write", 3), ("read", 6)])
def test_a_run_does_not_turn_on_again_what_was_turned_off(app, side, number):
    commands.turn_flag(connection(app), side, False)
    with pytest.raises(Refused, match=rf"{side} was turned off by .+@.+ at .+, and a run would turn it on") as caught:
        run(app)
    assert caught.value.hint == f"lbmigrate flag {side} on, or lbmigrate run --yes"
    assert flag(app)[side] is False
    run(app, confirmed=True)
    assert flag(app)[side] is True
    assert status(app, number) == StepStatus.APPLIED


@pytest.mark.parametrize(("side", "number"), [("write", 3), ("read", 6)])
def test_a_switch_that_was_turned_off_by_hand_in_its_document_stays_off_too(app, side, number):
    app.database["feature_flags"].update_one({}, {"$set": {side: False}})
    with pytest.raises(Refused, match=f"{side} was turned off by somebody, in the flag's document"):
        app.apply(STEPS)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    app.database["feature_flags"].update_one({}, {"$set": {"updatedBy": "sam@office", "updatedAt": later}})
    with pytest.raises(Refused, match="turned off by sam@office at"):
        app.apply(STEPS)
    assert status(app, number) == StepStatus.APPLIED


@pytest.mark.parametrize(("side", "number"), [("write", 3), ("read", 6)])
def test_turning_it_on_is_that_step_and_ends_the_matter(app, side, number):
    commands.turn_flag(connection(app), side, False)
    commands.turn_flag(connection(app), side, True)
    assert flag(app)[side] is True
    assert status(app, number) == StepStatus.APPLIED
    assert verbs(app)[0] == (f"flag {side} on", "done")
    run(app)


def test_after_a_rollback_to_step_5_the_board_that_is_turned_on_again_is_on_record(app):
    app.revert(STEPS[5:])
    assert status(app, 6) == StepStatus.REVERTED
    commands.turn_flag(connection(app), "read", True)
    assert flag(app)["read"] is True
    assert [step.status for step in commands.status(connection(app)).steps if step.number == 6] == [StepStatus.APPLIED]
    assert [step.todo for step in commands.plan(connection(app)).steps if step.number == 6] == [()]
    assert ("flag read on", "done") in verbs(app)


def test_a_rollback_is_no_reason_to_ask(app):
    app.revert(STEPS[5:])
    app.apply(STEPS)
    assert flag(app)["read"] is True


def test_a_rollback_that_was_killed_after_it_turned_recording_off_is_no_reason_to_ask(app):
    driver = Driver(app.context())
    driver.listen = lambda report: (_ for _ in ()).throw(KeyboardInterrupt) if report.piece else None
    with pytest.raises(KeyboardInterrupt):
        driver.revert(STEPS)
    assert flag(app)["write"] is False
    app.apply(STEPS)
    assert flag(app)["write"] is True


def test_the_plan_says_who_turned_it_off(app):
    commands.turn_flag(connection(app), "read", False)
    (todo,) = next(step.todo for step in commands.plan(connection(app)).steps if step.number == 6)
    assert "read was turned off by" in todo
    assert "a run asks first" in todo


def test_it_can_be_turned_off_while_another_run_holds_the_lock_and_that_run_leaves_it_off(app):
    app.revert(STEPS[5:])
    there = connection(app)
    Lease(there.state, Holder("web1", 7, 0.0), lambda: dt.datetime(2020, 1, 1), ttl=1e9).take()
    running = Driver(there.context(run="the other"))
    commands.turn_flag(connection(app), "read", False)
    assert verbs(app)[0] == ("flag read off", "done")
    with pytest.raises(Refused, match="read was turned off"):
        running.apply([STEPS[5]])
    assert flag(app)["read"] is False


def test_turning_off_what_was_never_there_leaves_an_untouched_database_untouched(database):
    where = connection(App(database, config()))
    assert commands.turn_flag(where, "read", False) == {}
    assert database.list_collection_names() == []


def test_nothing_can_be_turned_on_before_there_is_a_leaderboard(database):
    with pytest.raises(UsageError, match="there is no leaderboard") as caught:
        commands.turn_flag(connection(App(database, config())), "write", True)
    assert caught.value.hint == "lbmigrate run"
    assert database.list_collection_names() == []


def test_a_run_asked_for_as_a_function_is_refused_before_it_begins(app):
    commands.turn_flag(connection(app), "read", False)
    before = len(app.state.runs(50))
    with pytest.raises(Refused, match="read was turned off"):
        commands.run(connection(app), no_backup=True, terms=Terms())
    assert len(app.state.runs(50)) == before
    assert migration.turned_off(app.context(), STEPS[:5]) == []


def test_a_flag_that_is_gone_is_told_as_such_and_either_way_that_is_named_brings_it_back(app):
    def by_hand():
        for side in ("write", "read"):
            commands.turn_flag(connection(app), side, True)

    for bring_back in (lambda: run(app, confirmed=True), by_hand):
        assert not gone(app)
        app.database["feature_flags"].delete_one({"_id": "leaderboard"})
        assert gone(app) == ["'leaderboard' is gone from feature_flags: the app records nothing, and shows no board"]
        with pytest.raises(Refused, match="write is off, for the flag is gone from feature_flags"):
            run(app)
        bring_back()
        assert (flag(app)["write"], flag(app)["read"]) == (True, True)


def gone(app):
    return [each.fact for each in check_data(app.context()) if each.subject == "flag"]


# --- a flag that somebody edited ------------------------------------------------------------------------------------

ODD = ("yes", 1, None, [True], {"a": 1}, 0, "")


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("field", ["write", "read", "updatedAt", "updatedBy"])
def test_an_odd_value_in_the_flag_counts_as_off_and_is_false_after_a_rollback(app, field, value):
    app.database["feature_flags"].update_one({"_id": "leaderboard"}, {"$set": {field: value}})
    here = connection(app)
    commands.plan(here), commands.status(here), commands.preview_rollback(here)
    if field in ("write", "read"):
        with pytest.raises(Refused, match=f"{field} was turned off"):
            run(app)
        commands.turn_flag(here, field, False)
        assert flag(app)[field] is False
    run(app, confirmed=True)
    assert (flag(app)["write"], flag(app)["read"]) == (True, True)
    commands.rollback(here, to=2)
    assert not flag(app) or (flag(app)["write"], flag(app)["read"]) == (False, False)
