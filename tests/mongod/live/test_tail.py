"""Following change streams: nothing is lost and nothing counts twice, whatever happens to the one who follows."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest
from pymongo import MongoClient

from lbmigrate.backup import record
from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.feature_flag import turn
from lbmigrate.live.flag_cache import Flag
from lbmigrate.live.gaps import ROW, Gap, gap
from lbmigrate.live.reading import WINDOW
from lbmigrate.live.tail import Tail
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import fake
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.process import free_port, start_mongod
from lbmigrate.records import Checkpoint
from lbmigrate.run.context import Scope
from lbmigrate.run.stop import Stop
from lbmigrate.state import FOLLOWING, State
from tests import oracle
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, config, named, oid, picture, session, task, user
from tests.runs import FAILPOINTS, ended, failing, replica_set, started, until, write_config

GLOBAL = f"global:{oid(1)}"
DAY = dt.timedelta(days=1)
KILLS = int(os.environ.get("LBMIGRATE_TAIL_KILLS", "6"))  # 20 by hand


def backfilled(database):
    """Three users, ten tasks and four sessions, all backfilled."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(10)])
    database["tasks"].create_index("updatedAt")
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(4)])
    app = App(database, config(TASKS, SESSIONS))
    app.apply(STEPS[:4])
    record.record(app.state, "none", "", NEW_YEAR)
    return app


@pytest.fixture
def app(database):
    return backfilled(database)


@pytest.fixture(scope="module")
def fragile(mongod, tmp_path_factory):
    """The URI of a server that fails to order."""
    with replica_set(tmp_path_factory.mktemp("fragile"), 1, FAILPOINTS) as (node,):
        yield node.uri


@pytest.fixture
def forgetful(fragile):
    """An app that was followed once, on a server that fails to order.

    A server that fails to order does not tell the driver that it is well again: the driver asks, here twice a second.
    """
    with open_client(f"{fragile}{'&' if '?' in fragile else '/?'}heartbeatFrequencyMS=500") as client:
        app = backfilled(client[f"test_{uuid.uuid4().hex[:12]}"])
        save(app, next(follower(app)))
        app.backfill()
        yield app


@pytest.fixture
def settings(app, tmp_path):
    """A configuration file for processes of their own."""
    return write_config(tmp_path, app.database.name, [TASKS, SESSIONS])


def follower(app, flag_clock=None):
    """Somebody who follows, whose every look at the clock is a second after the last, and who never sleeps."""
    clock = itertools.count().__next__
    context = app.context(live=True, stop=Stop(monotonic=clock, sleep=lambda _: None))
    return Tail(context, Flag(app.database, app.config.flag, flag_clock or clock), clock).follow()


def save(app, piece):
    if isinstance(piece.checkpoint, Checkpoint):
        app.state.note(piece.checkpoint.row, **piece.checkpoint.fields)


def walk(app, pieces, found, most=100):
    """Follow until `found` says so; the pieces."""
    seen = []
    for piece in itertools.islice(pieces, most):
        save(app, piece)
        seen.append(piece)
        if found():
            return seen
    raise AssertionError(f"{most} pieces and it has not happened: {app.state.get('tail')}")


def row(app):
    return app.state.get(ROW)


def is_right(app):
    return oracle.recorded(app.database) == oracle.actions(app.database)


# --- what is followed --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_inserted_finished_and_replaced_is_recorded(app):
    pieces = follower(app)
    save(app, next(pieces))
    tasks = app.database["tasks"]
    tasks.insert_one(task(20))
    tasks.insert_one(task(21, status="todo"))
    tasks.insert_one(task(22, status="todo"))
    tasks.update_one({"_id": oid(1021)}, {"$set": {"status": "done"}})
    tasks.replace_one({"_id": oid(1022)}, task(22, owner=2))
    app.database["sessions"].insert_one(session(9))
    walk(app, pieces, partial(is_right, app))
    oracle.check(app.database)
    new = app.database["score_events"].find({"meta.origin": "live"})
    assert sorted(event["_id"] for event in new) == [
        f"focus_session:{oid(5009)}", *(f"task_complete:{oid(1000 + number)}" for number in (20, 21, 22))
    ]  # fmt: skip
    assert row(app)["events"] == 4


