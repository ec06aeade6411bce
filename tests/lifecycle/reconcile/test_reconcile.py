"""Sources that change their mind, and the ledger after them: undone, done again, moved, worth something else."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections import Counter
from dataclasses import replace

import pytest
from bson import Int64

from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.ledger import events, settle
from lbmigrate.migration.steps import STEPS
from lbmigrate.passes.scored_by import changed_rules, remember_rules
from lbmigrate.reconcile import reconcile
from lbmigrate.records import Reconciled
from lbmigrate.rehearsal.outcome import summary
from lbmigrate.run.context import VerifyOptions
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, config, oid, picture, session, task, user

pytestmark = pytest.mark.sampled

DAY = dt.timedelta(days=1)
DEARER = {**TASKS, "points": 15}


@pytest.fixture
def app(database):
    """An app with three users, twelve tasks and six sessions, all on the board."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
    app = App(database, config(TASKS, SESSIONS))
    app.apply(STEPS[:5])
    return app


def reconciled(app, **chosen):
    return app.reconcile(**chosen)


def under(app, *sources, **parts):
    """The same app with other rules."""
    return replace(app, config=config(*sources, **parts))


def adjustments(app):
    return [event for event in app.events() if "reason" in event["meta"]]


def reasons(app):
    return Counter(event["meta"]["reason"] for event in adjustments(app))


def points_of(app, number):
    """What the ledger says of a task, by user."""
    sums = Counter()
    for event in app.events():
        if event["sourceId"] == oid(1000 + number):
            sums[event["userId"]] += event["points"]
    return {owner: points for owner, points in sums.items() if points}


def change(app, number, **fields):
    app.database["tasks"].update_one({"_id": oid(1000 + number)}, {"$set": fields})


def digests(app):
    found = summary(app.database)
    return found["sha256_global"], found["sha256_week"], found["points"]


def fresh(app, *sources):
    """The same sources migrated from nothing."""
    other = App(app.database.client[f"{app.database.name}_fresh"], config(*(sources or (TASKS, SESSIONS))))
    for name in ("users", "tasks", "sessions"):
        if documents := list(app.database[name].find()):
            other.database[name].insert_many(documents)
    other.apply(STEPS[:5])
    return other


def assert_verified(app):
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))


# --- what is found -------------------------------------------------------------------------------------------------


def test_a_ledger_that_agrees_is_left_as_it_is(app):
    before = picture(app.database)
    counts = reconciled(app)
    assert counts == Reconciled(18, 0)
    assert picture(app.database) == before


def test_every_kind_of_change_is_found_and_put_right(app):
    change(app, 0, status="todo")
    app.database["tasks"].delete_one({"_id": oid(1001)})
    change(app, 2, userId=oid(1))
    change(app, 3, completedAt=NEW_YEAR + 60 * DAY)
    app.database["sessions"].update_one({"_id": oid(5003)}, {"$set": {"durationSec": 600}})
    counts = reconciled(app)
    assert reasons(app) == {"voided": 2, "moved": 4, "rescored": 1} == reconcile.adjustments_made(app.context())
    assert counts == Reconciled(18, 5)
    assert points_of(app, 0) == points_of(app, 1) == {}
    assert points_of(app, 2) == {oid(1): 10}
    assert_verified(app)
    scores = {key: entry["score"] for key, entry in app.entries().items() if entry["score"]}
    assert scores == {key: entry["score"] for key, entry in fresh(app).entries().items()}


def test_a_second_reconciliation_writes_nothing(app):
    change(app, 0, status="todo")
    change(app, 2, userId=oid(1))
    reconciled(app)
    before = picture(app.database)
    assert reconciled(app).adjusted == 0
    assert picture(app.database) == before
    assert reconcile.adjustments_made(app.context()) == {}


def test_the_old_events_stay_to_the_letter(app):
    before = {event["_id"]: event for event in app.events()}
    change(app, 0, status="todo", userId=oid(2))
    reconciled(under(app, DEARER, SESSIONS))
    after = {event["_id"]: event for event in app.events()}
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)


def test_undone_and_done_again_five_times_ends_with_exactly_its_points(app):
    for _ in range(5):
        change(app, 4, status="todo")
        reconciled(app)
        assert points_of(app, 4) == {}
        change(app, 4, status="done")
        reconciled(app)
        assert points_of(app, 4) == {oid(2): 10}
    assert reasons(app) == {"voided": 5, "restored": 5}
    assert_verified(app)


