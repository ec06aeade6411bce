"""What a recorder remembers never makes an entry differ from what the ledger says."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from bson import Binary, Int64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbmigrate import ScoreRecorder
from lbmigrate.ledger import rollup
from lbmigrate.ledger.people import People
from lbmigrate.live import cache
from lbmigrate.live.cache import Recall
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.state import Holder, Lease
from tests.apps import NEW_YEAR, TASKS, App, config, oid, user

NOW = dt.datetime(2025, 6, 1)
GLOBAL = f"global:{oid(1)}"


def ready(database):
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database.create_collection("tasks")
    app = App(database, config(TASKS))
    app.apply(STEPS[:3])
    return app


@pytest.fixture
def app(database):
    return ready(database)


@pytest.fixture
def whole_reads(monkeypatch):
    """Who reads a user's whole ledger, one item each."""
    reads = []
    monkeypatch.setattr(rollup, "days", lambda *given, real=rollup.days: reads.append(given[1]) or real(*given))
    return reads


def recorder(app):
    return ScoreRecorder(app.database, app.config, strict=True, clock=lambda: NOW)


def insert(app, number, points=10, owner=1):
    """As somebody else would."""
    source = oid(1000 + number)
    event = {"_id": f"task_complete:{source}", "userId": oid(owner), "actionType": "task_complete", "sourceId": source}
    rest = {"points": Int64(points), "meta": {"origin": "live"}, "createdAt": NEW_YEAR + dt.timedelta(days=number)}
    app.database["score_events"].insert_one({**event, **rest})


def shown(app, key=GLOBAL):
    """Score, events and streak."""
    entry = app.entries()[key]
    return entry["score"], entry["events"], entry["streak"]


def run_elsewhere(app, work):
    """Work under a lease, as every command that may remove events does."""
    lease = Lease(app.state, Holder.here("rollback"), lambda: NOW)
    lease.take()
    work()
    lease.release()


def rolled_back(app):
    """As a rollback removes them: all entries, and then the events."""
    for name in ("leaderboard_entries", "score_events"):
        app.database[name].delete_many({})


def test_the_next_action_of_a_user_reads_no_ledger_again(app, whole_reads):
    recording = recorder(app)
    for day in range(5):
        recording.record("task_complete", oid(1), oid(1000 + day), at=NEW_YEAR + dt.timedelta(days=day))
    assert len(whole_reads) == 1
    assert shown(app) == (50, 5, 5)


def test_an_action_recorded_again_reads_no_ledger_either(app, whole_reads):
    recording = recorder(app)
    for _ in range(3):
        recording.record("task_complete", oid(1), oid(1001), at=NEW_YEAR)
    assert len(whole_reads) == 1
    assert shown(app) == (10, 1, 1)


def test_what_somebody_else_added_meanwhile_is_counted(app, whole_reads):
    recording = recorder(app)
    recording.record("task_complete", oid(1), oid(1001), at=NEW_YEAR)
    insert(app, 2, points=500)
    recording.record("task_complete", oid(1), oid(1003), at=NEW_YEAR)
    assert len(whole_reads) == 2
    assert shown(app)[:2] == (520, 3)


def test_an_event_that_somebody_else_was_faster_to_insert_counts_once(app):
    recording = recorder(app)
    recording.record("task_complete", oid(1), oid(1001), at=NEW_YEAR)
    insert(app, 2)
    assert not recording.record("task_complete", oid(1), oid(1002), at=NEW_YEAR)
    assert shown(app)[:2] == (20, 2)


def test_a_ledger_that_was_rolled_back_and_filled_as_full_again_is_read_again(app):
    recording = recorder(app)
    recording.record("task_complete", oid(1), oid(1001), at=NEW_YEAR)
    run_elsewhere(app, lambda: rolled_back(app))
    insert(app, 7, points=300)
    recording.record("task_complete", oid(1), oid(1002), at=NEW_YEAR)
    assert shown(app)[:2] == (310, 2)