@pytest.mark.slow
def test_what_does_not_score_is_followed_and_left_alone(app):
    pieces = follower(app)
    save(app, next(pieces))
    before = app.events()
    app.database["tasks"].insert_one(task(30, status="todo"))
    app.database["tasks"].update_one({"_id": oid(1001)}, {"$set": {"priority": "high"}})
    app.database["users"].insert_one(user(9))
    walk(app, pieces, lambda: row(app).get("changes") == 2)
    assert app.events() == before


@pytest.mark.slow
def test_what_happened_before_the_board_begins_is_followed_and_left_alone(app):
    app.revert([STEPS[3]])
    app.backfill(scope=Scope(since=NEW_YEAR + 2 * DAY, lasting=True))
    before = app.event_ids()
    pieces = follower(app)
    save(app, next(pieces))
    app.database["tasks"].update_one({"_id": oid(1001)}, {"$set": {"priority": "high"}})
    app.database["tasks"].insert_one(task(30))
    walk(app, pieces, lambda: row(app).get("changes") == 2)
    assert set(app.event_ids()) - set(before) == {f"task_complete:{oid(1030)}"}


def standing(app):
    """What the ledger says of tasks, by user and time, but for what was taken back."""
    sums = Counter()
    for event in app.database["score_events"].find({"actionType": "task_complete"}):
        sums[event["userId"], event["createdAt"]] += event["points"]
    return {place: points for place, points in sums.items() if points}


def tasks_as_they_are(app):
    done = app.database["tasks"].find({"status": "done"})
    return dict(Counter({(each["userId"], each["completedAt"]): 10 for each in done}))


def test_what_is_undone_moved_or_deleted_is_off_the_board_and_back_when_it_is_done_again(app):
    pieces, tasks = follower(app), app.database["tasks"]
    save(app, next(pieces))
    for number, fields in ((1, {"status": "todo"}), (2, {"userId": oid(1)}), (3, {"completedAt": NEW_YEAR - DAY})):
        tasks.update_one({"_id": oid(1000 + number)}, {"$set": fields})
    tasks.delete_many({"_id": {"$in": [oid(1004), oid(1005)]}})
    walk(app, pieces, lambda: row(app).get("deletes") == 2 and standing(app) == tasks_as_they_are(app))
    expected = sum(points for (who, _), points in standing(app).items() if who == oid(2))
    sessions = app.database["score_events"].find({"actionType": "focus_session", "userId": oid(2)})
    assert app.entries()[f"global:{oid(2)}"]["score"] == expected + sum(event["points"] for event in sessions)
    tasks.update_one({"_id": oid(1001)}, {"$set": {"status": "done"}})
    walk(app, pieces, lambda: standing(app) == tasks_as_they_are(app))
    assert app.reconcile().adjusted == 0


def test_points_of_deleted_documents_are_kept_where_the_configuration_says_so(app):
    keeping = replace(app, config=config(TASKS, SESSIONS, live={"deleted": "keep"}))
    pieces = follower(keeping)
    save(app, next(pieces))
    app.database["tasks"].delete_many({"_id": {"$in": [oid(1001), oid(1002)]}})
    walk(app, pieces, lambda: row(app).get("deletes") == 2)
    assert len(app.events()) == 14


def test_a_document_that_cannot_be_scored_holds_nobody_up(app):
    pieces = follower(app)
    save(app, next(pieces))
    app.database["tasks"].insert_many([task(20, completedAt="soon"), task(21)])
    walk(app, pieces, lambda: f"task_complete:{oid(1021)}" in app.event_ids())
    assert app.database["lbmigrate_rejects"].find_one()["sourceId"] == oid(1020)


