"""The plan: what a run would do, step by step, and nothing when it is done; on either kind of server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbmigrate.migration import plan
from lbmigrate.state.statuses import StepStatus
from tests.apps import TASKS, App, config, picture, task, user


@pytest.fixture
def app(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(12)])
    database["tasks"].create_index("updatedAt")
    return App(database, config())


def todo(app):
    return {step.number: step.todo for step in plan.look(app.context()).steps}


def test_before_the_first_run_everything_is_to_do_and_nothing_is_written(app):
    before = picture(app.database)
    found = plan.look(app.context())
    assert found.pending
    assert {step.status for step in found.steps} == {StepStatus.NEW}
    assert todo(app)[1] == ("create score_events", "create leaderboard_entries", "create lbmigrate_rejects")
    assert todo(app)[4] == ("backfill 12 documents of tasks in 3 chunks",)
    assert todo(app)[6] == ("turn read on in feature_flags",)
    assert picture(app.database) == before
    assert app.state.runs() == []


def test_afterwards_nothing_is_pending(app):
    app.apply()
    found = plan.look(app.context())
    assert not found.pending
    assert {step.status for step in found.steps} == {StepStatus.APPLIED}


def test_what_changed_since_is_pending_again(app):
    app.apply()
    app.database["tasks"].insert_one(task(50))
    assert todo(app)[4][0].startswith("backfill 1 document of tasks, changed since ")


def test_a_source_says_how_it_would_be_read(app):
    (before,) = plan.look(app.context()).sources
    assert (before.documents, before.chunks, before.way, before.watermark) == (12, 3, "everything by _id", None)
    app.apply()
    (after,) = plan.look(app.context()).sources
    assert after.way.startswith("what changed since ")
    assert after.watermark == task(11)["updatedAt"]


def test_a_source_that_would_be_refused_is_a_finding_and_nothing_to_read(app):
    app.database["tasks"].drop()
    found = plan.look(app.context())
    assert found.sources == ()
    assert [finding.level for finding in found.findings if finding.subject == "tasks"] == ["refusal"]


def test_rules_that_changed_are_named_with_what_they_would_move(app):
    app.apply()
    other = replace(app, config=config({**TASKS, "points": 15}))
    (finding,) = [each for each in plan.look(other.context()).findings if each.subject == "rules"]
    assert "12 adjustments would move 60 points" in finding.fact
    assert finding.fix == "lbmigrate reconcile"
