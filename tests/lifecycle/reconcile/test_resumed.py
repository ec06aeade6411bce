"""A reconciliation in two parts says how old its first part is, and does not vouch for it."""

from __future__ import annotations

import pytest

from lbmigrate.migration.driver import Driver
from lbmigrate.migration.status import status
from lbmigrate.migration.steps import STEPS
from lbmigrate.reconcile import reconcile
from lbmigrate.reconcile.places import began_before
from lbmigrate.run.stop import Limits, Stop
from tests.apps import SESSIONS, TASKS, App, config, oid, session, task, user


@pytest.fixture
def app(database):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
    app = App(database, config(TASKS, SESSIONS))
    app.apply(STEPS[:5])
    return app


def run(app, name, most=None):
    """One run of the verb, by the name of a run of its own; what was warned of, and how old its first part is."""
    warned = []
    driver = Driver(app.context(run=name, stop=Stop(Limits(documents=most))), listen=lambda report: report.piece and
                    report.piece.warning and warned.append(report.piece.warning))  # fmt: skip
    driver.carry_out(reconcile.WORK, reconcile.pieces(driver.context))
    return warned, began_before(driver.context)


def undo(app, number):
    app.database["tasks"].update_one({"_id": oid(1000 + number)}, {"$set": {"status": "todo"}})


def test_what_changed_before_the_bookmark_is_owned_up_to_and_the_next_one_finds_it(app):
    run(app, "first", most=5)
    began = app.state.get("watermark:tasks:reconcile")["pass"]["began"]
    undo(app, 0)
    warned, since = run(app, "second")
    assert since == began
    assert warned == [
        f"an earlier run began this at {began:%Y-%m-%dT%H:%M:%SZ}, and what changed since then in the part that it "
        "read was not looked at; next: lbmigrate reconcile"
    ]
    assert not [event for event in app.events() if "reason" in event["meta"]]
    assert run(app, "third") == ([], None)
    assert len([event for event in app.events() if "reason" in event["meta"]]) == 1


def test_one_in_a_single_part_says_nothing_of_it(app):
    assert run(app, "first") == ([], None)
    assert run(app, "second") == ([], None)


def test_status_says_when_a_whole_look_began_and_not_when_it_ended(app):
    run(app, "first", most=5)
    assert [source.looks.get("reconcile") for source in status(app.context()).sources] == [None, None]
    began = app.state.get("watermark:tasks:reconcile")["pass"]["began"]
    run(app, "second")
    assert status(app.context()).sources[0].looks["reconcile"] == began
