"""An event and its entries with one wait for a majority: whoever is the primary in the end has both, or none."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import Barrier, Event
from unittest.mock import patch

import pymongo
import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import AutoReconnect, PyMongoError
from pymongo.monitoring import CommandListener

from lbmigrate import ScoreRecorder, commands
from lbmigrate.ledger import batches, one_wait
from lbmigrate.live import recorder as recorder_module
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.concerns import durable
from lbmigrate.mongo.process import HOST, start_mongod
from tests.apps import NEW_YEAR, TASKS, UNHURRIED, App, config, oid, task, user
from tests.runs import AT_ONCE, FAILPOINTS, replica_set, until

KNOWN = 33  # events of a user whose entries are held against the ledger now and then only
NEWEST = f"task_complete:{oid(1999)}"


@pytest.fixture
def app(database):
    database["users"].insert_many([user(1), user(2)])
    database.create_collection("tasks")
    app = App(database, config(TASKS))
    app.apply(STEPS[:3])
    return app


@pytest.fixture
def recorder(app):
    recorder = ScoreRecorder(app.database, app.config, strict=True, budget=60)
    for number in range(KNOWN):
        assert act(recorder, number)
    return recorder


def act(recorder, number, owner=1):
    """An action of a user, a minute after the one before it."""
    at = NEW_YEAR + dt.timedelta(minutes=number)
    return recorder.record("task_complete", oid(owner), oid(1000 + 10_000 * (owner - 1) + number), at=at)


class Unwaited(CommandListener):
    """Counts the inserts that ask the server not to wait for a majority."""

    count = 0

    def started(self, event):
        self.count += event.command_name == "insert" and event.command.get("writeConcern", {}).get("w") == 1

    def succeeded(self, event):
        """Nothing more is to be known."""

    failed = succeeded


@pytest.fixture
def unwaited():
    return Unwaited()


@pytest.fixture
def database(database, server_uri, unwaited):
    with MongoClient(server_uri, event_listeners=[unwaited]) as client:
        yield client[database.name]


def assert_exact(app, events):
    """So many events of ten points are in the ledger, and in the entry of all time."""
    ledger = app.database["score_events"].count_documents({"userId": oid(1)})
    entry = app.entries()[f"global:{oid(1)}"]
    assert (ledger, entry["events"], entry["score"]) == (events, events, 10 * events)


@contextmanager
def altered(how, verb="update"):
    """Within the block `how(database, send)` answers each write to entries, or those of another `verb`."""
    command = Database.command

    def answer(database, asked, **options):
        send = partial(command, database, asked, **options)
        return how(database, send) if verb in asked else send()

    with patch.object(Database, "command", answer):
        yield


@contextmanager
def lost_after_the_entries(until):
    """Within the block the event of the next write is gone when its entries count it, and then `until()` happens.

    After that everything goes on, under another election.
    """
    found = []

    def lost(database, send):
        if found:
            return send()
        found.append(database["score_events"].delete_one({"_id": NEWEST}))
        reply = send()
        until()
        return {**reply, "opTime": {**reply["opTime"], "t": reply["opTime"]["t"] + 1}}

    with altered(lost):
        yield
    assert found


def dies():
    raise KeyboardInterrupt


def test_it_leaves_what_two_waits_leave(app, recorder, unwaited):
    before = unwaited.count
    plain = ScoreRecorder(app.database, app.config, strict=True, budget=60)
    plain._one_wait._tells_terms = False
    for number in range(KNOWN):
        act(plain, number, owner=2)
    assert unwaited.count == before
    for number in range(KNOWN, KNOWN + 20):
        assert act(recorder, number)
        assert act(plain, number, owner=2)
    assert unwaited.count > before
    ours, theirs = (
        [{**row, "_id": 0, "userId": 0, "updatedAt": 0, "lastUpdated": 0, "createdAt": 0} for row in rows]
        for rows in (entries_of(app, owner) for owner in (1, 2))
    )
    assert [{**row, "displayNameSnapshot": ""} for row in ours] == [
        {**row, "displayNameSnapshot": ""} for row in theirs
    ]
    assert_exact(app, KNOWN + 20)


def entries_of(app, owner):
    return sorted(app.database["leaderboard_entries"].find({"userId": oid(owner)}), key=lambda row: row["period"])


def test_an_event_that_the_next_primary_does_not_have_is_inserted_again(app, recorder):
    def elsewhere(database, send):
        database["score_events"].delete_one({"_id": NEWEST})  # the log of the next primary does not have it
        reply = send()
        return {**reply, "opTime": {**reply["opTime"], "t": reply["opTime"]["t"] + 1}}

    with altered(elsewhere):
        assert act(recorder, 999)
    assert app.database["score_events"].find_one({"_id": NEWEST})
    assert_exact(app, KNOWN + 1)


def test_an_event_is_inserted_again_if_the_primary_is_lost_before_it_has_the_entries(app, recorder):
    def lost(database, send):
        if not told:
            told.append(database["score_events"].delete_one({"_id": NEWEST}))
            raise AutoReconnect("the primary is gone")
        return send()

    told = []
    with altered(lost):
        assert act(recorder, 999)
    assert told
    assert_exact(app, KNOWN + 1)


def cut_before(database, send):
    raise AutoReconnect("a connection that the server has closed long ago")


def once_only(how):
    """Answer the first command so, and all others as the server does."""
    begun = []

    def answer(database, send):
        if begun:
            return send()
        begun.append(True)
        return how(database, send)

    return answer


def cut_after(database, send):
    send()
    raise AutoReconnect("the answer was lost")


@pytest.mark.parametrize("cut", [cut_before, cut_after])
def test_an_action_that_is_known_is_not_new_whatever_becomes_of_the_connection(app, recorder, cut):
    for number in (KNOWN - 1, KNOWN - 1):
        with altered(cut, "insert"):
            assert not act(recorder, number)
        assert_exact(app, KNOWN)


def test_an_action_that_meets_a_closed_connection_is_new_and_counts_once(app, recorder):
    with altered(cut_before, "insert"):
        assert act(recorder, 999)
    assert_exact(app, KNOWN + 1)


def test_an_action_whose_answer_was_lost_counts_once(app, recorder):
    with altered(cut_after, "insert"):
        act(recorder, 999)
    assert_exact(app, KNOWN + 1)
    assert not act(recorder, 999)
    assert_exact(app, KNOWN + 1)


def test_an_event_that_the_primary_has_taken_while_it_steps_down_is_new(app, recorder):
    def stepping_down(_, send):
        return {**send(), "writeConcernError": {"code": 189, "errmsg": "stepped down"}}

    with altered(stepping_down, "insert"):
        assert act(recorder, 999)
        with altered(once_only(cut_before)):
            assert act(recorder, 1000)
    assert_exact(app, KNOWN + 2)


def test_an_event_that_a_primary_took_while_it_stepped_down_is_not_vouched_for_by_two_writes_of_the_next_one(
    app, recorder, monkeypatch
):
    def undone(database, send):
        reply = send()
        database["score_events"].delete_one({"_id": NEWEST})
        return {**reply, "writeConcernError": {"code": 189, "errmsg": "stepped down"}}

    monkeypatch.setattr(batches, "MOST_UPDATES", 1)  # so that each entry is a write of its own
    with altered(undone, "insert"):
        assert act(recorder, 999)
    assert_exact(app, KNOWN + 1)


@pytest.mark.parametrize("elections", [0, 1])
def test_who_leaves_in_between_does_not_come_back(app, recorder, elections):
    """The document has the id of its user, so its event gets another one by forgetting."""

    def leaves(_, send):
        if not left:
            left.append(app.forget(str(oid(1))))
        reply = send()
        return {**reply, "opTime": {**reply["opTime"], "t": reply["opTime"]["t"] + elections}}

    left = []
    with altered(leaves):
        told = recorder.record("task_complete", oid(1), oid(1), at=NEW_YEAR + dt.timedelta(minutes=KNOWN))
    assert left
    assert told is (elections == 0), "it was recorded before its user left, unless that was undone"
    assert not app.database["score_events"].count_documents({"userId": oid(1)})
    assert not entries_of(app, 1)


def test_two_actions_of_one_moment_both_count_if_one_comes_between_the_event_and_the_entries_of_the_other(
    app, recorder
):
    other = ScoreRecorder(app.database, app.config, strict=True, budget=60)
    moment, told = NEW_YEAR + dt.timedelta(minutes=KNOWN), []

    def late(_, send):
        if not told:
            told.append("begun")
            told.append(other.record("task_complete", oid(1), oid(1998), at=moment))
        return send()

    with altered(late):
        assert recorder.record("task_complete", oid(1), oid(1999), at=moment)
    assert told == ["begun", True]
    assert_exact(app, KNOWN + 2)


def test_what_an_app_leaves_that_dies_of_all_moments_then_the_next_backfill_puts_right(app, recorder):
    app.backfill()
    newest = task(999, hours=KNOWN, updatedAt=app.clock())

    with lost_after_the_entries(dies), pytest.raises(KeyboardInterrupt):
        recorder.record("task_complete", oid(1), newest["_id"], at=newest["completedAt"])
    assert app.entries()[f"global:{oid(1)}"]["events"] == KNOWN + 1, "and the event is gone"
    app.database["tasks"].insert_one(newest)
    app.backfill()
    assert_exact(app, KNOWN + 1)


def test_an_entry_that_counts_a_lost_event_is_put_right_by_whoever_records_that_again(app, recorder):
    with lost_after_the_entries(dies), pytest.raises(KeyboardInterrupt):
        act(recorder, 999)
    assert app.entries()[f"global:{oid(1)}"]["events"] == KNOWN + 1
    other = ScoreRecorder(app.database, app.config, strict=True, budget=60)
    assert act(other, 999)
    assert_exact(app, KNOWN + 1)


def test_an_entry_that_counts_a_lost_event_and_a_later_one_is_put_right_by_whoever_records_that_again(app, recorder):
    with lost_after_the_entries(dies), pytest.raises(KeyboardInterrupt):
        act(recorder, 999)
    other = ScoreRecorder(app.database, app.config, strict=True, budget=60)
    assert act(other, 1100)
    assert act(other, 999)
    assert_exact(app, KNOWN + 2)


def test_who_has_read_the_entry_that_counts_a_lost_event_does_not_count_it_twice(app, recorder, monkeypatch):
    other = ScoreRecorder(app.database, app.config, strict=True, budget=60)
    fold_newest, inserted, done = one_wait.fold_newest, Barrier(2, timeout=60), Event()

    def slowly(context, *given):
        if context is other._context:
            inserted.wait()
            assert done.wait(60)
        return fold_newest(context, *given)

    for module in (one_wait, recorder_module):
        monkeypatch.setattr(module, "fold_newest", slowly)
    with ThreadPoolExecutor(1) as pool:
        later = []

        def reads():
            later.append(pool.submit(act, other, 999))
            inserted.wait()

        with lost_after_the_entries(reads):
            assert act(recorder, 999)
        done.set()
        later[0].result()
    assert_exact(app, KNOWN + 1)


def test_a_server_that_tells_no_terms_gets_events_with_a_wait_from_then_on(app, recorder, unwaited):
    command = Database.command

    def silent(database, asked, **options):
        reply = command(database, asked, **options)
        return {name: value for name, value in reply.items() if name != "opTime"} if "insert" in asked else reply

    before = unwaited.count
    with patch.object(Database, "command", silent):
        for number in range(KNOWN, KNOWN + 9):
            assert act(recorder, number)
    assert unwaited.count == before + 1
    assert_exact(app, KNOWN + 9)


def test_an_entry_that_somebody_else_changes_in_between_counts_both_actions(app, recorder):
    other = ScoreRecorder(app.database, app.config, strict=True, budget=60)
    told = []

    def late(_, send):
        if not told:
            told.append("begun")
            told.append(act(other, 998))
        return send()

    with altered(late):
        assert act(recorder, 999)
    assert told == ["begun", True]
    assert_exact(app, KNOWN + 2)


def test_an_action_of_an_earlier_day_is_written_as_usual(app, recorder, unwaited):
    before = unwaited.count
    for number in range(-9, 0):
        assert recorder.record("task_complete", oid(1), oid(5000 + number), at=NEW_YEAR + dt.timedelta(days=number))
    assert unwaited.count == before
    assert_exact(app, KNOWN + 9)


def test_the_first_action_of_a_week_is_written_as_usual(app, recorder, unwaited):
    """Whether its user has left is asked of a majority that has the event: else a new entry could stay behind."""
    before = unwaited.count
    for week in range(1, 6):
        assert recorder.record("task_complete", oid(1), oid(5000 + week), at=NEW_YEAR + dt.timedelta(weeks=week))
    assert unwaited.count == before
    assert_exact(app, KNOWN + 5)


def test_an_action_that_is_known_is_not_new_and_changes_nothing(app, recorder):
    before = entries_of(app, 1)
    assert not act(recorder, KNOWN - 1)
    assert entries_of(app, 1) == before


def reaches_others(client):
    """Whether what is written now comes to a majority soon."""
    with suppress(PyMongoError), pymongo.timeout(0.5):
        durable(client["other"])["writes"].insert_one({})
        return True
    return False


@pytest.mark.slow
def test_what_a_primary_acknowledged_alone_before_it_was_lost_is_recorded_by_the_next_one(
    tmp_path, mongod, monkeypatch
):
    """No other member has the event when it is killed, so it undoes that when it comes back."""
    with replica_set(tmp_path, 3, FAILPOINTS) as nodes, ExitStack() as later:
        uri = f"mongodb://{','.join(node.address for node in nodes)}/?replicaSet=tests"
        client = later.enter_context(open_client(uri))
        app = App(durable(client["app"]), config(TASKS, database={"uri": uri, "name": "app"}, throttle=UNHURRIED))
        app.database["users"].insert_one(user(1))
        app.database.create_collection("tasks")
        commands.run(app.config, to=3, no_backup=True)
        recorder = ScoreRecorder(app.database, app.config, strict=True, budget=60)
        assert all(act(recorder, number) for number in range(KNOWN))
        first = next(each for each in nodes if (HOST, each.port) == client.primary)
        others = [later.enter_context(open_client(each.uri)) for each in nodes if each is not first]
        fold_newest = one_wait.fold_newest

        def alone(*looked):
            for each in others:
                each.admin.command({"configureFailPoint": "stopReplProducer", "mode": "alwaysOn"})
            until(lambda: not reaches_others(client), "the others to stop")
            return folds_unasked(*looked)

        def on_the_next_one(context, looked):
            first.process.kill()
            first.process.wait()
            for each in others:
                each.admin.command({"configureFailPoint": "stopReplProducer", "mode": "off"})
            until(lambda: client.primary not in (None, (HOST, first.port)), "the next primary")
            monkeypatch.undo()
            return fold_newest(context, looked)

        folds_unasked = one_wait.folds_unasked
        monkeypatch.setattr(one_wait, "folds_unasked", alone)
        monkeypatch.setattr(one_wait, "fold_newest", on_the_next_one)
        for number in range(KNOWN, KNOWN + 9):
            assert act(recorder, number)
        assert not first.process.is_running()
        nodes[nodes.index(first)] = start_mongod(
            first.directory, first.port, replica_set="tests", extra=[AT_ONCE, FAILPOINTS]
        )
        until(lambda: len(client.nodes) == 3, "all three")
        assert_exact(app, KNOWN + 9)
