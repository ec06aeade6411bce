"""Why a score is what it is: the entry, the ledger and the sources side by side, and what ends a difference."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Int64, ObjectId

from lbmigrate.errors import UsageError
from lbmigrate.explain import documents, ledger
from lbmigrate.explain.explain import explain
from lbmigrate.explain.explanation import Standing
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, VerifyOptions
from tests.apps import SESSIONS, TASKS, App, config, oid, picture, session, task, user

pytestmark = pytest.mark.sampled

ADA = str(oid(1))


@pytest.fixture
def app(database):
    """Three users on the board: ten points for a task, 25 for a session."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(6)])
    app = App(database, config(TASKS, SESSIONS))
    app.apply(STEPS[:5])
    return app


def told(app, who=ADA, period="global", **more):
    return explain(app.context(), who, period, **more)


def follow(app, command):
    """Do what an explanation says, as the command line does it."""
    first, _, then = command.partition(", then: ")
    if then:
        follow(app, first)
        follow(app, then)
    elif command == f"lbmigrate backfill --user {ADA}":
        app.backfill(scope=Scope(user=ADA))
    elif command in ("lbmigrate backfill --full", "lbmigrate run"):  # which reads all again where events were lost
        app.backfill(scope=Scope(full=True))
    elif command == "lbmigrate backfill":
        app.backfill()
    elif command == "lbmigrate verify":
        app.apply(STEPS[4:5], verify=VerifyOptions())
    else:
        assert command == "lbmigrate reconcile"
        app.reconcile()


def settle(app, who=ADA):
    """Type every command that is named, in order, once; what differs then."""
    for command in told(app, who).next:
        follow(app, command)
    return told(app, who).differences


def test_an_explanation_adds_up_to_the_score(app):
    found = told(app)
    assert (found.standing, found.entry.rank, found.entry.name) == (Standing.SHOWN, 1, "User 1")
    assert found.entry.score == found.points == sum(each.points for each in found.actions) == 4 * 10 + 3 * 25
    assert found.events == found.entry.events == len(found.last) == 7
    assert {each.name: (each.events, each.points) for each in found.actions} == {
        "task_complete": (4, 40),
        "focus_session": (3, 75),
    }
    assert sum(each.points for each in found.days) == found.points
    assert [(each.source, each.documents, each.actions, each.points) for each in found.sources] == [
        ("tasks", 4, 4, 40),
        ("sessions", 3, 3, 75),
    ]
    assert found.differences == found.next == ()


def test_the_last_events_are_the_newest_and_lead_to_their_documents(app):
    first, second = told(app, most=2).last
    assert first.at > second.at
    assert {first.collection, second.collection} <= {"tasks", "sessions"}
    assert app.database[first.collection].find_one({"_id": ObjectId(first.document)}) is not None


def test_a_period_holds_what_happened_in_it(app):
    assert told(app, period="2025-W02").standing is Standing.ABSENT
    app.database["tasks"].insert_one(task(30))
    app.backfill()
    found = told(app, period="2025-W02")
    assert found.entry.score == found.points == sum(each.points for each in found.sources) == 10
    assert told(app, period="2025-W01").points == 115
    assert not found.differences


@pytest.mark.parametrize("period", ["2025-01", "2025-01-04", "week", "2025-W1", ""])
def test_what_names_no_period_of_the_board_is_refused_with_those_that_do(app, period):
    with pytest.raises(UsageError, match="names no period") as refused:
        told(app, period=period)
    assert "global, 2025-W45" in refused.value.hint


@pytest.mark.parametrize("text", [ADA, ADA.upper()])
def test_a_user_is_found_whichever_form_the_id_has(app, text):
    assert told(app, text).points == 115


def test_ids_that_the_app_mixes_are_one_user(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(1), {**task(2), "userId": ADA}, {**task(3), "userId": "0" * 23 + "1"}])
    app = App(database, config({**TASKS, "user": {"path": "userId", "as": "objectId"}}))
    app.apply(STEPS[:5])
    found = told(app)
    assert found.sources[0].actions == found.events == 3
    assert not found.differences


