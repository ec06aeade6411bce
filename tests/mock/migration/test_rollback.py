"""What a rollback shows before it does anything, against what it then does."""

from __future__ import annotations

import datetime as dt

import pytest
from bson import Int64

from lbmigrate.errors import LeaseLost
from lbmigrate.migration import rollback
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.records import Checkpoint
from lbmigrate.state import State
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, config, oid, picture, session, task, user

pytestmark = pytest.mark.sampled

THEIRS = {"_id": "theirs", "userId": "9", "what": "a document of another program"}


@pytest.fixture
def app():
    with fake.client() as client:
        app = App(client["app"], config(TASKS, SESSIONS))
        app.database["users"].insert_many([user(1), user(2)])
        app.database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
        app.database["tasks"].insert_one(task(90, userId=None))
        app.database["sessions"].insert_many([session(number) for number in range(6)])
        yield app


def shown(app, steps=STEPS, **chosen):
    """The lines of each step by its number."""
    return {undoing.number: list(undoing.lines) for undoing in rollback.preview(app.context(**chosen), steps)}


def done(app, **chosen):
    """What the rollback says that it did."""
    reports = []
    Driver(app.context(**chosen), listen=reports.append).revert(STEPS)
    return [report.piece.note or report.piece.warning for report in reports if report.piece]


def live(number):
    moment = {"createdAt": NEW_YEAR + dt.timedelta(days=number)}
    what = {"userId": oid(1), "actionType": "task_complete", "points": Int64(10), "sourceId": oid(number)}
    return {"_id": f"task_complete:{number}", **what, "meta": {"origin": "live"}, **moment}


def test_where_nothing_was_migrated_nothing_would_go(app):
    assert shown(app) == {number: [] for number in (6, 5, 4, 3, 2, 1)}


def test_the_steps_are_shown_from_the_last_to_the_first(app):
    app.apply()
    assert list(shown(app)) == [6, 5, 4, 3, 2, 1]
    assert list(shown(app, STEPS[4:])) == [6, 5]


def test_each_step_says_what_would_go(app):
    app.apply()
    lines = shown(app)
    entries = len(app.entries())
    assert lines[6] == ["turn read off: the app stops showing the board", "turn write off: the app stops recording"]
    assert lines[5] == ["forget the verdict"]
    assert lines[4][:2] == [
        f"remove {entries} documents from leaderboard_entries", "remove 18 documents from score_events",
    ]  # fmt: skip
    assert lines[3] == ["remove feature_flags/leaderboard, which was not there before"]
    assert lines[2] == [
        "drop score_events.userId_1_createdAt_1", "drop leaderboard_entries.period_1_score_-1_userId_-1",
        "drop leaderboard_entries.userId_1", "drop leaderboard_entries.moved.period_1",
        "drop lbmigrate_rejects.createdAt_1",
    ]  # fmt: skip
    assert lines[1] == ["drop lbmigrate_rejects", "drop leaderboard_entries", "drop score_events"]


def test_showing_changes_nothing(app):
    app.apply()
    before, rows = picture(app.database), list(app.state.rows.find())
    shown(app)
    assert picture(app.database) == before
    assert list(app.state.rows.find()) == rows


def test_what_is_shown_is_what_is_then_removed(app):
    app.apply()
    lines = [line for some in shown(app).values() for line in some]
    before = {name: app.database[name].count_documents({}) for name in ("leaderboard_entries", "score_events")}
    said = done(app)
    for name, count in before.items():
        assert f"remove {count} documents from {name}" in lines
        assert f"removed {count} documents from {name}" in said
    dropped = [line.removeprefix("drop ") for line in lines if line.startswith("drop ")]
    assert [note.removeprefix("dropped ") for note in said if note.startswith("dropped ")] == dropped
    assert shown(app) == {number: [] for number in (6, 5, 4, 3, 2, 1)}


def test_events_are_counted_by_the_run_that_made_them_and_those_recorded_live(app):
    app.database["tasks"].create_index("updatedAt")
    app.apply(run="first")
    app.state.put(Checkpoint("run:first", {"startedAt": dt.datetime(2025, 6, 1, 12, 30)}))
    app.database["tasks"].insert_many([task(200 + number) for number in range(3)])
    app.backfill(run="second")
    app.database["score_events"].insert_many([live(700), live(701)])
    lines = shown(app)[4]
    assert "remove 23 documents from score_events" in lines
    assert "of these events 18 are from run first of 2025-06-01 12:30Z" in lines
    assert "of these events 3 are from run second" in lines
    assert "of these events 2 were recorded live" in lines


def test_documents_of_other_programs_are_named_as_staying_and_do(app):
    app.database["score_events"].insert_one(THEIRS)
    app.database["leaderboard_entries"].insert_one(THEIRS)
    app.apply()
    lines = shown(app)[4]
    assert "leave 1 document in score_events that this migration did not make" in lines
    assert "leave 1 document in leaderboard_entries that this migration did not make" in lines
    assert shown(app)[1] == ["drop lbmigrate_rejects"]
    app.revert()
    for name in ("score_events", "leaderboard_entries"):
        assert list(app.database[name].find()) == [THEIRS]


def test_a_collection_of_ours_that_others_write_to_is_named_as_staying_and_does(app):
    app.apply()
    app.database["score_events"].insert_one(THEIRS)
    assert "leave score_events, which holds documents of others" in shown(app)[1]
    assert "score_events holds documents that this migration did not make; it stays" in done(app)
    assert list(app.database["score_events"].find()) == [THEIRS]


def test_a_flag_that_was_there_would_be_put_back(app):
    app.database["feature_flags"].insert_one({"_id": "leaderboard", "write": False, "read": False, "owner": "web"})
    app.apply()
    assert "put feature_flags/leaderboard back as it was" in shown(app)[3]


def test_kept_data_is_named_as_kept(app):
    app.apply()
    lines = shown(app, keep_data=True)
    assert lines[4] == ["keep score_events and leaderboard_entries; the next run takes up from there"]
    assert all(line.startswith("keep ") for line in lines[1] + lines[2])
    before = picture(app.database)
    said = done(app, keep_data=True)
    assert not [note for note in said if note.startswith(("removed", "dropped"))]
    after = picture(app.database)
    for name in ("score_events", "leaderboard_entries", "lbmigrate_rejects"):
        assert after[name] == before[name]


def test_a_rollback_half_done_shows_only_the_rest(app):
    app.apply()
    app.revert(STEPS[3:])
    lines = shown(app)
    assert lines[6] == ["turn write off: the app stops recording"]
    assert lines[5] == lines[4] == []
    assert lines[3]
    assert lines[1]


# --- overtaken ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.NAME)
@pytest.mark.parametrize("event", ["begin", "piece"])
def test_a_rollback_that_was_overtaken_writes_nothing_more(app, step, event):
    """Another run takes the lock when the step has begun, or after its first piece."""
    app.apply()
    context = app.context()
    app.state.rows.insert_one({"_id": "lock", "kind": "lock", "fence": 1, "holder": None, "expiresAt": NEW_YEAR})
    context.state.raise_fence(1)
    left = []

    def listen(report):
        if report.event == event and not left:
            app.state.rows.update_one({"_id": "lock"}, {"$set": {"fence": 2}})
            State(app.database).raise_fence(2)
            left.append((picture(app.database), rows(app)))

    driver = Driver(context, listen=listen)
    with pytest.raises(LeaseLost):
        driver.revert([step])
    assert left == [(picture(app.database), rows(app))]


def rows(app):
    return list(app.state.rows.find())
