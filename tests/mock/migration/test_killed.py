"""Killed at every single write of a migration, applied and reverted, and started again: always the same end."""

from __future__ import annotations

import traceback

import pytest

from lbmigrate.mongo import fake
from lbmigrate.mongo.fake import memory
from tests.apps import SESSIONS, TASKS, App, config, picture, session, task, ticking, user

WRITES = ("_insert", "_update", "_delete", "_find_and_modify", "create_index", "drop_index")


class Killed(BaseException):
    """What SIGKILL is: nothing catches it, and nothing is written after it."""


class Life:
    """Lets so many writes through and none after them; None is for ever."""

    def __init__(self):
        self.left = None

    def spend(self):
        if self.left == 0:
            raise Killed
        if self.left is not None:
            self.left -= 1


@pytest.fixture
def life(monkeypatch):
    life = Life()

    def mortal(kind, name):
        original = getattr(kind, name)

        def write(self, *args, **options):
            if not (name == "_insert" and isinstance(args[0], list)):  # its documents are inserted one by one
                life.spend()
            return original(self, *args, **options)

        monkeypatch.setattr(kind, name, write)

    for name in WRITES:
        mortal(memory._Collection, name)
    for name in ("create_collection", "drop_collection"):
        mortal(memory._Database, name)
    return life


@pytest.fixture
def fresh(life):
    """Makes equal apps, each on a server of its own."""

    def make():
        life.left = None
        app = App(fake.client()["app"], config(TASKS, SESSIONS, backfill={"workers": 2}), clock=ticking())
        app.database["users"].insert_many([user(number) for number in (1, 2, 3)])
        app.database["tasks"].create_index("updatedAt")
        app.database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
        app.database["tasks"].insert_one(task(90, userId=None))
        app.database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
        return app

    return make


def survives(act, app):
    try:
        act(app)
    except Killed as killed:
        traceback.clear_frames(killed.__traceback__)  # closes the steps, and so ends their threads while none may write
        return False
    return True


def killed_everywhere(life, app_of, act):
    """Every way to kill `act`, as the app that is left; ends with the one that came through."""
    for writes in range(10_000):
        app = app_of()
        life.left = writes
        if survives(act, app):
            assert writes > 20, "a migration writes more often than that"
            return
        life.left = None
        yield writes, app


@pytest.mark.slow
def test_a_run_killed_before_any_write_ends_like_one_that_was_not(fresh, life):
    app = fresh()
    before = picture(app.database)
    app.apply()
    wanted = picture(app.database, times=False)
    assert len(app.events()) == 18
    for writes, left in killed_everywhere(life, fresh, App.apply):
        left.apply()
        assert picture(left.database, times=False) == wanted, f"killed after {writes} writes"
        left.revert()
        assert picture(left.database) == before, f"killed after {writes} writes, then run and rolled back"


@pytest.mark.slow
def test_a_run_killed_before_any_write_can_be_rolled_back(fresh, life):
    before = picture(fresh().database)
    for writes, left in killed_everywhere(life, fresh, App.apply):
        left.revert()
        assert picture(left.database) == before, f"killed after {writes} writes"


@pytest.mark.slow
def test_a_later_backfill_killed_before_any_write_ends_like_one_that_was_not(fresh, life):
    def grown():
        app = fresh()
        app.apply()
        app.database["tasks"].insert_many([task(200 + number, owner=1 + number % 4) for number in range(9)])
        app.database["tasks"].insert_one(task(91, userId=None, updatedAt=None))
        app.database["sessions"].insert_many([session(200 + number, owner=5) for number in range(3)])
        return app

    app = grown()
    app.backfill()
    wanted = picture(app.database, times=False)
    assert len(app.events()) == 30
    for writes, left in killed_everywhere(life, grown, App.backfill):
        left.backfill()
        assert picture(left.database, times=False) == wanted, f"killed after {writes} writes"


@pytest.mark.slow
def test_a_rollback_killed_before_any_write_ends_like_one_that_was_not(fresh, life):
    before = picture(fresh().database)

    def applied():
        app = fresh()
        app.apply()
        return app

    for writes, left in killed_everywhere(life, applied, App.revert):
        left.revert()
        assert picture(left.database) == before, f"killed after {writes} writes"