def test_a_changed_rule_gives_what_a_fresh_migration_with_it_gives(app):
    dearer = under(app, DEARER, {**SESSIONS, "points": "minimum(floor(minutes), 20) * 2"})
    reconciled(dearer)
    assert reasons(app) == {"rescored": 18}
    assert digests(app) == digests(fresh(app, DEARER, dearer.config.sources[1].model_dump(by_alias=True)))
    assert_verified(dearer)


def test_a_rule_that_no_longer_covers_a_source_voids_it_and_one_that_does_restores_it(app):
    urgent = {**TASKS, "where": {"status": "done", "priority": "high"}}
    change(app, 7, priority="high")
    reconciled(under(app, urgent, SESSIONS))
    assert reasons(app) == {"voided": 11}
    assert app.entries()[f"global:{oid(3)}"]["score"] == 0
    reconciled(app)
    assert reasons(app) == {"voided": 11, "restored": 11}
    assert digests(app) == digests(fresh(app))


def test_a_source_that_was_never_in_the_ledger_is_left_to_the_backfill(app):
    app.database["tasks"].insert_one(task(50))
    reconciled(app)
    assert adjustments(app) == []
    assert points_of(app, 50) == {}


def test_streaks_count_only_days_on_which_something_stands(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number, hours=24 * number) for number in range(5)])
    app = App(database)
    app.apply(STEPS[:5])
    change(app, 2, status="todo")
    reconciled(app)
    assert app.entries()[f"global:{oid(1)}"]["streak"] == 2
    change(app, 4, status="todo")
    change(app, 3, completedAt=NEW_YEAR + 2 * DAY)
    reconciled(app)
    assert app.entries()[f"global:{oid(1)}"]["streak"] == 3
    assert_verified(app)


def test_two_generations_of_one_action_agree_by_the_first_that_has_an_event(database):
    old = {**TASKS, "name": "old", "where": {"done": True}, "at": ["finished"], "points": 3}
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([
        task(0), task(1, status=None, done=True, finished=NEW_YEAR), task(2, done=True, finished=NEW_YEAR),
    ])  # fmt: skip
    app = App(database, config(TASKS, old))
    app.apply(STEPS[:5])
    assert reconciled(app).read == 3
    assert adjustments(app) == []
    change(app, 2, status="archived")
    reconciled(app)
    assert points_of(app, 2) == {oid(1): 3}
    assert reasons(app) == {"moved": 2}


@pytest.mark.parametrize(
    "owner", [oid(77), 77, Int64(2**40), "a/b", "7", 5.5, {"a": 1, "b": "x"}, dt.datetime(2025, 5, 5), "#1", True]
)
def test_elements_of_arrays_are_found_whatever_the_id_of_their_document(database, owner):
    checklist = {**TASKS, "unwind": "items", "where": {"items.done": True}, "at": ["items.at"], "updated": "updatedAt"}
    items = [{"id": name, "done": True, "at": NEW_YEAR + number * DAY} for number, name in enumerate(["a", "b/c"])]
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(0, _id=owner, items=items))
    app = App(database, config(checklist))
    app.apply(STEPS[:5])
    assert reconciled(app).read == 2
    assert adjustments(app) == []
    items[1]["done"] = False
    database["tasks"].delete_many({})
    database["tasks"].insert_one(task(0, _id=owner, items=items))  # the fake cannot update where an id is compound
    reconciled(app)
    assert [event["meta"]["reason"] for event in adjustments(app)] == ["voided"]
    assert adjustments(app)[0]["sourceId"].endswith("/b/c")


@pytest.mark.slow
def test_ids_that_lie_between_a_source_and_its_adjustments_confuse_nobody(database):
    names = ["a", "a !", "a#1", "a#1#1", 'a"', "a$", "b", "a#", "a#x", "a#2"]
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number, _id=name) for number, name in enumerate(names)])
    app = App(database, config(TASKS, backfill={"chunk_size": 2}))
    app.apply(STEPS[:5])
    for status, expected in itertools.islice(itertools.cycle([("todo", 0), ("done", 10)]), 6):
        database["tasks"].update_many({}, {"$set": {"status": status}})
        reconciled(app)
        sums = Counter()
        for event in app.events():
            sums[event["sourceId"]] += event["points"]
        assert dict(sums) == dict.fromkeys(names, expected)
        assert reconciled(app).adjusted == 0


