"""What is in the ledger past its validator counts for nobody, is named, and keeps nobody else from the board."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import DatetimeMS, Int64, json_util
from pymongo.errors import ExecutionTimeout

from lbmigrate.backfill import recheck
from lbmigrate.checks import strangers
from lbmigrate.checks.data import check_data
from lbmigrate.errors import Mismatch, Refused
from lbmigrate.ledger import rollup
from lbmigrate.ledger.odd import odd_events
from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.migration.steps import STEPS, s4_backfill, s5_verify
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.context import Scope
from lbmigrate.schema import EVENTS
from lbmigrate.verify.result import KEPT
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, config, oid, pieces, session, task, user

pytestmark = pytest.mark.sampled

FULL = {"scope": Scope(full=True)}
ODD = {
    "points that are no whole number": {"points": 1.5},
    "points in a list": {"points": [Int64(5)]},
    "more points than there can be": {"points": Int64(2**60)},
    "the year 3000": {"createdAt": dt.datetime(3000, 1, 1)},
    "no time": {"createdAt": None},
    "times in a list": {"createdAt": [NEW_YEAR]},
    "no user": {"userId": None},
    "a list of users": {"userId": [oid(1)]},
    "a user who is a fraction": {"userId": 1.5},
}


@pytest.fixture
def app(database):
    """Two users with six tasks each; the ledger is made, and empty."""
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
    app = App(database, config())
    app.apply(STEPS[:3])
    return app


def insert_past_the_validator(app, number, **fields):
    """An event of a task as live code would have written it, but for some fields."""
    event = {
        "_id": f"task_complete:{oid(1000 + number)}",
        "userId": oid(1 + number % 2),
        "sourceId": oid(1000 + number),
    }
    event |= {"actionType": "task_complete", "points": Int64(10), "meta": {"origin": "live"}, "createdAt": NEW_YEAR}
    app.database[EVENTS].insert_one({**event, **fields}, bypass_document_validation=True)
    return event["_id"]


def score(app, number):
    return next(entry["score"] for entry in app.entries().values() if is_of(entry, oid(number), "global"))


def is_of(entry, user, period):
    return (entry["userId"], entry["period"]) == (user, period)


@pytest.mark.parametrize("fields", ODD.values(), ids=ODD)
def test_an_event_that_is_none_counts_for_nobody_and_reconcile_adds_what_its_source_is_worth(app, fields):
    name = insert_past_the_validator(app, 0, **fields)
    app.backfill()
    assert (score(app, 1), score(app, 2)) == (50, 60), "the odd event holds the place of its task"
    found = odd_events(app.database, kind_of_users(app.context()))
    assert (found.count, found.first) == (1, (name,))
    assert any(name in piece.warning for piece in pieces(s5_verify, app.context()))
    app.reconcile()
    assert (score(app, 1), score(app, 2)) == (60, 60)
    before = app.events()
    app.reconcile()
    app.backfill(**FULL)
    assert app.events() == before
    assert not any(name in piece.warning for piece in pieces(s5_verify, app.context()))


def test_an_event_of_a_user_of_another_type_is_moved_to_the_user_whom_its_source_names(app):
    name = insert_past_the_validator(app, 0, userId=str(oid(1)))
    app.database["tasks"].update_one({"_id": oid(1000)}, {"$set": {"completedAt": NEW_YEAR}})
    app.backfill()
    assert odd_events(app.database, kind_of_users(app.context())).first == (name,)
    app.reconcile()
    assert score(app, 1) == 60
    list(pieces(s5_verify, app.context()))  # raises where an entry differs


@pytest.mark.parametrize("stranger", ["somebody", -5], ids=["text", "number"])
def test_a_walk_over_everyone_passes_no_user_over_because_another_has_an_id_of_another_type(app, stranger, monkeypatch):
    monkeypatch.setattr("lbmigrate.backfill.touched.USERS_IN_MEMORY", 1)
    for number in range(50, 52):
        insert_past_the_validator(app, number, userId=stranger)
    app.backfill()
    assert (score(app, 1), score(app, 2)) == (60, 60)


def test_a_source_document_of_a_user_of_another_type_is_a_reject_and_the_others_arrive(app):
    app.database["tasks"].insert_one(task(500, userId="somebody"))
    counts = app.backfill()
    assert (counts.emitted, counts.rejected) == (12, 1)
    (row,) = app.database["lbmigrate_rejects"].find()
    assert (row["sourceId"], row["reason"]) == (
        task(500)["_id"],
        "user in userId is string 'somebody', and the others are objectId",
    )


def test_sources_whose_users_are_of_different_types_are_refused(app):
    app.database["sessions"].insert_many([session(number, userId=str(oid(1))) for number in range(3)])
    app.config = config(TASKS, SESSIONS)
    with pytest.raises(Refused, match="user ids are of 2 types"):
        list(s4_backfill.apply(app.context()))


def test_a_time_that_no_datetime_holds_counts_for_nobody(app):
    if is_fake(app.database):
        pytest.skip("the fake keeps no such time")
    insert_past_the_validator(app, 0, createdAt=DatetimeMS(8_640_000_000_000_000))
    app.backfill()
    app.reconcile()
    assert score(app, 1) == 60


@pytest.mark.parametrize("name", [5, {"a": 1}, oid(1), NEW_YEAR], ids=lambda name: type(name).__name__)
def test_an_event_whose_id_is_no_text_counts_for_nobody_and_is_named(app, name):
    insert_past_the_validator(app, 50, _id=name)
    app.backfill()
    assert (score(app, 1), score(app, 2)) == (60, 60)
    assert odd_events(app.database, kind_of_users(app.context())).count == 1
    assert any("not as an event must be" in piece.warning for piece in pieces(s5_verify, app.context()))
    app.reconcile()
    assert not any(piece.warning for piece in pieces(s5_verify, app.context()))


def test_doctor_names_an_event_that_counts_for_no_source_until_a_reconciliation_has_taken_it_back(app):
    def told():
        return [f.fix for f in check_data(app.context()) if f.level == "warning" and "weird" in f.fact]

    app.backfill()
    insert_past_the_validator(app, 50, _id="weird", sourceId="weird")
    assert told() == ["lbmigrate reconcile takes back what no source is behind"]
    app.reconcile()
    assert told() == []
    list(pieces(s5_verify, app.context()))  # raises where something is wrong


def test_all_that_a_verification_finds_is_counted_and_only_the_first_is_kept(app):
    app.backfill()
    for number in range(KEPT + 5):
        insert_past_the_validator(app, number, _id=f"weird:{number}", sourceId=number)
    rollup.roll_up(app.context(), {"$in": [oid(1), oid(2)]})
    with pytest.raises(Mismatch, match=f"{KEPT + 5} mismatches") as caught:
        app.apply([s5_verify])
    assert caught.value.hint == "lbmigrate reconcile, then: lbmigrate verify"
    row = app.state.get("verdict")
    assert (row["mismatches"], len(row["first"])) == (KEPT + 5, KEPT)


# --- doctor, and the few among many --------------------------------------------------------------------------------

FEW_AT = [3_001 + 2_500 * number for number in range(5)]  # places that no sample of either end meets


@pytest.fixture
def crowd(database):
    """16,752 tasks, of which five name their user by a text."""
    database["users"].insert_many([user(1), user(2)])
    usual = task(0)
    database["tasks"].insert_many(
        [
            {**usual, "_id": oid(1000 + number), "userId": str(oid(1)) if number in FEW_AT else oid(1)}
            for number in range(16_752)
        ]
    )
    return App(database, config(backfill={"chunk_size": 10_000}))


def about_ids(app):
    return [finding for finding in check_data(app.context()) if finding.subject == "user ids"]


def test_doctor_finds_five_among_many_and_gives_the_query_and_the_way_on(crowd):
    fine, few = about_ids(crowd)
    assert (fine.level, few.level) == ("ok", "warning")
    assert few.fact.startswith("5 documents of tasks in scope have users of another type than objectId")
    query = json_util.loads(few.fact.rpartition("db.tasks.find(")[2].removesuffix(")"))
    found = [row["_id"] for row in crowd.database["tasks"].find(query).sort("_id", 1)]
    assert found == [oid(1000 + number) for number in FEW_AT]
    assert all(str(each) in few.fact for each in found)
    assert "lbmigrate rejects retry" in few.fix


def test_doctor_says_what_it_has_not_looked_at_where_a_moment_does_not_suffice(app, monkeypatch):
    def late(*_):
        raise ExecutionTimeout("operation exceeded time limit", 50)

    monkeypatch.setattr(strangers, "_ids", late)
    told = about_ids(app)[-1]
    assert told.level == "ok"
    assert "too large to look at every user here" in told.fact
    assert "db.tasks.find(" in told.fact


def test_what_the_query_finds_is_rejected_and_arrives_when_it_was_corrected_and_tried_again(app):
    app.database["tasks"].insert_one(task(500, userId="somebody"))
    app.backfill()
    assert about_ids(app)[-1].level == "warning"
    app.database["tasks"].update_one({"_id": task(500)["_id"]}, {"$set": {"userId": oid(1)}})
    list(pieces_of(recheck.retry(app.context(run="later"), lambda reason: True), app))
    assert score(app, 1) == 70
    assert [finding.level for finding in about_ids(app)] == ["ok"]


def pieces_of(walk, app):
    for piece in walk:
        yield piece
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)