def test_looking_writes_nothing(app):
    before = picture(app.database)
    told(app)
    assert picture(app.database) == before


def test_nobody_is_told_apart_from_somebody_without_an_entry(app):
    with pytest.raises(UsageError, match="nobody has the id 'abc'") as refused:
        told(app, "abc")
    assert refused.value.hint == "lbmigrate top --json shows ids"
    app.database["users"].insert_one(user(9))
    found = told(app, str(oid(9)))
    assert (found.standing, found.entry, found.known, found.points) == (Standing.ABSENT, None, True, 0)


def test_somebody_whom_only_a_source_knows_is_somebody(app):
    app.database["tasks"].insert_one(task(50, owner=8, status="open"))
    found = told(app, str(oid(8)))
    assert (found.known, found.sources[0].documents, found.sources[0].out_of_scope) == (False, 1, 1)
    assert "no document of users has this id" in found.notes


def test_of_somebody_who_left_no_more_is_told_than_that(app):
    app.forget(ADA)
    found = told(app)
    assert found.standing is Standing.LEFT
    assert isinstance(found.left_at, dt.datetime)
    assert (found.entry, found.events, found.last, found.differences) == (None, 0, (), ())
    assert [(each.source, each.documents) for each in found.sources] == [("tasks", 4), ("sessions", 3)]


def test_somebody_who_opted_out_has_a_score_and_no_rank(app):
    app.database["users"].update_one({"_id": oid(1)}, {"$set": {"hidden": True}})
    found = told(app)
    assert (found.standing, found.entry.rank, found.entry.score) == (Standing.HIDDEN, None, 115)
    assert [each.subject for each in found.differences] == ["opt-out of the entry"]
    assert settle(app) == ()
    assert told(app).standing is Standing.HIDDEN


# --- what differs, and what ends it --------------------------------------------------------------------------------


def deleted(app):
    app.database["tasks"].delete_one({"_id": oid(1003)})


def opened_again(app):
    app.database["tasks"].update_one({"_id": oid(1003)}, {"$set": {"status": "open"}})


def worth_more(app):
    app.database["sessions"].update_one({"_id": oid(5002)}, {"$set": {"durationSec": 3600}})


def at_another_time(app):
    app.database["tasks"].update_one({"_id": oid(1003)}, {"$set": {"completedAt": dt.datetime(2025, 3, 1)}})


def given_to_another(app):
    app.database["tasks"].update_one({"_id": oid(1003)}, {"$set": {"userId": oid(2)}})


def taken_from_another(app):
    app.database["tasks"].update_one({"_id": oid(1001)}, {"$set": {"userId": oid(1)}})


def new_task(app):
    app.database["tasks"].insert_one(task(60))


def lost_event(app):
    app.database["score_events"].delete_one({"_id": f"task_complete:{oid(1003)}"})


def points_in_the_ledger(app):
    app.database["score_events"].update_one({"_id": f"task_complete:{oid(1003)}"}, {"$set": {"points": Int64(11)}})


def score_off_by_one(app):
    app.database["leaderboard_entries"].update_one({"_id": f"global:{ADA}"}, {"$inc": {"score": Int64(1)}})


def entry_gone(app):
    app.database["leaderboard_entries"].delete_one({"_id": f"global:{ADA}"})


def renamed(app):
    app.database["users"].update_one({"_id": oid(1)}, {"$set": {"name": "Grace"}})


EVERY = [
    deleted,
    opened_again,
    worth_more,
    at_another_time,
    given_to_another,
    taken_from_another,
    new_task,
    lost_event,
    points_in_the_ledger,
    score_off_by_one,
    entry_gone,
    renamed,
]


@pytest.mark.parametrize("change", EVERY, ids=lambda change: change.__name__)
def test_a_difference_is_told_and_the_commands_that_it_names_end_it(app, change):
    change(app)
    found = told(app)
    assert found.differences_total == len(found.differences) > 0
    assert found.next
    assert settle(app) == ()


