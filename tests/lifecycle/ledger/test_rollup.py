"""An entry is a function of the ledger, the user and the config, whoever computes it and however often."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from bson import Int64

from lbmigrate.backfill import touched
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import binding, events, rollup, walk
from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.schema import COUNTED
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, config, oid, picture, session, stopped_after, task, untimed, user
from tests.runs import PATIENCE

pytestmark = pytest.mark.sampled

GLOBAL = f"global:{oid(1)}"


@pytest.fixture
def app(database):
    """Thirty users with one to four tasks each, and nothing emitted yet."""
    database["users"].insert_many([user(number) for number in range(1, 31)])
    database["tasks"].insert_many([task(number, owner=1 + number * number % 30) for number in range(90)])
    app = App(database, config())
    app.apply(STEPS[:3])
    return app


def shown(app):
    """The entries without what depends on when they were written."""
    return {key: untimed("leaderboard_entries", entry) for key, entry in app.entries().items()}


def everybody(app):
    return [row["_id"] for row in app.database["users"].find()]


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": Int64(999)},
        {"score": 12.5},
        {"streak": 77},
        {"events": Int64(0)},
        {"displayNameSnapshot": "Somebody Else"},
        {"optOutSnapshot": True},
        {"lastEventAt": dt.datetime(1999, 1, 1)},
        {"rev": Int64(50), "score": Int64(1)},
    ],
    ids=",".join,
)
def test_an_entry_that_somebody_changed_is_recomputed_when_its_user_is_rolled_up(app, wrong):
    app.backfill()
    right = shown(app)
    if not is_fake(app.database):
        app.database.command("collMod", "leaderboard_entries", validator={})
    app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$set": wrong})
    rolled = rollup.roll_up(app.context(), {"$in": [oid(1)]})
    assert shown(app) == right
    assert rolled.changed == (0 if wrong.keys() == {"rev"} else 1)


def test_an_entry_that_somebody_removed_comes_back(app):
    app.backfill()
    right = shown(app)
    app.database["leaderboard_entries"].delete_one({"_id": GLOBAL})
    rolled = rollup.roll_up(app.context(), {"$in": [oid(1)]})
    assert shown(app) == right
    assert rolled.inserted == 1


def test_fields_that_others_added_to_an_entry_stay(app):
    app.backfill()
    app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$set": {"medal": "gold", "score": Int64(1)}})
    rollup.roll_up(app.context(), {"$in": [oid(1)]})
    assert app.entries()[GLOBAL]["medal"] == "gold"
    assert app.entries()[GLOBAL]["score"] != 1


def test_a_roll_up_with_nothing_to_change_writes_nothing(app):
    app.backfill()
    before = picture(app.database)
    rolled = rollup.roll_up(app.context(), {"$in": everybody(app)})
    assert picture(app.database) == before
    assert rolled.unchanged == len(app.entries())


def test_a_change_raises_the_revision_and_leaves_the_time_of_creation(app):
    app.backfill()
    before = app.entries()[GLOBAL]
    app.database["tasks"].insert_one(task(500, owner=1))
    app.backfill()
    after = app.entries()[GLOBAL]
    assert after["rev"] == before["rev"] + 1
    assert after["createdAt"] == before["createdAt"]
    assert after["lastUpdated"] == after["updatedAt"] > before["lastUpdated"]
    assert after["events"] == before["events"] + 1


def test_a_new_name_changes_the_entry_but_not_when_its_score_last_changed(app):
    app.backfill()
    before = app.entries()[GLOBAL]
    app.database["users"].update_one({"_id": oid(1)}, {"$set": {"name": "Renamed", "hidden": True}})
    rollup.roll_up(app.context(), {"$in": [oid(1)]})
    after = app.entries()[GLOBAL]
    assert (after["displayNameSnapshot"], after["optOutSnapshot"]) == ("Renamed", True)
    assert after["lastUpdated"] == before["lastUpdated"]
    assert after["updatedAt"] > before["updatedAt"]


def test_entries_hold_exactly_what_the_ledger_says(app):
    app.backfill()
    scores, weeks = {}, {}
    for number in range(90):
        owner, at = oid(1 + number * number % 30), NEW_YEAR + dt.timedelta(hours=number * 9)
        year, week, _ = at.isocalendar()
        scores[owner] = scores.get(owner, 0) + 10
        weeks[f"{year}-W{week:02}:{owner}"] = weeks.get(f"{year}-W{week:02}:{owner}", 0) + 10
    found = {key: entry["score"] for key, entry in app.entries().items()}
    assert found == {**weeks, **{f"global:{owner}": score for owner, score in scores.items()}}


@pytest.mark.parametrize(
    "owner",
    [str, lambda n: n, lambda n: Int64(2**40 + n), lambda n: uuid.UUID(int=n), lambda n: f"é-{n}"],
    ids=["string", "int", "long", "uuid", "text beyond ASCII"],
)
def test_users_may_be_named_by_ids_of_any_one_type(database, owner):
    database["users"].insert_many([{"_id": owner(number), "name": f"User {number}"} for number in range(1, 4)])
    database["tasks"].insert_many([task(number, userId=owner(1 + number % 3)) for number in range(12)])
    app = App(database, config())
    app.apply(STEPS[:5])
    overall = [entry for entry in app.entries().values() if entry["period"] == "global"]
    assert {entry["userId"]: entry["score"] for entry in overall} == {owner(number): 40 for number in (1, 2, 3)}
    assert {entry["displayNameSnapshot"] for entry in overall} == {"User 1", "User 2", "User 3"}


# --- users whose documents are gone -------------------------------------------------------------------------------


@pytest.fixture
def purged(app):
    """The app keeps only the tasks of one user, so that the ledger knows many whom no document names."""
    app.backfill()
    right = shown(app)
    app.database["tasks"].delete_many({"userId": {"$ne": oid(2)}})
    assert GLOBAL in right
    return app, right


def test_a_full_backfill_makes_their_entries_again_too(purged):
    app, right = purged
    app.database["leaderboard_entries"].delete_one({"_id": GLOBAL})
    app.backfill(scope=Scope(full=True))
    assert shown(app) == right


def test_a_run_after_a_rollback_that_was_stopped_makes_their_entries_too(purged):
    app, right = purged
    for piece in s4_backfill.revert(app.context()):
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)
        if not app.entries():
            break
    assert app.events()
    app.apply(STEPS[:5], verify=VerifyOptions(full=True))
    assert shown(app) == right


# --- the walk over everyone ---------------------------------------------------------------------------------------


@pytest.fixture
def walking(monkeypatch):
    """The roll-up walks the ledger a few events at a time instead of listing users."""
    monkeypatch.setattr(touched, "USERS_IN_MEMORY", 3)
    monkeypatch.setattr(walk, "everyone", partial(walk.everyone, size=4))


def test_walking_the_whole_ledger_gives_the_same_entries_as_listing_users(app, request):
    app.backfill()
    listed = shown(app)
    app.revert(STEPS[3:])
    assert app.entries() == {}
    request.getfixturevalue("walking")
    app.backfill()
    assert shown(app) == listed
    assert len(listed) > 30


@pytest.mark.usefixtures("walking")
@pytest.mark.parametrize("saved", [True, False])
def test_a_walk_that_was_stopped_goes_on_where_it_was(app, saved):
    app.backfill()
    wanted, frontiers = shown(app), []
    for stop in range(20, 30, 3):
        app.revert(STEPS[3:])
        stopped_after(STEPS[3], app.context(), stop, saved)
        kept = app.state.step(4).get("rolling") or {}
        done = {"userId": {"$lte": kept["after"]}} if kept.get("until") == app.state.last_closed() else {"_id": None}
        frontiers.append(app.database["leaderboard_entries"].count_documents(done))
        app.database["leaderboard_entries"].delete_many(done)
        app.backfill()
        assert app.database["leaderboard_entries"].count_documents(done) == 0, "what is done is not done again"
        rollup.roll_up(app.context(), done.get("userId", {"$in": []}))
        assert shown(app) == wanted
    assert len(set(frontiers)) > 2


@pytest.mark.usefixtures("walking")
def test_a_walk_never_passes_over_users_who_are_not_done_yet(app, monkeypatch):
    app.config = config(backfill={"workers": 2})
    original, second_done = rollup.roll_up, threading.Event()

    def slow_at_first(context, users, **more):
        if "$gte" in users:
            assert second_done.wait(20)
        return original(context, users, **more)

    monkeypatch.setattr(rollup, "roll_up", slow_at_first)
    for piece in STEPS[3].apply(app.context()):
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)
        if piece.subject == "entries":  # the second stretch, for the first one waits
            assert app.state.step(4)["rolling"]["after"] is None
            second_done.set()
            break
    app.backfill()
    owners = {event["userId"] for event in app.events()}
    assert {entry["userId"] for entry in app.entries().values()} == owners


# --- several writers ----------------------------------------------------------------------------------------------


def test_inserting_events_twice_changes_nothing_the_second_time(app):
    app.backfill()
    before = picture(app.database)
    assert events.insert(app.database["score_events"], app.events()) == 0
    assert picture(app.database) == before


def test_two_runners_at_once_without_the_lock_between_them_end_in_the_exact_result(app, monkeypatch):
    app.database["sessions"].insert_many([session(number, owner=1 + number % 7) for number in range(40)])
    both = config(TASKS, SESSIONS, backfill={"workers": 2})
    app.config = both
    app.backfill()
    wanted = picture(app.database, times=False)
    app.revert(STEPS[3:])

    # The bookkeeping apart, so that neither knows of the other's chunks.
    homes = [app.database.client[f"{app.database.name}_{name}"] for name in "ab"]
    runners = [App(app.database, both, home) for home in homes]
    barrier, apart = threading.Barrier(2), binding.apart

    def looked(context):
        """Each finds a ledger of nobody: who looks when the other has begun is refused."""
        found = apart(context)
        barrier.wait(PATIENCE)
        return found

    monkeypatch.setattr(binding, "apart", looked)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(App.backfill, runners)
    assert picture(app.database, times=False) == wanted
    assert first.read == second.read == 130
    assert first.emitted + second.emitted == 130


def test_a_write_that_lost_a_race_is_made_again_from_what_is_there_now(app, monkeypatch):
    app.backfill()
    right = shown(app)
    app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$set": {"score": Int64(1)}})
    original, races = rollup.differences, []

    def raced(*given):
        if not races:
            races.append(True)  # somebody else writes between reading and writing
            app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$inc": {"rev": 1}})
        return original(*given)

    monkeypatch.setattr(rollup, "differences", raced)
    rollup.roll_up(app.context(), {"$in": [oid(1)]})
    assert shown(app) == right
    assert app.entries()[GLOBAL]["rev"] == 3


def test_an_entry_that_never_holds_still_is_given_up_with_a_message(app, monkeypatch):
    app.backfill()
    app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$set": {"score": Int64(1)}})
    original = rollup.differences

    def raced(*given):
        app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$inc": {"rev": 1}})
        return original(*given)

    monkeypatch.setattr(rollup, "differences", raced)
    monkeypatch.setattr(rollup, "BACKOFF", 0.0)
    with pytest.raises(LbmigrateError, match="entries of 1 user change faster"):
        rollup.roll_up(app.context(), {"$in": [oid(1)]})


# --- strangers in the ledger --------------------------------------------------------------------------------------


def test_documents_of_another_program_in_the_ledger_are_neither_counted_nor_in_the_way(database):
    strangers = [
        {"_id": "note", "text": "not an event"},
        {"_id": "float", "userId": oid(1), "points": 5.0, "createdAt": NEW_YEAR},
        {"_id": "undated", "userId": oid(1), "points": Int64(5), "createdAt": "2025"},
    ]
    database["score_events"].insert_many(strangers)
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(6)])
    app = App(database, config())
    app.apply()
    assert app.entries()[GLOBAL]["score"] == 30
    assert database["score_events"].count_documents(COUNTED) == 6
    assert database["score_events"].count_documents({}) == 9