def test_what_an_event_says_in_another_chunk_is_not_overlooked(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number, _id=name) for number, name in enumerate(["a", "a !", 'a"'])])
    app = App(database, config(TASKS, backfill={"chunk_size": 3}))
    app.apply(STEPS[:5])
    twice = next(event for event in app.events() if event["sourceId"] == "a")
    database["score_events"].insert_one({**twice, "_id": f"{twice['_id']}#1"})
    reconciled(app)
    assert [event["points"] for event in adjustments(app)] == [-10]


@pytest.mark.slow
def test_any_history_of_changes_ends_like_a_fresh_migration(app):
    rng = random.Random(3)
    for _ in range(6):
        for number in rng.sample(range(12), 5):
            days = rng.randrange(20)
            change(
                app, number, status=rng.choice(["done", "done", "todo"]), userId=oid(rng.randint(1, 3)),
                completedAt=NEW_YEAR + days * DAY,
            )  # fmt: skip
        reconciled(app)
        assert reconciled(app).adjusted == 0
        assert_verified(app)
    expected = {key: (entry["score"], entry["streak"]) for key, entry in fresh(app).entries().items()}
    found = {key: (entry["score"], entry["streak"]) for key, entry in app.entries().items()}
    assert {key: found[key] for key in expected} == expected
    assert all(found[key] == (0, 0) for key in found.keys() - expected.keys())


# --- before it is done ---------------------------------------------------------------------------------------------


def test_looking_lists_what_would_be_added_and_writes_nothing(app):
    change(app, 0, status="todo")
    change(app, 2, userId=oid(1))
    before, rows = picture(app.database), list(app.state.rows.find())
    found = [event for part in reconcile.differences(app.context()) for event in part.due]
    assert picture(app.database) == before
    assert list(app.state.rows.find()) == rows
    reconciled(app)
    assert found == adjustments(app)


def test_a_preview_says_how_many_points_would_move_and_whether_it_saw_everything(app):
    dearer = under(app, DEARER, SESSIONS)
    assert reconcile.preview(app.context()) == reconcile.Preview({}, 0, exact=True)
    assert reconcile.preview(dearer.context()) == reconcile.Preview({"rescored": 12}, 60, exact=True)
    assert reconcile.preview(dearer.context(), most=5) == reconcile.Preview({"rescored": 5}, 25, exact=False)


def test_a_database_without_a_ledger_has_nothing_to_preview(database):
    assert reconcile.preview(App(database).context()) == reconcile.Preview({}, 0, exact=True)
    assert database.list_collection_names() == []


# --- the rules -----------------------------------------------------------------------------------------------------


def test_rules_count_as_changed_until_a_reconciliation_has_been_through(app):
    dearer = under(app, DEARER, SESSIONS)
    assert not changed_rules(app.context())
    assert changed_rules(dearer.context())
    assert remember_rules(dearer.context()) is None
    reconciled(dearer)
    assert not changed_rules(dearer.context())
    assert changed_rules(app.context())


def test_rules_are_forgotten_with_the_events(app):
    app.revert()
    assert not changed_rules(under(app, DEARER).context())
    assert remember_rules(app.context()) is not None


def test_new_rules_for_entries_reach_everybody(app):
    monthly = under(app, TASKS, SESSIONS, periods=["global", "week", "month"])
    reconciled(monthly)
    assert adjustments(app) == []
    assert f"2025-01:{oid(3)}" in app.entries()
    assert_verified(monthly)


# --- beside others -------------------------------------------------------------------------------------------------


def test_a_backfill_and_its_state_are_not_disturbed(app):
    change(app, 0, status="todo")
    rows = {row["_id"]: row for row in app.state.rows.find({"_id": {"$not": {"$regex": "reconcile"}}})}
    reconciled(app)
    assert {name: app.state.get(name) for name in rows if name.startswith("watermark")} == {
        name: row for name, row in rows.items() if name.startswith("watermark")
    }
    assert app.backfill().emitted == 0
    assert [row["status"] for row in app.chunks()] == ["rolled"] * len(app.chunks())


def test_a_verdict_does_not_cover_adjustments_that_came_after_it(app):
    covered = app.state.last_emission()
    reconciled(app)
    assert app.state.last_emission() == covered
    change(app, 0, status="todo")
    reconciled(app)
    assert app.state.last_emission() != covered


def test_a_rollback_removes_adjustments_too(app):
    change(app, 0, status="todo")
    reconciled(app)
    app.revert()
    assert not {"score_events", "leaderboard_entries"} & set(app.database.list_collection_names())


