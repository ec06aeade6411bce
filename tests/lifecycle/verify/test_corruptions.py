"""Every corruption is found and named, alone and with another one; what commands heal is healed; a clean one passes."""

from __future__ import annotations

import datetime as dt
import random
from itertools import combinations

import pytest

from lbmigrate.errors import Mismatch
from lbmigrate.ledger import rollup
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.testing import CORRUPTIONS
from tests.apps import SESSIONS, TASKS, App, config, oid, pieces, session, task, user

pytestmark = pytest.mark.sampled

VERIFY = STEPS[4:5]
EVERYONE = VerifyOptions(full=True)
NAMES = sorted(CORRUPTIONS)
QUICK = random.Random(13).sample(list(combinations(NAMES, 2)), 8)
KEPT = ("score_events", "leaderboard_entries", "lbmigrate_state")


@pytest.fixture
def app(database):
    database["users"].insert_many([user(number, avatar=f"https://x/{number}.png") for number in range(1, 7)])
    database["tasks"].insert_many([task(number, owner=1 + number % 6) for number in range(24)])
    database["sessions"].insert_many([session(number, owner=1 + number % 4) for number in range(12)])
    app = App(database, config(TASKS, SESSIONS))
    app.apply(STEPS[:4])
    return app


def found(app: App) -> list:
    """The mismatches of a full verification."""
    seen = []
    try:
        for piece in pieces(STEPS[4], app.context(verify=EVERYONE)):
            seen += piece.found
    except Mismatch:
        assert seen
    return seen


def healed(app: App, wrong: list) -> None:
    """What `verify --repair` does, without its checks."""
    app.apply(STEPS[:2])
    app.backfill(scope=Scope(full=True))
    app.reconcile()
    rollup.roll_up(app.context(), {"$in": list({each.user for each in wrong if each.user is not None})})


def test_there_are_enough_of_them_and_a_clean_database_has_none(app):
    assert len(CORRUPTIONS) >= 24
    assert found(app) == []
    assert app.state.get("verdict")["passed"]


@pytest.mark.parametrize("name", NAMES)
def test_a_corruption_is_found_named_and_healed(app, name):
    CORRUPTIONS[name].inject(app.database, random.Random(name))
    wrong = found(app)
    assert {each.kind.value for each in wrong} & CORRUPTIONS[name].kinds, [str(each) for each in wrong]
    if CORRUPTIONS[name].heals:
        healed(app, wrong)
        assert [str(each) for each in found(app)] == []


def rows(app: App) -> dict:
    """All that a corruption may change, and whom it is about."""
    found = {(name, repr(row["_id"])): row for name in KEPT[:2] for row in app.database[name].find()}
    indexes = {(name, each): each for name in KEPT[:2] for each in app.database[name].index_information()}
    return {**found, **indexes}


def about(before: dict, after: dict) -> set:
    """The users whose rows differ, and the indexes."""
    names = [name for name in before.keys() | after.keys() if repr(before.get(name)) != repr(after.get(name))]
    changed = [each for name in names for each in (before.get(name), after.get(name)) if each is not None]
    return {repr(each.get("userId")) if isinstance(each, dict) else each for each in changed}


def injected(app: App, pair: tuple[str, str], kept: dict) -> dict[str, set]:
    """Inject two corruptions that are about different users, so that neither hides the other; about whom each is."""
    for seed in range(50):
        restore(app, kept)
        before, whom = rows(app), {}
        for name in pair:
            CORRUPTIONS[name].inject(app.database, random.Random(f"{name}{seed}"))
            after = rows(app)
            whom[name] = about(before, after)
            before = after
        if not set.intersection(*whom.values()):
            return whom
    raise AssertionError(f"{pair} are about the same user, whatever the lot")


def keep(app: App) -> dict:
    return {name: list(app.database[name].find()) for name in KEPT}


def restore(app: App, kept: dict) -> None:
    """The database as it was migrated."""
    for name in KEPT[:2]:
        app.database[name].drop()
    app.apply(STEPS[:2])
    app.database[KEPT[2]].delete_many({})
    for name, documents in kept.items():
        app.database[name].insert_many(documents)


def check_pair(app: App, pair: tuple[str, str], kept: dict) -> None:
    whom = injected(app, pair, kept)
    wrong = found(app)
    for name in pair:
        theirs = {each.kind.value for each in wrong if each.user is None or repr(each.user) in whom[name]}
        assert theirs & CORRUPTIONS[name].kinds, (pair, name, list(map(str, wrong)))
    if all(CORRUPTIONS[name].heals for name in pair):
        healed(app, wrong)
        assert [str(each) for each in found(app)] == [], pair


@pytest.mark.parametrize("pair", QUICK, ids=" and ".join)
def test_two_corruptions_are_both_found_named_and_healed(app, pair):
    check_pair(app, pair, keep(app))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_corruption_is_found_beside_every_other_one(app, name):
    kept = keep(app)
    for other in NAMES[NAMES.index(name) + 1 :]:
        check_pair(app, (name, other), kept)


def test_a_full_verification_that_was_stopped_goes_on_where_it_was(app):
    walk = STEPS[4].apply(app.context(verify=EVERYONE))
    for piece in walk:
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)
            break
    walk.close()
    kept = app.state.get("verification")
    assert kept["totals"]["users"] == 6
    app.apply(VERIFY, verify=EVERYONE)
    assert app.state.get("verdict")["users"] == 6
    assert app.state.get("verification")["rules"] == ""


def test_the_rest_is_not_left_out_where_somebody_changed_how_far_it_was(app):
    walk = STEPS[4].apply(app.context(verify=EVERYONE))
    app.state.save(next(piece.checkpoint for piece in walk if piece.checkpoint is not None))
    walk.close()
    app.state.note("verification", phase=3)
    CORRUPTIONS["wrong streak"].inject(app.database, random.Random(1))
    assert [each.kind.value for each in found(app)] == ["streak"]


def test_a_document_that_changed_after_the_backfill_is_pending_and_no_mismatch(app):
    later = dt.datetime(2090, 1, 1)
    app.database["tasks"].insert_one(task(900, owner=2, updatedAt=later))
    app.database["tasks"].update_one({"_id": oid(1003)}, {"$set": {"status": "open", "updatedAt": later}})
    assert [(each.finding, each.id) for each in found(app)] == [(True, f"task_complete:{oid(1003)}")]
    assert app.state.get("verdict")["passed"]
    assert app.state.get("verdict")["pending"] == 1