@pytest.mark.slow
def test_nobody_is_rolled_up_twice_for_one_batch(app):
    pieces = follower(app)
    save(app, next(pieces))
    app.database["tasks"].insert_many([task(number) for number in range(20, 60)])
    walk(app, pieces, partial(is_right, app))
    assert app.entries()[GLOBAL]["score"] == oracle.board(oracle.actions(app.database))["global", oid(1)][0]
    assert app.entries()[GLOBAL]["rev"] < 45


# --- stops, crashes and holds ------------------------------------------------------------------------------------


def test_a_batch_whose_checkpoint_was_not_saved_is_done_again_and_counts_once(app):
    pieces = follower(app)
    save(app, next(pieces))
    app.database["tasks"].insert_many([task(20), task(21)])
    lost = next(piece for piece in pieces if piece.counts and piece.counts.emitted)
    pieces.close()
    assert lost.counts.emitted >= 1
    app.database["leaderboard_entries"].delete_many({"userId": oid(1)})  # as if it had died before the roll-up
    walk(app, follower(app), partial(is_right, app))
    oracle.check(app.database)


@pytest.mark.slow
def test_killed_after_any_piece_it_loses_nothing(app):
    """Each piece's checkpoint is saved, and then nothing more happens; a new one goes on."""
    number = itertools.count(20)
    for saved in range(1, 6):
        app.database["tasks"].insert_many([task(next(number), owner=2), task(next(number), owner=3)])
        pieces = follower(app)
        for piece in itertools.islice(pieces, saved):
            save(app, piece)
        pieces.close()
        if saved == 1:
            app.backfill()  # what was there before the first
    walk(app, follower(app), partial(is_right, app))
    oracle.check(app.database)


@pytest.mark.slow
def test_what_was_written_while_nobody_followed_is_recorded_by_the_next(app):
    pieces = follower(app)
    save(app, next(pieces))
    pieces.close()
    app.database["tasks"].insert_many([task(number) for number in range(20, 40)])
    walk(app, follower(app), partial(is_right, app))
    oracle.check(app.database)


@pytest.mark.slow
def test_while_write_is_off_it_holds_and_then_records_what_happened_meanwhile(app):
    pieces = follower(app)
    save(app, next(pieces))
    turn(app.database, app.config, "write", False, NEW_YEAR)
    app.database["tasks"].insert_one(task(20))
    seen = walk(app, pieces, lambda: row(app)["held"] is not None)
    assert seen[-1].held == "the flag's write is off"
    assert not is_right(app)
    turn(app.database, app.config, "write", True, NEW_YEAR)
    walk(app, pieces, partial(is_right, app))
    assert row(app)["held"] is None


@pytest.mark.slow
def test_a_token_moves_even_where_nothing_happens(app):
    pieces = follower(app)
    save(app, next(pieces))
    first = row(app)
    app.database["unrelated"].insert_one({})
    walk(app, pieces, lambda: row(app)["token"] != first["token"])
    assert row(app)["at"] >= first["at"]
    assert row(app)["lag"] == 0


# --- gaps --------------------------------------------------------------------------------------------------------


def history_lost(app):
    """Within the block the server says once that it does not know the token any more."""
    place = f"{app.database.name}.$cmd.aggregate"
    return failing(app.database.client, "aggregate", 1, errorCode=286, namespace=place)


@pytest.mark.slow
def test_the_first_tail_knows_that_it_has_not_seen_what_was_before(app):
    assert gap(app.state, app.config) is None
    pieces = follower(app)
    save(app, next(pieces))
    assert gap(app.state, app.config) == Gap(("tasks", "sessions"), None, full=False)
    app.backfill()
    assert gap(app.state, app.config) is None
    walk(app, pieces, lambda: row(app)["missed"] is None)


