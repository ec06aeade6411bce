"""A sample finds as often what the bound says."""

from __future__ import annotations

import math

import pytest

from lbmigrate.errors import Mismatch
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import VerifyOptions
from lbmigrate.verify.bound import at_most
from tests.apps import TASKS, App, config, oid, task, user

USERS, WRONG, SAMPLE, RUNS = 50, 3, 12, 300


@pytest.fixture
def app(database):
    """Everybody has one task, and some a streak that is wrong, which no sum of a period shows."""
    database["users"].insert_many([user(number) for number in range(1, USERS + 1)])
    database["tasks"].insert_many([task(number, owner=number) for number in range(1, USERS + 1)])
    app = App(database, config(TASKS, periods=["global"]))
    app.apply(STEPS[:4])
    wrong = [f"global:{oid(1 + number * USERS // WRONG)}" for number in range(WRONG)]
    changed = database["leaderboard_entries"].update_many({"_id": {"$in": wrong}}, {"$set": {"streak": 99}})
    assert changed.modified_count == WRONG
    return app


def finds(app: App, seed: int) -> bool:
    try:
        app.apply(STEPS[4:5], verify=VerifyOptions(sample=SAMPLE, top=0, seed=seed))
    except Mismatch:
        return True
    return False


@pytest.mark.slow
def test_over_many_samples_as_many_find_what_is_wrong_as_the_distribution_says(app):
    """And few of their bounds say that fewer are wrong than there are: no more than their confidence allows."""
    found = missed = 0
    for seed in range(RUNS):
        found += finds(app, seed)
        missed += app.state.get("verdict")["bound"]["rate"] < WRONG / USERS
    rate, allowed = 1 - at_most(USERS, WRONG, SAMPLE, 0), 0.05
    assert abs(found - RUNS * rate) <= 3 * math.sqrt(RUNS * rate * (1 - rate))
    assert missed <= RUNS * allowed + 3 * math.sqrt(RUNS * allowed * (1 - allowed))
