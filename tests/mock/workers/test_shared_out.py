"""What is shared out comes to what one thread comes to: documents, findings and their order, whoever is lost."""

from __future__ import annotations

import datetime as dt
import random
from contextlib import contextmanager
from dataclasses import replace

import pytest

from lbmigrate.backfill import refresh_profiles
from lbmigrate.errors import LbmigrateError, Mismatch, Refused
from lbmigrate.ledger.budget import FEW, Budget
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.reconcile import reconcile
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.run.crew import NotReady
from lbmigrate.run.jobs import Job
from lbmigrate.testing import CORRUPTIONS
from lbmigrate.verify import look, tasks
from lbmigrate.verify.result import Mismatch as Wrong
from lbmigrate.workers.ways import WAYS
from tests.apps import SESSIONS, TASKS, USERS, App, config, oid, picture, pieces, session, task, ticking, user
from tests.crews import Loopback, helped

LOSING = [0.0, 0.4]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """So that there are many of them, and mismatches are looked at again in the middle."""
    for module, name, value in ((look, "HELD", 3), (tasks, "USERS_AT_ONCE", 2), (tasks, "PARTS", 2)):
        monkeypatch.setattr(module, name, value)


def made(steps=STEPS[:5]):
    app = App(fake.client()["app"], config(TASKS, SESSIONS, users={**USERS, "updated": "updatedAt"}), clock=ticking())
    app.database["users"].insert_many([user(number, avatar=f"https://x/{number}.png") for number in range(1, 7)])
    app.database["tasks"].insert_many([task(number, owner=1 + number % 6) for number in range(20)])
    app.database["tasks"].insert_one(task(41, completedAt="no time at all"))
    app.database["sessions"].insert_many([session(number, owner=1 + number % 4) for number in range(10)])
    app.apply(steps)
    return app


def context_of(app, losing, **chosen):
    """None of `losing` is for one thread that does it all."""
    context = app.context(**chosen)
    return context if losing is None else helped(context, losing=losing)


def left(app):
    """Documents, and what is remembered of chunks; how often one was tried is the workers' affair."""
    rows = [(row["_id"], row["status"], row.get("users"), row.get("reasons")) for row in app.chunks()]
    return picture(app.database, times=False), rows


def changed(app):
    database, later = app.database, dt.datetime(2100, 1, 2)
    database["tasks"].update_many({"_id": {"$in": [oid(1000), oid(1007)]}}, {"$set": {"status": "todo"}})
    database["tasks"].update_one({"_id": oid(1003)}, {"$set": {"userId": oid(3)}})
    database["sessions"].update_one({"_id": oid(5003)}, {"$set": {"durationSec": 60}})
    database["users"].update_one({"_id": oid(2)}, {"$set": {"name": "Otherwise", "updatedAt": later}})
    late(app)


def late(app):
    app.database["tasks"].insert_one(task(-5, owner=2))


def backfilled(app, losing):
    Driver(context_of(app, losing)).apply([STEPS[3]])


def reconciled(app, losing, few=FEW):
    driver = Driver(context_of(app, losing))
    driver.carry_out(reconcile.WORK, reconcile.pieces(driver.context, Budget(driver.context, few)))


def recounted(app, losing):
    app.recount(crew=None if losing is None else Loopback(app.context(), losing=losing))


def backfilled_anew(app, losing):
    Driver(context_of(app, losing, scope=Scope(full=True))).apply([STEPS[3]])


VERBS = [backfilled, reconciled, recounted, backfilled_anew]
QUICK = {(backfilled, 0.0), (reconciled, 0.4), (recounted, 0.4)}
CASES = [
    pytest.param(
        verb, losing, id=f"{verb.__name__}-{losing}", marks=() if (verb, losing) in QUICK else pytest.mark.slow
    )
    for verb in VERBS
    for losing in LOSING
]


@pytest.mark.parametrize(("verb", "losing"), CASES)
def test_what_workers_leave_is_what_one_thread_leaves(verb, losing):
    app, twin = made(), made()
    for each, how in ((app, losing), (twin, None)):
        (late if verb is recounted else changed)(each)  # what is read once more is looked at closely, and corrected
        verb(each, how)
    assert left(app)[0] == left(twin)[0]
    assert losing or left(app) == left(twin)


def test_a_source_that_is_read_for_the_first_time_beside_a_full_ledger_comes_into_the_entries():
    """Its users come in columns, since its documents have one shape."""
    apps = []
    for losing in (0.0, None):
        app = App(fake.client()["app"], config(TASKS), clock=ticking())
        app.database["users"].insert_many([user(number) for number in (1, 2)])
        app.database["tasks"].insert_many([task(number, owner=1) for number in range(40)])
        app.database["sessions"].insert_many([session(number, owner=2) for number in range(9)])
        app.apply(STEPS[:4])
        app.config = config(TASKS, SESSIONS)
        backfilled(app, losing)
        apps.append(app)
    assert f"global:{oid(2)}" in apps[0].entries()
    assert left(apps[0]) == left(apps[1])


