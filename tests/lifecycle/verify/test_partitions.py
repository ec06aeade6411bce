"""A full verification where each period has a collection of its own."""

from __future__ import annotations

from collections import Counter

import pytest
from bson import Int64

from lbmigrate.errors import Mismatch
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import VerifyOptions
from lbmigrate.schema.layout import partitions
from lbmigrate.verify import ahead, tasks
from tests.apps import TASKS, App, config, stopped_after, task, user

EVERYONE = VerifyOptions(full=True)


@pytest.fixture
def app(database, monkeypatch):
    """Twelve users with tasks in some thirty weeks, of whom a verification looks at two at a time."""
    monkeypatch.setattr(tasks, "USERS_AT_ONCE", 2)
    database["users"].insert_many([user(number) for number in range(1, 13)])
    database["tasks"].insert_many([task(n, owner=1 + n % 12, hours=90 * n) for n in range(60)])
    app = App(database, config(TASKS, layout="partitioned"))
    app.apply(STEPS[:4])
    assert len(partitions(database)) > 20
    return app


@pytest.fixture
def asked(monkeypatch):
    """How often each collection of entries is asked."""
    counts, fill = Counter(), ahead.Ahead._fill

    def counted(self, shelf):
        counts[shelf.name] += 1
        fill(self, shelf)

    monkeypatch.setattr(ahead.Ahead, "_fill", counted)
    return counts


def verify(app, **more):
    app.apply(STEPS[4:5], verify=EVERYONE, **more)
    return app.state.get("verdict")


def test_each_collection_is_asked_once_and_not_once_for_every_few_users(app, asked):
    found = verify(app)
    assert (found["passed"], found["users"]) == (True, 12)
    there = ["leaderboard_entries", *partitions(app.database)]
    assert found["entries"] == sum(app.database[name].count_documents({}) for name in there)
    assert set(asked.values()) == {1}


@pytest.mark.sampled
@pytest.mark.parametrize("held", [1, 3, 25], ids=["one", "three", "many"])
def test_however_few_entries_are_held_each_is_compared(app, asked, monkeypatch, held):
    monkeypatch.setattr(ahead, "HELD", held)
    monkeypatch.setattr(ahead, "LEAST", held)
    assert verify(app)["users"] == 12
    for name in partitions(app.database)[::7]:
        entry = app.database[name].find_one(sort=[("userId", -1)])
        app.database[name].update_one({"_id": entry["_id"]}, {"$set": {"score": Int64(entry["score"] + 1)}})
        with pytest.raises(Mismatch, match="1 mismatch"):
            verify(app)
        app.database[name].update_one({"_id": entry["_id"]}, {"$set": {"score": entry["score"]}})
    assert verify(app)["passed"]


def test_one_that_was_stopped_goes_on_behind_the_last_user(app, asked):
    stopped_after(STEPS[4], app.context(verify=EVERYONE), 3, saved=True)
    assert app.state.get("verification")["totals"]["users"] == 6
    assert verify(app)["users"] == 12