@pytest.mark.slow
def test_a_pass_that_was_open_already_does_not_close_the_gap(app):
    opened = app.context()
    list(itertools.islice(STEPS[3].apply(opened), 0))
    for piece in itertools.islice(STEPS[3].apply(opened), 1):
        app.state.save(piece.checkpoint)
    save(app, next(follower(app)))
    app.backfill()
    assert gap(app.state, app.config).sources == ("tasks",)
    app.backfill()
    assert gap(app.state, app.config) is None


def test_a_lost_history_is_told_and_a_backfill_makes_up_for_it(forgetful):
    app = forgetful
    app.database["tasks"].insert_one(task(20))
    pieces = follower(app)
    with history_lost(app):
        seen = walk(app, pieces, lambda: gap(app.state, app.config))
    assert "does not remember" in seen[-1].warning
    found = gap(app.state, app.config)
    assert found.sources == ("tasks", "sessions")
    assert found.since is not None
    walk(app, pieces, lambda: row(app)["token"])
    app.database["tasks"].insert_one(task(21))
    walk(app, pieces, lambda: f"task_complete:{oid(1021)}" in app.event_ids())  # it goes on all the same
    assert not is_right(app)
    app.backfill()
    assert gap(app.state, app.config) is None
    oracle.check(app.database)


@pytest.mark.slow
def test_one_who_is_killed_after_a_lost_history_does_not_forget_the_gap(forgetful):
    app = forgetful
    since = row(app)["reached"]
    with history_lost(app):
        save(app, next(piece for piece in follower(app) if piece.warning))
    assert gap(app.state, app.config).since == since
    save(app, next(follower(app)))
    assert gap(app.state, app.config).since == since


def test_a_server_that_steps_down_for_a_moment_is_waited_for(forgetful):
    pieces = follower(forgetful)
    forgetful.database["tasks"].insert_one(task(20))
    with failing(forgetful.database.client, "getMore", 3, errorCode=11600, closeConnection=False):
        walk(forgetful, pieces, partial(is_right, forgetful))
    oracle.check(forgetful.database)


@pytest.mark.slow
def test_a_collection_replaced_by_a_rename_asks_for_a_full_backfill(app):
    pieces = follower(app)
    save(app, next(pieces))
    app.backfill()
    old = NEW_YEAR.replace(year=2020)
    app.database["staged"].insert_many([task(number, completedAt=old, updatedAt=old) for number in range(50, 53)])
    app.database["staged"].rename("tasks", dropTarget=True)
    seen = walk(app, pieces, lambda: row(app)["missed"])
    assert any("backfill --full" in piece.warning for piece in seen)
    app.backfill()
    assert gap(app.state, app.config) is not None
    from lbmigrate.run.context import Scope

    app.backfill(scope=Scope(full=True))
    assert gap(app.state, app.config) is None
    assert f"task_complete:{oid(1050)}" in app.event_ids()


@pytest.mark.slow
def test_a_dropped_database_ends_it(app):
    pieces = follower(app, flag_clock=lambda: 0)  # it has gone with the flag, and nobody has looked
    save(app, next(pieces))
    app.database.client.drop_database(app.database.name)
    with pytest.raises(LbmigrateError, match="was dropped"):
        for _ in pieces:
            pass


@pytest.mark.slow
def test_a_database_that_is_there_again_is_followed_from_then_on(app):
    pieces = follower(app, flag_clock=lambda: 0)
    save(app, next(pieces))
    events = list(app.database["score_events"].find())
    app.database.client.drop_database(app.database.name)
    app.database["score_events"].insert_many(events)
    told = next(piece for piece in pieces if piece.warning)
    assert "was dropped and made again" in told.warning
    save(app, told)
    save(app, next(pieces))
    app.database["tasks"].insert_one(task(60))
    save(app, next(piece for piece in pieces if piece.done))
    assert f"task_complete:{oid(1060)}" in app.event_ids()
    assert gap(app.state, app.config).since is not None


