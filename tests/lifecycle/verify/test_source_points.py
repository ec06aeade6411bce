"""What the sources are worth by period, as a report sets it against the entries."""

from __future__ import annotations

from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import VerifyOptions
from lbmigrate.verify.result import Verification
from tests.apps import App, config, oid, task, user


def test_who_has_left_and_what_is_before_the_board_begins_is_worth_nothing_there(database):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(10)])
    app = App(database, config(backfill={"since": "2025-01-02"}))
    app.apply(STEPS[:4])
    app.forget(str(oid(1)))
    app.apply(STEPS[4:5], verify=VerifyOptions(full=True))
    found = Verification.of(app.state.get("verdict"))
    assert found.passed
    assert found.periods
    assert [row.source_points for row in found.periods] == [row.points for row in found.periods]