def test_an_entry_that_the_ledger_knows_nothing_of_is_told(app):
    entry = app.database["leaderboard_entries"].find_one({"_id": f"global:{ADA}"})
    app.database["leaderboard_entries"].insert_one({**entry, "_id": f"global:{oid(7)}", "userId": oid(7)})
    found = told(app, str(oid(7)))
    assert found.differences[0].instead == "the ledger: no event of this period"
    assert found.next == ("lbmigrate backfill --full",)
    assert settle(app, str(oid(2))) == ()
    follow(app, found.next[0])
    with pytest.raises(UsageError, match="nobody has the id"):
        told(app, str(oid(7)))


def test_adjustments_are_told_with_their_reasons(app):
    deleted(app)
    worth_more(app)
    app.reconcile()
    found = told(app)
    assert {each.name: (each.events, each.points) for each in found.reasons} == {
        "voided": (1, -10),
        "rescored": (1, 35),
    }
    assert {each.reason for each in found.adjustments} == {"voided", "rescored"}
    assert found.points == 115 - 10 + 35 == found.entry.score
    assert not found.differences


def test_what_could_not_be_scored_is_told_with_the_reason_that_was_kept(app):
    app.database["sessions"].insert_one({**session(20, owner=1), "durationSec": "long"})
    app.backfill()
    found = told(app)
    assert [(each.source, each.document) for each in found.rejects] == [("sessions", str(oid(5020)))]
    assert "durationSec is not a finite number" in found.rejects[0].reason
    assert (found.rejects_total, found.differences) == (1, ())


def test_a_document_that_two_sources_tell_of_counts_once_and_is_told(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(1), task(2, priority="high")])
    high = {**TASKS, "name": "urgent", "where": {"priority": "high"}, "points": 50}
    app = App(database, config(TASKS, high))
    app.apply(STEPS[:5])
    found = told(app)
    assert [(each.source, each.document) for each in found.duplicates] == [("urgent", str(oid(1002)))]
    assert (found.duplicates_total, found.differences) == (1, ())


def test_elements_of_arrays_are_the_actions(database):
    habits = {
        "name": "habits",
        "collection": "habits",
        "action": "habit",
        "user": "days.who",
        "at": ["days.at"],
        "unwind": "days",
        "where": {"days.done": True},
        "points": 5,
    }
    days = [{"id": n, "who": oid(1 + n % 2), "at": dt.datetime(2025, 1, 1 + n), "done": n != 4} for n in range(6)]
    database["users"].insert_many([user(1), user(2)])
    database["habits"].insert_one({"_id": oid(70), "days": days})
    app = App(database, config(habits))
    app.apply(STEPS[:5])
    found = told(app)
    assert [(each.documents, each.actions, each.points) for each in found.sources] == [(1, 2, 10)]
    assert (found.entry.score, found.differences) == (10, ())


def test_what_is_from_before_the_board_begins_is_no_difference(database):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(6)])
    app = App(database, config(backfill={"since": "2025-01-02"}))
    app.apply(STEPS[:5])
    found = told(app)
    assert (found.sources[0].too_early, found.sources[0].actions, found.entry.score) == (3, 3, 30)
    assert any("actions before 2025-01-02" in note for note in found.notes)
    assert not found.differences


def test_lists_are_bounded_and_say_how_much_there_is(app):
    app.database["tasks"].insert_many([task(number) for number in range(100, 140)])
    found = told(app, most=3)
    assert (len(found.last), len(found.days), len(found.differences)) == (3, 3, 3)
    assert (found.events, found.differences_total) == (7, 40)


def test_of_very_many_actions_the_sums_are_compared(app, monkeypatch):
    for module in (ledger, documents):
        monkeypatch.setattr(module, "MOST", 3)
    deleted(app)
    found = told(app)
    assert not found.compared
    assert [each.subject for each in found.differences] == ["task_complete"]
    app.reconcile()
    assert not told(app).differences