# --- where it does not work --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_standalone_server_is_told_what_to_become(mongod, home):
    server = mongod_standalone(home)
    with MongoClient(server.uri) as client:
        app = App(client["app"], config(TASKS))
        app.database["tasks"].insert_one(task(1))
        app.apply(STEPS[:4])
        with pytest.raises(Refused, match="standalone") as refused:
            next(follower(app))
    assert "rs.initiate" in refused.value.hint


def mongod_standalone(home):
    return start_mongod(home, free_port())


def test_of_a_view_among_the_sources_it_says_that_it_is_not_followed_and_follows_the_others(database):
    database.create_collection("done", viewOn="sessions", pipeline=[])
    app = App(database, config(TASKS, {**SESSIONS, "collection": "done"}))
    app.apply(STEPS[:4])
    pieces = follower(app)
    assert next(pieces).warning == (
        "done is a view, which no change stream follows; next: schedule lbmigrate backfill for it, as jobs/ shows"
    )
    walk(app, pieces, lambda: row(app).get("token"))
    database["tasks"].insert_one(task(1))
    walk(app, pieces, lambda: app.event_ids() == [f"task_complete:{oid(1001)}"])


def test_where_every_source_is_a_view_there_is_nothing_to_follow(database):
    database["raw"].insert_one(task(1))
    database.create_collection("tasks", viewOn="raw", pipeline=[])
    with pytest.raises(Refused, match="tasks is a view, which no change stream follows") as refused:
        next(follower(App(database, config(TASKS))))
    assert "lbmigrate backfill" in refused.value.hint


def test_the_in_memory_database_has_nothing_to_follow():
    with fake.client() as client:
        app = App(client["app"], config(TASKS))
        app.database["tasks"].insert_one(task(1))
        app.apply(STEPS[:4])
        with pytest.raises(Refused, match="in-memory"):
            next(follower(app))


# --- the verb ----------------------------------------------------------------------------------------------------


def following(app):
    """Whether a process of its own follows by now, and has found what was before."""
    return until(lambda: row(app).get("token") and not row(app).get("missed"), "a tail that has caught up")


def test_an_action_is_on_the_board_within_a_second_and_off_it_as_soon_when_it_is_undone_or_deleted(
    app, server_uri, settings
):
    tasks = app.database["tasks"]

    def set_to(status):
        return lambda number: tasks.update_one({"_id": oid(1000 + number)}, {"$set": {"status": status}})

    changes = {
        "done": (10, lambda number: tasks.insert_one(task(number))),
        "undone": (-10, set_to("todo")),
        "done again": (10, set_to("done")),
        "deleted": (-10, lambda number: tasks.delete_one({"_id": oid(1000 + number)})),
    }
    took = {name: [] for name in changes}
    with started(server_uri, settings, "tail"):
        following(app)
        for number in range(100, 104):
            for name, (points, change) in changes.items():
                score = app.entries()[GLOBAL]["score"] + points
                began = time.monotonic()
                change(number)
                until(lambda score=score: app.entries()[GLOBAL]["score"] == score, f"the entry when it is {name}")
                took[name].append(time.monotonic() - began)
    assert {name: times for name, times in took.items() if min(times) >= 1.0} == {}


@pytest.mark.slow
def test_it_runs_until_a_signal_and_tells_how_to_go_on(app, server_uri, settings):
    with started(server_uri, settings, "tail") as run:
        following(app)
        run.send(signal.SIGTERM)
        code, _, err = run.end()
    assert code == 143
    assert "lbmigrate tail" in err
    assert app.state.get(FOLLOWING)["holder"] is None
    assert app.state.get(ROW)["stoppedAt"] is not None


@pytest.mark.slow
def test_it_ends_well_when_its_time_is_over(app, terminal):
    done = terminal("tail", "--max-runtime", "1s", "--json")
    assert done.code == 0
    assert done.result["verb"] == "tail"


@pytest.mark.slow
def test_it_begins_though_its_time_is_over_before_it_has_connected(app, terminal):
    assert terminal("tail", "--max-runtime", "0.001s").code == 0
    assert row(app)["token"]