def test_another_who_adjusts_at_the_same_time_is_noticed(app, monkeypatch):
    change(app, 0, status="todo")
    insert = events.insert_each

    def beaten(events, documents):
        monkeypatch.setattr(settle, "insert_each", insert)
        other = App(app.database, app.config)
        reconciled(other)
        return insert(events, documents)

    monkeypatch.setattr(settle, "insert_each", beaten)
    assert reconciled(app).adjusted == 0
    assert reasons(app) == {"voided": 1}
    assert points_of(app, 0) == {}
    assert_verified(app)


def test_a_source_that_changes_back_between_two_looks_is_left_alone(app, monkeypatch):
    change(app, 0, status="todo")
    due = settle.due_of

    def late(*arguments):
        change(app, 0, status="done")
        return due(*arguments)

    monkeypatch.setattr(settle, "due_of", late)
    assert reconciled(app).adjusted == 0
    assert adjustments(app) == []


def test_users_whom_somebody_adjusted_live_without_a_roll_up_are_rolled_up(app):
    event = next(event for event in app.events() if event["sourceId"] == oid(1004))
    change(app, 4, status="todo")
    app.database["score_events"].insert_one(
        {**event, "_id": f"{event['_id']}#1", "points": Int64(-10), "meta": {"origin": "live", "reason": "voided"}}
    )
    reconciled(under(app, TASKS, SESSIONS, backfill={"chunk_size": 100}))
    assert reasons(app) == {"voided": 1}
    assert_verified(app)


def test_a_source_collection_that_is_gone_voids_nothing(app):
    app.database["tasks"].drop()
    with pytest.raises(LbmigrateError, match="collection 'tasks' is gone"):
        reconciled(app)
    assert adjustments(app) == []


def test_users_of_another_type_are_refused_before_anything_is_written(app):
    with pytest.raises(Refused, match="types"):
        reconciled(under(app, {**TASKS, "user": {"path": "userId", "as": "string"}}, SESSIONS))
    assert adjustments(app) == []


# --- stopped -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("saved", [True, False], ids=["checkpointed", "killed-before-its-checkpoint"])
@pytest.mark.parametrize("rules", [(TASKS, SESSIONS), (DEARER, SESSIONS)], ids=["same rules", "other rules"])
def test_stopped_after_any_piece_it_ends_like_one_that_was_not(app, rules, saved):
    change(app, 0, status="todo")
    change(app, 7, userId=oid(1))
    ledger, board = list(app.database["score_events"].find()), list(app.database["leaderboard_entries"].find())
    then = under(app, *rules)
    reconciled(then)
    wanted = picture(app.database, times=False)
    for number in itertools.count(1):
        for name, documents in (("score_events", ledger), ("leaderboard_entries", board)):
            app.database[name].delete_many({})
            app.database[name].insert_many(documents)
        app.state.rows.delete_many({"_id": {"$regex": "reconcile"}})
        made = 0
        walk = reconcile.pieces(then.context())
        for piece in itertools.islice(walk, number):
            made += 1
            if piece.checkpoint is not None and (saved or made < number):
                app.state.save(piece.checkpoint)
        walk.close()
        reconciled(then)
        assert picture(app.database, times=False) == wanted, f"stopped after piece {number}"
        if made < number:
            return


def test_a_pass_that_was_begun_under_other_rules_starts_over(app):
    dearer, cheaper = under(app, DEARER, SESSIONS), under(app, {**TASKS, "points": 1}, SESSIONS)
    walk = reconcile.pieces(dearer.context())
    for piece in itertools.islice(walk, 3):
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)
    walk.close()
    assert reasons(app)["rescored"]
    reconciled(cheaper)
    assert digests(app) == digests(fresh(app, *({**TASKS, "points": 1}, SESSIONS)))
    assert_verified(cheaper)


def test_what_was_added_under_rules_that_were_taken_back_is_rolled_up(app):
    change(app, 0, status="todo")
    walk = reconcile.pieces(under(app, {**TASKS, "meta": {}}, SESSIONS, backfill={"chunk_size": 100}).context())
    opened = next(walk)
    app.state.save(opened.checkpoint)
    next(walk)  # added, and killed before its checkpoint
    walk.close()
    assert reasons(app)["voided"] == 1
    reconciled(under(app, TASKS, SESSIONS, backfill={"chunk_size": 100}))
    assert_verified(app)
