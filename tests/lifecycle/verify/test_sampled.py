"""A sample finds as often what the bound says."""

from __future__ import annotations

import math

import pytest

from lbmigrate.errors import Mismatch
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import VerifyOptions
from lbmigrate.verify import choose, conserve
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


# --- the sums of everything --------------------------------------------------------------------------------------

ODD_USERS = {"text": "who", "number": 7, "no UUID": b"12345", "number that is none": 1.5}


@pytest.fixture
def settled(database):
    database["users"].insert_many([user(number) for number in range(1, USERS + 1)])
    database["tasks"].insert_many([task(number, owner=number) for number in range(1, USERS + 1)])
    app = App(database, config(TASKS, periods=["global"]))
    app.apply(STEPS[:4])
    return app


def asked_for_everybody(app: App, monkeypatch) -> int:
    """How often a sampled verification, which passes, walks over everybody."""
    asked = []
    walk = choose.everybody
    monkeypatch.setattr(choose, "everybody", lambda *given: asked.append(given) or walk(*given))
    app.apply(STEPS[4:5], verify=VerifyOptions(sample=SAMPLE, top=0))
    assert app.state.get("verdict")["passed"]
    return len(asked)


@pytest.mark.parametrize("stranger", ODD_USERS.values(), ids=ODD_USERS)
def test_an_event_of_a_user_of_another_type_does_not_make_a_sample_look_at_everybody(settled, stranger, monkeypatch):
    odd = {**settled.events()[0], "_id": "task_complete:odd", "sourceId": "odd", "userId": stranger}
    settled.database["score_events"].insert_one(odd, bypass_document_validation=True)
    assert asked_for_everybody(settled, monkeypatch) == 1, "to draw the sample"


def test_in_a_ledger_of_numbers_neither_does_one_that_is_no_whole_number(database, monkeypatch):
    database["users"].insert_many([{"_id": number, "name": str(number)} for number in range(USERS)])
    database["tasks"].insert_many([{**task(number), "userId": number} for number in range(USERS)])
    app = App(database, config(TASKS, periods=["global"]))
    app.apply(STEPS[:4])
    for number, stranger in enumerate((1.5, float("nan"), float("inf"), "who")):
        odd = {**app.events()[0], "_id": f"task_complete:{number}", "sourceId": str(number), "userId": stranger}
        app.database["score_events"].insert_one(odd, bypass_document_validation=True)
    assert asked_for_everybody(app, monkeypatch) == 1


def test_a_score_that_is_off_outside_the_sample_is_found_by_the_sums(settled):
    settled.database["leaderboard_entries"].update_many({}, {"$inc": {"score": 1}})
    with pytest.raises(Mismatch):
        settled.apply(STEPS[4:5], verify=VerifyOptions(sample=0, top=0))


def test_an_entry_of_a_user_of_another_type_is_found_by_every_sample(settled):
    entry = {**next(iter(settled.entries().values())), "_id": "global:who", "userId": "who"}
    settled.database["leaderboard_entries"].insert_one(entry)
    with pytest.raises(Mismatch):
        settled.apply(STEPS[4:5], verify=VerifyOptions(sample=0, top=0))


def test_a_ledger_that_is_too_large_is_not_added_up_for_a_sample_and_that_is_told(settled, monkeypatch):
    monkeypatch.setattr(conserve, "MOST_SUMMED", 10)
    settled.database["leaderboard_entries"].update_many({}, {"$inc": {"score": 1}})
    given = VerifyOptions(sample=0, top=0)
    assert any("not added up" in piece.note for piece in STEPS[4].apply(settled.context(verify=given)))
    with pytest.raises(Mismatch):
        settled.apply(STEPS[4:5], verify=VerifyOptions(full=True))
