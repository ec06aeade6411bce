"""What is folded into entries is what a roll-up of the whole ledger makes of them, whoever comes in between."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from bson import Int64

from lbmigrate.backfill.isolate import emit_listed
from lbmigrate.ledger import fold, rollup, walk
from lbmigrate.ledger.fold_newest import fold_newest
from lbmigrate.ledger.looked_at import LookedAt
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.migration.steps import STEPS
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, config, oid, session, task, user

OWNERS = (1, 2, 3)
GLOBAL = f"global:{oid(1)}"
DAY = dt.timedelta(days=1)


@pytest.fixture
def app(database):
    database["users"].insert_many([user(number) for number in OWNERS])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(9)])
    database.create_collection("sessions")
    app = App(database, config(TASKS, SESSIONS, periods=["global", "day", "week", "month"]))
    app.apply(STEPS[:4])
    return app


@pytest.fixture
def whole_reads(monkeypatch):
    """Whose ledgers are read, one item for each roll-up."""
    reads = []
    monkeypatch.setattr(rollup, "days", lambda *given, real=rollup.days: reads.append(given[1]) or real(*given))
    return reads


def recorded(app, *documents, looked=None):
    """As a tail records a batch of new tasks and sessions; the users who had to be rolled up."""
    looked = looked or LookedAt(app.context(live=True))
    context = app.context(live=True)
    one_type = OneUserType(context)
    for source in app.config.sources:
        some = [each for each in documents if ("durationSec" in each) == (source.name == "sessions")]
        if some:
            app.database[source.collection].insert_many(some)
        emit_listed(context, source, one_type, [each["_id"] for each in some], looked)
    left = fold_newest(context, looked)
    for users in walk.selections(left):
        rollup.roll_up(context, users, rollup.days)
    return left


def is_right(app):
    """Whether a roll-up of everybody would change nothing."""
    everybody = {"$in": [oid(owner) for owner in OWNERS]}
    return rollup.roll_up(app.context(), everybody, rollup.days).written == 0


def insert(app, number, owner=1, points=500, at=None):
    """As somebody else would, who writes no entries."""
    key = oid(8000 + number)
    event = {"_id": f"task_complete:{key}", "userId": oid(owner), "actionType": "task_complete", "sourceId": key}
    rest = {"points": Int64(points), "meta": {"origin": "live"}, "createdAt": NEW_YEAR + (DAY if at is None else at)}
    app.database["score_events"].insert_one({**event, **rest})


def test_new_actions_are_folded_in_and_no_ledger_is_read(app, whole_reads):
    new = [task(20, hours=2400), task(21, owner=2, hours=2400), task(22, hours=2410), session(300)]
    assert recorded(app, *new) == []
    assert whole_reads == []
    assert app.entries()[GLOBAL]["events"] == 6
    assert is_right(app)


@pytest.mark.sampled
@pytest.mark.parametrize("seed", range(6))
def test_random_batches_end_in_what_a_roll_up_makes(app, seed):
    rng, folded = random.Random(seed), 0
    for number in range(100, 160, 6):
        hours = [24 * (number - 90) + rng.randrange(-40, 60) for _ in range(4)]
        some = [task(number + n, owner=rng.choice(OWNERS), hours=each) for n, each in enumerate(hours)]
        left = recorded(app, *some, session(number, owner=rng.choice(OWNERS)))
        folded += len({each["userId"] for each in some} - set(left))
        if rng.random() < 0.3:
            insert(app, number, owner=rng.choice(OWNERS))
        elif not any(event["sourceId"].binary > oid(8000).binary for event in app.events()):
            assert is_right(app)
    recorded(app, *(task(200 + owner, owner=owner, hours=9000) for owner in OWNERS))
    assert folded > 5
    assert is_right(app)


def test_an_event_that_nobody_has_rolled_up_is_taken_in_with_the_next_one(app):
    insert(app, 7)
    assert recorded(app, task(20, hours=2400)) == [oid(1)]
    assert app.entries()[GLOBAL]["score"] == 30 + 500 + 10
    assert is_right(app)


def test_a_newer_event_put_in_the_place_of_another_does_not_go_unseen(app):
    app.database["score_events"].delete_one({"_id": f"task_complete:{oid(1006)}"})
    insert(app, 40, at=200 * DAY)
    assert recorded(app, task(20, hours=2400)) == [oid(1)]
    assert is_right(app)


def test_what_was_inserted_before_is_not_counted_twice(app):
    one = task(20, hours=2400)
    app.database["tasks"].insert_one(one)
    insert_again = LookedAt(app.context(live=True))
    recorded(app)
    emit_listed(
        app.context(live=True), app.config.sources[0], OneUserType(app.context()), [one["_id"]], LookedAt(app.context())
    )
    emit_listed(app.context(live=True), app.config.sources[0], OneUserType(app.context()), [one["_id"]], insert_again)
    assert fold_newest(app.context(live=True), insert_again) == [oid(1)]
    rollup.roll_up(app.context(), {"$in": [oid(1)]}, rollup.days)
    assert app.entries()[GLOBAL]["events"] == 4
    assert is_right(app)


class Interrupted(LookedAt):
    """Somebody else comes between two steps of it."""

    def __init__(self, context, when, what):
        super().__init__(context)
        self.when, self.what = when, what

    def look(self, events):
        super().look(events)
        if self.when == "looked" and events:
            self.what()

    def take(self, events, new):
        super().take(events, new)
        if self.when == "inserted" and events:
            self.what()


def someone_rolls_up(app):
    rollup.roll_up(app.context(), {"$in": [oid(1)]}, rollup.days)


def someone_records(app):
    recorded(app, task(60, hours=2500))


def someone_adds_and_leaves_it(app):
    insert(app, 200)


def someone_rolls_back(app):
    for name in ("leaderboard_entries", "score_events"):
        app.database[name].delete_many({})


@pytest.mark.sampled
@pytest.mark.parametrize("what", [someone_rolls_up, someone_records, someone_adds_and_leaves_it, someone_rolls_back])
@pytest.mark.parametrize("when", ["looked", "inserted", "counted"])
def test_whoever_comes_in_between_no_update_is_lost(app, monkeypatch, when, what):
    def write(*given, real=fold._write):
        monkeypatch.undo()
        what(app)
        return real(*given)

    if when == "counted":
        monkeypatch.setattr(fold, "_write", write)
    recorded(app, task(20, hours=2300), looked=Interrupted(app.context(live=True), when, lambda: what(app)))
    if what is someone_adds_and_leaves_it and when == "counted":
        assert app.entries()[GLOBAL]["score"] == 40  # it is found with the next one
        recorded(app, task(21, hours=2600))
    if what is someone_rolls_back:
        rollup.roll_up(app.context(), {"$in": [oid(owner) for owner in OWNERS]}, rollup.days)
    assert is_right(app)


def test_a_new_name_is_on_every_entry_of_a_user(app):
    app.database["users"].update_one({"_id": oid(1)}, {"$set": {"name": "Ada"}})
    assert recorded(app, task(20, hours=2400)) == [oid(1)]
    shown = {entry["displayNameSnapshot"] for entry in app.entries().values() if entry["userId"] == oid(1)}
    assert shown == {"Ada"}


def test_a_day_before_the_last_is_for_the_ledger_to_say(app):
    assert recorded(app, task(20, hours=1)) == [oid(1)]
    assert is_right(app)


def test_where_an_action_was_taken_back_the_ledger_says_what_is_left(app):
    app.database["tasks"].update_one({"_id": oid(1006)}, {"$set": {"status": "todo"}})
    app.reconcile()
    assert recorded(app, task(20, hours=2400)) == [oid(1)]
    assert is_right(app)


def test_an_entry_of_an_earlier_version_that_counts_adjustments_as_actions_is_not_gone_on_with(app):
    app.database["tasks"].update_one({"_id": oid(1006)}, {"$set": {"status": "todo"}})
    app.reconcile()
    for entry in app.database["leaderboard_entries"].find({"counted": {"$exists": True}}):
        then = {"$set": {"events": entry["counted"]}, "$unset": {"counted": ""}}
        app.database["leaderboard_entries"].update_one({"_id": entry["_id"]}, then)
    assert app.entries()[GLOBAL]["events"] == 4
    assert recorded(app, task(20, hours=2400)) == [oid(1)]
    assert app.entries()[GLOBAL]["events"] == 3
    assert is_right(app)


def test_many_events_are_held_against_the_ledger_now_and_then_and_counted_right_all_the_same(app, monkeypatch):
    monkeypatch.setattr("lbmigrate.ledger.fold_newest.COUNTED", 4)
    for number in range(20, 32):
        assert recorded(app, task(number, hours=2400 + number)) == []
    insert(app, 300)
    late = [recorded(app, task(number, hours=9000 + number)) for number in range(40, 60)]
    assert late.count([oid(1)]) >= 1  # it was noticed
    assert is_right(app)