@pytest.mark.slow
def test_two_do_not_follow_at_once_and_a_backfill_goes_on_beside_one(app, server_uri, settings):
    with started(server_uri, settings, "tail"):
        following(app)
        code, _, err = ended(server_uri, settings, "tail")
        assert code == 4
        assert "another tail" in err
        app.database["tasks"].insert_one(task(20))
        code, _, err = ended(server_uri, settings, "backfill")
        assert code == 0, err
        app.database["tasks"].insert_one(task(21))
        until(partial(is_right, app), "the task after the backfill")


def test_on_a_virgin_database_it_is_refused_and_leaves_it_so(database, terminal):
    database["tasks"].insert_one(task(1))
    before = picture(database)
    assert terminal("tail").code == 6
    assert picture(database) == before


@pytest.mark.slow
def test_healing_backfills_what_a_lost_history_did_not_tell(forgetful, fragile, tmp_path):
    app = forgetful
    settings = write_config(tmp_path, app.database.name, [TASKS, SESSIONS])
    app.database["tasks"].insert_one(task(20))
    with history_lost(app), started(fragile, settings, "tail"):
        until(lambda: gap(app.state, app.config), "the gap to be noticed")
        until(lambda: row(app)["token"], "a new token")
        app.database["tasks"].insert_one(task(21))
        until(lambda: f"task_complete:{oid(1021)}" in app.event_ids(), "the task after the gap")
        assert not is_right(app)
    with started(fragile, settings, "tail", "--heal"):
        until(partial(is_right, app), "the gap to be healed")
        following(app)
    oracle.check(app.database)


def changed(look, seconds):
    """As soon as what there is to see has changed, or when the time is over."""
    first, end = look(), time.monotonic() + seconds
    while time.monotonic() < end and look() == first:
        pass


@pytest.mark.slow
def test_killed_again_and_again_it_loses_nothing_and_doubles_nothing(app, server_uri, settings):
    rng = random.Random(7)
    numbers = itertools.count(100)
    writing = threading.Event()

    def write():
        while not writing.is_set():
            number = next(numbers)
            status = rng.choice(["done", "todo"])
            app.database["tasks"].insert_one(task(number, owner=1 + number % 3, hours=number, status=status))
            some = oid(1000 + rng.randrange(100, number + 1))
            app.database["tasks"].update_one({"_id": some}, {"$set": {"status": "done"}})
            writing.wait(0.01)

    moments = [lambda: row(app).get("token"), app.database["score_events"].estimated_document_count, int]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(write)
        for number in range(KILLS):
            with started(server_uri, settings, "tail") as run:
                until(lambda run=run: (app.state.get(FOLLOWING).get("holder") or {}).get("pid") == run.pid, "a tail")
                changed(int, rng.uniform(0, 1))
                changed(moments[number % 3], 2)
                run.send(signal.SIGKILL)
        writing.set()
    with started(server_uri, settings, "tail"):
        until(partial(is_right, app), "the last tail to catch up")
        until(lambda: oracle.shown(app.database) == oracle.board(oracle.actions(app.database)), "the entries")
    assert next(numbers) > 200
    oracle.check(app.database)


@pytest.mark.slow
def test_killed_at_random_while_it_records_a_batch_it_leaves_the_ledger_exact(app, server_uri, settings):
    rng, users, numbers = random.Random(11), range(4, 204), itertools.count(100)
    app.database["users"].insert_many([user(number) for number in users])
    with started(server_uri, settings, "tail"):
        following(app)
    ledger, entries = app.database["score_events"], app.database["leaderboard_entries"]
    for number in range(KILLS):
        some = list(itertools.islice(numbers, 600))
        new = [task(each, owner=rng.choice(users), hours=each) for each in some]
        app.database["tasks"].insert_many(rng.sample(new, len(new)))
        for each in rng.sample(some, 40):
            app.database["tasks"].update_one({"_id": oid(1000 + each)}, {"$set": {"status": "todo"}})
        grows = (entries, ledger)[number % 2]
        enough = grows.estimated_document_count() + rng.randrange(300)
        with started(server_uri, settings, "tail") as run:
            until(partial(has_grown, app, grows, enough), "the middle of a batch")
            run.send(signal.SIGKILL)
    with started(server_uri, settings, "tail"):
        until(partial(is_even, app), "the last tail to catch up")
    oracle.check_sums(app.database)