def verified(app, losing=None):
    """Everything that a full verification finds, in its order, and its verdict but for times."""
    seen, context = [], context_of(app, losing, verify=VerifyOptions(full=True))
    try:
        for piece in pieces(STEPS[4], context):
            seen += piece.found
    except Mismatch as error:
        seen.append(str(error))
    verdict = app.state.get("verdict")
    parts = [{**part, "seconds": 0} for part in verdict["parts"]]
    untimed = {key: value for key, value in verdict.items() if key not in ("at", "seconds", "pace")}
    told = [replace(each, lasted=0) if isinstance(each, Wrong) else each for each in seen]
    return list(map(repr, told)), repr(sorted({**untimed, "parts": parts}.items()))  # not a number is none of itself


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.sampled
def test_a_verification_finds_the_same_in_the_same_order(seed):
    losing = LOSING[seed // 4]
    names = random.Random(seed).sample(sorted(CORRUPTIONS), 6)
    found = []
    for how in (losing, None):
        app = made()
        changed(app)
        for name in names:
            CORRUPTIONS[name].inject(app.database, random.Random(seed))
        found.append(verified(app, how))
    assert found[0] == found[1]
    assert found[0][0], names


def test_what_a_worker_cannot_tell_the_run_finds_itself(monkeypatch):
    app, twin = made(), made()
    for each in (app, twin):
        entries = each.database["leaderboard_entries"]
        entries.update_many({"period": "global"}, {"$inc": {"score": 2**62}})  # their sums no long holds
        each.database["score_events"].update_many({"userId": oid(3)}, {"$inc": {"points": 1}})
    monkeypatch.setattr(tasks, "MOST_TOLD", 3)
    assert verified(app, 0.0) == verified(twin)


def test_a_verification_that_was_stopped_goes_on_with_workers_where_it_was():
    app = made()
    CORRUPTIONS["swapped scores"].inject(app.database, random.Random(7))
    wanted = verified(app)[1]
    walk = pieces(STEPS[4], app.context(verify=VerifyOptions(full=True)))
    while not app.state.get("verification").get("after"):
        next(walk)
    walk.close()
    assert verified(app, 0.0)[1] == wanted


@pytest.mark.parametrize("losing", [0.0, None])
def test_more_than_may_be_taken_back_is_refused_in_the_same_words(losing):
    app = made()
    app.database["tasks"].update_many({}, {"$set": {"status": "todo"}})
    with pytest.raises(Refused, match=r"more of task_complete .* reconcile.at_most allows \(5.0%\)"):
        reconciled(app, losing, few=3)


class Unready(Loopback):
    """Workers who never get ready."""

    @contextmanager
    def line(self):
        raise NotReady("no worker process gets ready to work")
        yield


def test_where_nobody_gets_ready_no_chunk_is_to_blame_and_the_next_run_goes_on():
    app, twin = made(STEPS[:3]), made()
    with pytest.raises(NotReady):
        Driver(app.context(crew=Unready(app.context()))).apply([STEPS[3]])
    assert {row["status"] for row in app.chunks()} == {"claimed"}
    app.apply(STEPS[:5])
    assert left(app)[0] == left(twin)[0]


def test_every_kind_of_work_can_be_carried_out_by_a_worker():
    assert {kind.NAME for kind in _kinds(Job)} == WAYS.keys()


def _kinds(job):
    below = job.__subclasses__()
    return [each for each in below if "NAME" in vars(each)] + [kind for each in below for kind in _kinds(each)]


def test_users_who_changed_are_shared_out_too(monkeypatch):
    monkeypatch.setattr(refresh_profiles, "AT_ONCE", 2)
    app = made()
    changed(app)
    context = helped(app.context())
    Driver(context).apply([STEPS[3]])
    assert {"emit", "roll up", "refresh"} <= set(context.crew.kinds)


def test_an_error_of_a_worker_is_that_of_the_run():
    app = made()
    with pytest.raises(LbmigrateError):
        Driver(context_of(app, 0.0)).carry_out(reconcile.WORK, _broken(app))


def _broken(app):
    context = context_of(app, 0.0)
    app.state.rows.update_one({"_id": "lock"}, {"$set": {"kind": "lock", "layout": 1, "fence": 99}}, upsert=True)
    context.crew._context.state.fence = 3
    return reconcile.pieces(context)
