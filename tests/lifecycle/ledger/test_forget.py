"""A user who leaves: nothing on the board, nobody's name in the ledger, nothing that brings the user back."""

from __future__ import annotations

import itertools
import uuid

import pytest
from bson import Int64, ObjectId

from lbmigrate.board.board import Board
from lbmigrate.errors import UsageError
from lbmigrate.ledger import forget, rollup
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.context import Scope, VerifyOptions
from tests.apps import SESSIONS, TASKS, App, config, oid, picture, session, task, user

pytestmark = pytest.mark.sampled

ADA = str(oid(1))


@pytest.fixture
def app(database):
    """An app with three users on the board."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
    app = App(database, config(TASKS, SESSIONS))
    app.apply(STEPS[:5])
    return app


def forgotten(app, who=ADA):
    app.forget(who)


def reconciled(app):
    return app.reconcile()


def of_others(app, *gone):
    """The events and entries of everybody else."""
    database = app.database
    theirs = {"userId": {"$nin": [*gone, *tombstones(app)]}}
    return [sorted(map(repr, database[name].find(theirs))) for name in ("score_events", "leaderboard_entries")]


def tombstones(app):
    return [row["tombstone"] for row in app.state.of_kind("forgotten") if "tombstone" in row]


def assert_gone(app, *numbers):
    gone = {oid(number) for number in numbers or (1,)}
    theirs = {"userId": {"$in": list(gone)}}
    assert app.database["score_events"].count_documents(theirs) == 0
    assert app.database["leaderboard_entries"].count_documents(theirs) == 0
    assert app.database["leaderboard_entries"].count_documents({"userId": {"$in": tombstones(app)}}) == 0
    assert {place.original for place in Board(app.database, app.config).top()} == {oid(1), oid(2), oid(3)} - gone
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))  # raises Mismatch where entries and ledger differ


# --- what is left --------------------------------------------------------------------------------------------------


def test_entries_go_and_events_stay_under_a_tombstone(app):
    before = {event["_id"]: event for event in app.events() if event["userId"] == oid(1)}
    forgotten(app)
    assert_gone(app)
    (tombstone,) = tombstones(app)
    after = {event["_id"]: event for event in app.events() if event["userId"] == tombstone}
    assert len(before) == 7
    assert after == {
        name: {**event, "userId": tombstone, "meta": {**event["meta"], "forgotten": True}}
        for name, event in before.items()
    }


def test_others_keep_every_event_and_entry_to_the_letter(app):
    before = of_others(app, oid(1))
    forgotten(app)
    assert of_others(app) == before


def test_nothing_tells_who_it_was(app):
    rows = {row["_id"] for row in app.state.rows.find()}
    forgotten(app)
    new = [row for row in app.state.rows.find() if row["_id"] not in rows]
    assert len(new) == 2
    assert ADA not in str(new)
    board = [app.database[name].find() for name in ("score_events", "leaderboard_entries")]
    assert not [row for rows in board for row in rows if ADA in str(row["_id"]) or row["userId"] == oid(1)]


def test_the_same_user_has_another_name_in_every_state(app):
    hashes = {forget.row_of(oid(1), salt) for salt in (b"a", b"b")}
    assert len(hashes) == 2
    forgotten(app)
    assert not hashes & {row["_id"] for row in app.state.of_kind("forgotten")}


def test_forgetting_again_changes_nothing(app):
    forgotten(app)
    before = picture(app.database), list(app.state.of_kind("forgotten"))
    forgotten(app)
    assert (picture(app.database), list(app.state.of_kind("forgotten"))) == before


def test_each_who_leaves_has_a_tombstone(app):
    forgotten(app)
    forgotten(app, str(oid(2)))
    assert_gone(app, 1, 2)
    assert len({*tombstones(app)}) == 2


def test_everybody_may_leave(app):
    for number in (1, 2, 3):
        forgotten(app, str(oid(number)))
    assert_gone(app, 1, 2, 3)
    assert app.entries() == {}
    assert app.backfill(scope=Scope(full=True)).emitted == 0


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (oid, ObjectId),
        ("user-{}".format, str),
        (lambda number: number, int),
        (lambda number: Int64(2**40 + number), int),
        (lambda number: uuid.UUID(int=number), uuid.UUID),
    ],
)
def test_a_tombstone_is_of_the_type_of_the_ids(database, make, kind):
    if kind is uuid.UUID and is_fake(database):
        pytest.skip("the fake does not find a UUID by its BSON form")
    database["users"].insert_many([user(number, _id=make(number)) for number in (1, 2)])
    database["tasks"].insert_many([task(number, userId=make(1 + number % 2)) for number in range(6)])
    app = App(database)
    app.apply(STEPS[:5])
    forgotten(app, str(make(1)))
    (tombstone,) = tombstones(app)
    assert isinstance(tombstone, kind)
    assert {event["userId"] for event in app.events()} == {tombstone, make(2)}
    assert app.backfill(scope=Scope(full=True)).skipped == 3
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))
    assert {place.original for place in Board(database, app.config).top()} == {make(2)}


def test_a_tombstone_is_nobodys_id(app, monkeypatch):
    app.database["users"].insert_one(user(4))
    makers = iter([oid(2), oid(4), oid(77)])
    monkeypatch.setitem(forget.MAKERS, "objectId", lambda _: next(makers))
    forgotten(app)
    assert tombstones(app) == [oid(77)]


# --- coming back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [Scope(full=True), Scope(user=ADA), Scope()], ids=["full", "by name", "incremental"])
def test_no_backfill_brings_a_user_back(app, scope):
    forgotten(app)
    app.database["tasks"].insert_one(task(70, hours=24 * 300))
    before = of_others(app)
    counts = app.backfill(scope=scope)
    assert counts.emitted == counts.duplicates - (counts.read - counts.skipped) == 0
    assert counts.skipped > 0
    assert of_others(app) == before
    assert_gone(app)


def test_a_roll_up_makes_no_entries_for_one_whose_events_are_still_to_be_changed(app):
    walk = forget.pieces(app.context(), ADA)
    for piece in itertools.islice(walk, 2):
        app.state.save(piece.checkpoint)
    walk.close()
    app.database["leaderboard_entries"].delete_many({"userId": oid(1)})
    rollup.roll_up(app.context(), {"$in": [oid(1), oid(2)]})
    assert app.database["leaderboard_entries"].count_documents({"userId": oid(1)}) == 0


def test_a_reconciliation_leaves_the_events_of_a_tombstone_alone(app):
    forgotten(app)
    before = picture(app.database)
    assert reconciled(app).adjusted == 0
    assert picture(app.database) == before


def test_what_changes_hands_is_taken_from_a_tombstone_and_given_to_one(app):
    forgotten(app)
    tasks = app.database["tasks"]
    tasks.update_one({"_id": oid(1000)}, {"$set": {"userId": oid(2)}})
    tasks.update_one({"_id": oid(1001)}, {"$set": {"userId": oid(1)}})
    scores = {number: app.entries()[f"global:{oid(number)}"]["score"] for number in (2, 3)}
    assert reconciled(app).adjusted == 2
    assert {number: app.entries()[f"global:{oid(number)}"]["score"] for number in (2, 3)} == scores
    assert len([event for event in app.events() if event["meta"].get("reason") == "moved"]) == 4
    assert_gone(app)
    assert reconciled(app).adjusted == 0


def test_what_an_app_inserts_for_one_who_left_gets_the_tombstone_when_a_backfill_meets_the_action(app):
    app.backfill()
    forgotten(app)
    late = task(40, owner=1)
    app.database["tasks"].insert_one(late)
    event = {"_id": f"task_complete:{late['_id']}", "userId": oid(1), "actionType": "task_complete"}
    rest = {"points": Int64(10), "sourceId": late["_id"], "meta": {"origin": "live"}, "createdAt": late["completedAt"]}
    app.database["score_events"].insert_one({**event, **rest})
    app.backfill()
    assert_gone(app, 1)
    app.apply(STEPS[4:5], verify=VerifyOptions(full=True))  # raises where entries and ledger disagree
    before = picture(app.database)
    reconciled(app)
    assert picture(app.database)["score_events"] == before["score_events"]


def test_after_a_rollback_a_new_migration_leaves_a_user_out_too(app):
    forgotten(app)
    app.revert()
    app.apply(STEPS[:5])
    assert_gone(app)
    assert len(app.entries()) > 0


def test_whichever_form_an_id_has_it_is_the_same_user(app):
    forgotten(app)
    leavers = Leavers(app.state)
    assert oid(1) in leavers
    assert ADA in leavers
    assert ADA.upper() in leavers
    assert oid(2) not in leavers
    assert tombstones(app)[0] not in leavers
    assert leavers.tombstone(oid(1)) == tombstones(app)[0]


# --- stopped -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("saved", [True, False], ids=["checkpointed", "killed-before-its-checkpoint"])
def test_stopped_after_any_piece_it_ends_like_one_that_was_not(app, saved, monkeypatch):
    monkeypatch.setattr(forget, "AT_ONCE", 2)
    monkeypatch.setitem(forget.MAKERS, "objectId", lambda _: oid(999))
    names = ("score_events", "leaderboard_entries")
    whole = {name: list(app.database[name].find()) for name in names}
    forgotten(app)
    wanted = picture(app.database)
    for number in itertools.count(1):
        for name in names:
            app.database[name].delete_many({})
            app.database[name].insert_many(whole[name])
        app.state.rows.delete_many({"kind": "forgotten"})
        made = 0
        walk = forget.pieces(app.context(), ADA)
        for piece in itertools.islice(walk, number):
            made += 1
            if piece.checkpoint is not None and (saved or made < number):
                app.state.save(piece.checkpoint)
        walk.close()
        if tombstones(app):
            assert app.backfill(scope=Scope(full=True)).emitted == 0
        forgotten(app)
        assert picture(app.database) == wanted, f"stopped after piece {number}"
        if made < number:
            assert number > 5
            return


# --- whom ----------------------------------------------------------------------------------------------------------


def test_nobody_can_be_forgotten_whom_nobody_knows(app):
    before = picture(app.database)
    with pytest.raises(UsageError, match="nobody has the id 'eve'"):
        forget.check(app.context(), "eve")
    assert picture(app.database) == before


def test_one_who_is_only_in_the_users_collection_can_leave_before_the_first_action(app):
    app.database["users"].insert_one(user(4))
    forget.check(app.context(), str(oid(4)))
    forgotten(app, str(oid(4)))
    app.database["tasks"].insert_one(task(70, owner=4, hours=24 * 300))
    assert app.backfill().emitted == 0
    assert_gone(app, 4)


def test_one_who_leaves_before_the_first_backfill_stands_in_the_way_of_no_reconciliation(database):
    database["users"].insert_many([user(number) for number in (1, 2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(6)])
    app = App(database, config(TASKS))
    app.apply(STEPS[:3])
    forgotten(app)
    app.backfill()
    database["tasks"].update_one({"_id": oid(1001)}, {"$set": {"userId": oid(1)}})
    assert reconciled(app).adjusted == 1
    assert {type(event["userId"]) for event in app.events()} == {ObjectId}
    assert app.entries()[f"global:{oid(2)}"]["score"] == 20
    assert reconciled(app).adjusted == 0


def test_a_tombstone_follows_the_type_of_ids_that_a_new_migration_has(app):
    forgotten(app)
    app.revert()
    sources = [{**source, "user": {"path": "userId", "as": "string"}} for source in (TASKS, SESSIONS)]
    anew = App(app.database, config(*sources), clock=app.clock)
    anew.apply(STEPS[:5])
    app.database["tasks"].update_one({"_id": oid(1001)}, {"$set": {"userId": oid(1)}})
    assert reconciled(anew).adjusted == 1
    assert {type(event["userId"]) for event in anew.events()} == {str}
    anew.apply([STEPS[4]], verify=VerifyOptions(full=True))
    assert reconciled(anew).adjusted == 0


def test_one_who_was_forgotten_already_is_still_known(app):
    forgotten(app)
    for name in ("users", "tasks", "sessions"):
        app.database[name].delete_many({"$or": [{"_id": oid(1)}, {"userId": oid(1)}]})
    forget.check(app.context(), ADA)