def test_days_read_while_somebody_was_writing_are_not_remembered(app, monkeypatch):
    recording = recorder(app)
    real = rollup.days

    def overtaken(*given):
        found = real(*given)
        insert(app, 2, points=500)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(rollup, "days", overtaken)
        recording.record("task_complete", oid(1), oid(1001), at=NEW_YEAR)
    recording.record("task_complete", oid(1), oid(1003), at=NEW_YEAR)
    assert shown(app)[:2] == (520, 3)


def test_only_those_who_acted_last_are_remembered(app, monkeypatch, whole_reads):
    monkeypatch.setattr(cache, "USERS", 2)
    recording = recorder(app)
    for number, owner in enumerate((1, 2, 3, 2, 3, 1)):  # each before the last: nothing that an entry can tell
        at = NEW_YEAR - dt.timedelta(days=number)
        recording.record("task_complete", oid(owner), oid(1000 + number), at=at)
    assert len(whole_reads) == 4  # one for each, and one more for the first, who was forgotten
    assert [shown(app, f"global:{oid(owner)}")[:2] for owner in (1, 2, 3)] == [(20, 2)] * 3


def test_what_is_known_under_one_fence_is_not_known_under_another(app):
    remembered = Recall()
    event = {"userId": oid(1), "points": 1, "createdAt": NEW_YEAR}
    remembered.ledger(event, False, None, fence=3)(app.database, {"$in": [oid(1)]}, People(app.context()))
    assert remembered.of(oid(1), 3) is not None
    assert remembered.of(oid(1), 4) is None


def test_what_is_learnt_while_a_run_goes_on_is_not_kept(app):
    one, other = recorder(app), recorder(app)
    for number in range(3):
        one.record("task_complete", oid(1), oid(100 + number), points=1, at=NEW_YEAR)
    lease = Lease(app.state, Holder.here("rollback"), lambda: NOW)
    lease.take()
    one.record("task_complete", oid(1), oid(110), points=1, at=NEW_YEAR)  # before the rollback has come to them
    rolled_back(app)
    lease.release()
    for number in range(4):
        other.record("task_complete", oid(1), oid(200 + number), points=500, at=NEW_YEAR)
    one.record("task_complete", oid(1), oid(300), points=500, at=NEW_YEAR)
    assert shown(app)[:2] == (2500, 5)


def test_a_uuid_is_the_same_user_however_the_apps_client_hands_it_out(app):
    name = uuid.uuid4()
    recording = recorder(app)
    for day in range(4):
        given = Binary.from_uuid(name) if day % 2 == 0 else name
        recording.record("task_complete", given, oid(1 + day), at=NEW_YEAR + dt.timedelta(days=day))
    assert shown(app, f"global:{name}") == (40, 4, 4)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["one", "other", "somebody", "rollback"]), st.integers(1, 12), st.sampled_from([1, 2]),
        st.sampled_from([10, -3, 400]),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(ACTIONS)
@pytest.mark.slow
def test_whoever_writes_in_whatever_order_the_last_who_recorded_is_right(actions):
    with fake.client() as client:
        app = ready(client["app"])
        both = {"one": recorder(app), "other": recorder(app)}
        for who, number, owner, points in actions:
            present = {event["_id"] for event in app.events()}
            if who == "rollback":
                run_elsewhere(app, lambda: rolled_back(app))
            elif who in both:
                at = NEW_YEAR + dt.timedelta(days=number)
                both[who].record("task_complete", oid(owner), oid(1000 + number), points=points, at=at)
                theirs = next(e["userId"] for e in app.events() if e["sourceId"] == oid(1000 + number))
                mine = [event for event in app.events() if event["userId"] == oid(owner)]
                if theirs == oid(owner):
                    assert shown(app, f"global:{theirs}")[:2] == (sum(e["points"] for e in mine), len(mine))
            elif f"task_complete:{oid(1000 + number)}" not in present:
                insert(app, number, points, owner)
