"""A reconciliation killed at every single write, and started again: always the same end."""

from __future__ import annotations

import pytest

from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.run.context import VerifyOptions
from tests.apps import SESSIONS, TASKS, App, config, oid, picture, session, task, ticking, user
from tests.mock.migration import test_killed

life, killed_everywhere = test_killed.life, test_killed.killed_everywhere


def reconciled(app):
    return app.reconcile()


@pytest.fixture
def changed(life):
    """Makes equal apps whose sources have changed their mind since they were migrated."""

    def make():
        life.left = None
        app = App(fake.client()["app"], config(TASKS, SESSIONS, backfill={"workers": 2}), clock=ticking())
        app.database["users"].insert_many([user(number) for number in (1, 2, 3)])
        app.database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
        app.database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
        app.apply(STEPS[:5])
        tasks = app.database["tasks"]
        tasks.update_many({"_id": {"$in": [oid(1000), oid(1007)]}}, {"$set": {"status": "todo"}})
        tasks.update_one({"_id": oid(1003)}, {"$set": {"userId": oid(3)}})
        app.database["sessions"].update_one({"_id": oid(5003)}, {"$set": {"durationSec": 60}})
        return app

    return make


@pytest.mark.slow
def test_killed_before_any_write_and_started_again_it_ends_like_one_that_was_not(changed, life):
    app = changed()
    assert reconciled(app).adjusted == 4
    wanted = picture(app.database, times=False)
    for writes, left in killed_everywhere(life, changed, reconciled):
        reconciled(left)
        assert picture(left.database, times=False) == wanted, f"killed after {writes} writes"
        left.apply([STEPS[4]], verify=VerifyOptions(full=True))
