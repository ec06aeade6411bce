"""A state from before somebody left does not know who that was: it is told until they have been forgotten again."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate.checks.data import check_data
from lbmigrate.ledger import unknown_leavers
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import VerifyOptions
from tests.apps import NEW_YEAR, App, oid, task, user

LATER = NEW_YEAR + dt.timedelta(days=300)


@pytest.fixture
def app(database):
    """Four users on the board."""
    database["users"].insert_many([user(number) for number in (1, 2, 3, 4)])
    database["tasks"].create_index("updatedAt")
    database["tasks"].insert_many([task(number, owner=1 + number % 4) for number in range(12)])
    app = App(database)
    app.apply()
    return app


def brought_back(app, rows):
    app.state.rows.delete_many({})
    app.state.rows.insert_many(rows)


def left_and_unknown(app, *numbers):
    """Let users leave, and bring the state back as it was before."""
    before = list(app.state.rows.find())
    for number in numbers:
        app.forget(str(oid(number)))
    brought_back(app, before)


def warned(app, step=STEPS[4]):
    pieces = step.apply(app.context(verify=VerifyOptions(full=True)))
    return [piece.warning for piece in pieces if piece.warning and "tombstone" in piece.warning]


def found(app):
    return [each.fix for each in check_data(app.context()) if "tombstone" in each.fact]


def test_who_left_is_told_until_as_many_were_forgotten_again(app):
    left_and_unknown(app, 1, 2)
    [told] = warned(app, STEPS[3])
    assert told.startswith("2 users have tombstones in score_events that lbmigrate_state does not know")
    app.backfill()
    assert found(app) == [unknown_leavers.NEXT]
    app.forget(str(oid(1)))
    [told] = warned(app)
    assert told.startswith("1 user has a tombstone")
    app.forget(str(oid(2)))
    assert (warned(app), found(app)) == ([], [])


def test_who_acted_again_meanwhile_is_off_the_board_when_forgotten_again(app):
    left_and_unknown(app, 1)
    app.database["tasks"].insert_one(task(50, owner=1, updatedAt=LATER))
    app.backfill()
    assert app.entries()[f"global:{oid(1)}"]["score"] == 10
    assert len(warned(app)) == 1
    app.forget(str(oid(1)))
    assert warned(app) == []
    app.database["tasks"].insert_one(task(51, owner=1, updatedAt=LATER))
    app.backfill()
    assert f"global:{oid(1)}" not in app.entries()


def test_where_the_state_knows_everybody_nothing_is_told(app):
    app.forget(str(oid(1)))
    app.forget(str(oid(2)))
    app.backfill()
    assert (warned(app), found(app)) == ([], [])


def test_a_leaver_known_to_the_state_is_not_counted(app):
    app.forget(str(oid(3)))
    left_and_unknown(app, 1)
    assert warned(app)[0].startswith("1 user has a tombstone")


def test_forgetting_the_same_user_twice_counts_once(app):
    left_and_unknown(app, 1, 2)
    app.forget(str(oid(1)))
    app.forget(str(oid(1)))
    assert len(found(app)) == 1