def has_grown(app, collection, enough):
    return collection.estimated_document_count() >= enough or is_even(app)


def is_even(app):
    """Whether the ledger says what the documents say, and the board what the ledger says."""
    try:
        oracle.check_sums(app.database)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
def test_a_backfill_of_its_own_closes_the_gap_before_the_first_start(app, server_uri, settings):
    app.database["tasks"].insert_one(task(20, updatedAt=NEW_YEAR.replace(year=2026)))
    with started(server_uri, settings, "tail"):
        following(app)
        assert is_right(app)


@pytest.mark.slow
def test_before_the_first_backfill_it_follows_and_asks_for_one(database, server_uri, tmp_path):
    settings = write_config(tmp_path, database.name, [TASKS])
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(5)])
    app = App(database, config(TASKS))
    app.apply(STEPS[:3])
    with ExitStack() as later:
        run = later.enter_context(started(server_uri, settings, "tail"))
        until(lambda: row(app).get("token"), "a tail")
        database["tasks"].insert_one(task(20))
        until(lambda: app.event_ids() == [f"task_complete:{oid(1020)}"], "the new task alone")
        code, _, err = ended(server_uri, settings, "run", "--to", "4")
        assert code == 0, err
        until(lambda: gap(app.state, app.config) is None, "the gap to be closed")
        run.send(signal.SIGINT)
        code, _, err = run.end()
    assert code == 130
    assert "lbmigrate run" in err
    assert len(app.event_ids()) == 6


@pytest.mark.slow
def test_a_state_elsewhere_is_where_the_tail_keeps_its_progress(app, terminal):
    elsewhere = app.database.client[f"{app.database.name}_state"]
    try:
        terminal.configure(state={"database": elsewhere.name})
        assert terminal("run", "--to", "4").code == 0
        assert terminal("tail", "--max-runtime", "1s").code == 0
        assert State(elsewhere).get(ROW)["token"]
        assert row(app) == {}
    finally:
        app.database.client.drop_database(elsewhere.name)


@pytest.mark.slow
def test_a_batch_is_not_gathered_for_ever(app):
    assert WINDOW < 1


# --- what cannot be followed ----------------------------------------------------------------------------------------


def has(app, document):
    return app.database["score_events"].find_one({"sourceId": document["_id"]}) is not None


@pytest.mark.slow
def test_a_document_whose_id_is_not_utf8_keeps_no_other_from_the_board(app):
    pieces, good = follower(app), task(60)
    save(app, next(pieces))
    app.database["tasks"].insert_one(named(b"\xff", task(50)))
    app.database["tasks"].insert_one(good)
    walk(app, pieces, lambda: has(app, good))


@pytest.mark.slow
def test_a_change_that_is_too_large_to_be_shown_is_told_and_what_follows_is_recorded(app):
    pieces, early, late = follower(app), task(60), task(61)
    save(app, next(pieces))
    app.database["tasks"].insert_one(task(50, _id="x" * 6_000_000))
    app.database["tasks"].insert_one(early)
    seen = walk(app, pieces, lambda: has(app, early) or row(app).get("token") is None)
    assert has(app, early) or any("next: lbmigrate backfill" in piece.warning for piece in seen)
    walk(app, pieces, lambda: row(app).get("token") is not None)
    app.database["tasks"].insert_one(late)
    walk(app, pieces, lambda: has(app, late))
    app.backfill()
    assert has(app, early)
