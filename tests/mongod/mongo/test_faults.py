"""A server, a network and a state that fail to order: passing faults pass, others stop the run and harm nothing."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.errors import PyMongoError

from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.migration.steps import STEPS, s4_backfill, s5_verify, s6_cut_over
from lbmigrate.mongo import faults
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.process import Server
from lbmigrate.schema import REJECTS
from lbmigrate.state import State
from lbmigrate.state.repair import repair
from lbmigrate.testing import Proxy
from lbmigrate.verify import verdict
from tests.apps import SESSIONS as SESSIONS_SOURCE
from tests.apps import TASKS as TASKS_SOURCE
from tests.apps import App, config, pieces, session, stopped_after, task, ticking, user
from tests.runs import FAILPOINTS, derived, failing, replica_set

pytestmark = pytest.mark.usefixtures("mongod")
TASKS = 23
URI = "mongodb://HOST/"
BRISK = "&heartbeatFrequencyMS=500"  # how soon a server that said that it shuts down is asked again


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mongod: Any) -> Iterator[Server]:
    """A server that fails to order."""
    with replica_set(tmp_path_factory.mktemp("faults"), 1, FAILPOINTS) as nodes:
        yield nodes[0]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with open_client(server.uri + BRISK) as client:
        yield client


@pytest.fixture
def app(client: Any) -> Iterator[App]:
    database = client[f"test_{uuid.uuid4().hex[:12]}"]
    yield filled(database)
    client.drop_database(database.name)


def filled(database: Any) -> App:
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(TASKS)])
    app = App(database, config(backfill={"attempts": 3}))
    app.apply(STEPS[:2])
    return app


@pytest.fixture(scope="module")
def wanted(client: Any) -> Any:
    """What an undisturbed run leaves."""
    app = filled(client["undisturbed"])
    app.backfill()
    return derived(app.database)


# --- faults that pass --------------------------------------------------------------------------------------------

PASSING = {
    "the connection breaks": {"closeConnection": True},
    "the primary steps down": {"errorCode": 10107},
    "the server shuts down": {"errorCode": 91},
    "a majority is late": {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
}


@pytest.mark.parametrize(("command", "times"), [("insert", 2), ("update", 2), ("find", 1), ("aggregate", 1)])
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_changes_nothing(app, client, wanted, fault, command, times):
    if fault == "a majority is late" and command in ("find", "aggregate"):
        return  # reads have no write concern
    with failing(client, command, times, **PASSING[fault]):
        app.backfill()
    assert derived(app.database) == wanted
    assert {row["status"] for row in app.chunks()} == {"rolled"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "collection"),
    [
        ("insert", "score_events"),
        ("insert", "leaderboard_entries"),
        ("update", "leaderboard_entries"),
        ("update", "lbmigrate_state"),
    ],
)
def test_a_write_that_no_majority_confirmed_is_made_again(app, client, wanted, command, collection):
    app.backfill()
    app.database["tasks"].insert_many([task(number) for number in range(TASKS, 2 * TASKS)])
    confirmed = f"{app.database.name}.{collection}"
    with failing(client, command, 1, **PASSING["a majority is late"], namespace=confirmed):
        app.backfill()
    scores = {key: entry["score"] for key, entry in app.entries().items() if key.startswith("global:")}
    assert sum(scores.values()) == 10 * 2 * TASKS == sum(event["points"] for event in app.events())


def test_a_cut_in_the_middle_heals_by_itself(app, server, wanted):
    with Proxy(server.port) as proxy, open_client(proxy.uri + BRISK) as client:
        through = App(client[app.database.name], app.config)
        cut = 0
        for piece in pieces(s4_backfill, through.context()):
            if piece.counts and cut < 3:
                cut += 1
                proxy.cut()
                threading.Timer(0.3, proxy.heal).start()
        assert cut == 3
    assert derived(app.database) == wanted


# --- faults that stay --------------------------------------------------------------------------------------------

STAYING = {
    14031: (LbmigrateError, "no disk space left", "run the same command again"),
    13: (Refused, "misses a right", "readWrite"),
    371: (Refused, "blocks writes", "setUserWriteBlockMode"),
    10107: (LbmigrateError, "is not the primary", "run the same command again"),
    8000: (LbmigrateError, "failed", "lbmigrate doctor"),
}


@pytest.mark.slow
@pytest.mark.parametrize("code", STAYING)
def test_a_fault_that_stays_stops_the_run_with_what_to_do_and_harms_nothing(app, client, wanted, code):
    kind, meaning, hint = STAYING[code]
    ledger = f"{app.database.name}.score_events"
    walk = pieces(s4_backfill, app.context())
    emitted = (piece for piece in walk if piece.counts and piece.counts.emitted)
    next(emitted)
    next(emitted)  # by now the first one is saved
    kept = app.chunks(status="emitted")
    with failing(client, "insert", "alwaysOn", namespace=ledger, errorCode=code), pytest.raises(PyMongoError) as caught:
        list(walk)
    told = faults.explain(caught.value, URI)
    assert (type(told), meaning in told.message, hint in told.hint) == (kind, True, True), (told.message, told.hint)
    assert [row for row in app.chunks(status="emitted") if row["_id"] == kept[0]["_id"]] == kept
    assert app.database[REJECTS].count_documents({}) == 0
    app.backfill()
    assert derived(app.database) == wanted


# --- the verdict covers what was really added --------------------------------------------------------------------


def verified(app: App) -> App:
    app.apply([STEPS[2], s4_backfill, s5_verify])
    assert verdict.is_current(app.context())
    return app


def added(app: App) -> None:
    app.database["tasks"].insert_many([task(number, updatedAt=dt.datetime(2027, 1, 1)) for number in range(50, 53)])


@pytest.mark.slow
def test_a_verdict_does_not_cover_events_of_an_attempt_that_was_killed(app):
    verified(app)
    added(app)
    next(
        piece for piece in pieces(s4_backfill, app.context()) if piece.counts and piece.counts.emitted
    )  # inserted, not checkpointed
    assert app.backfill().duplicates >= 3
    with pytest.raises(Refused):
        app.apply([s6_cut_over])


@pytest.mark.slow
def test_a_verdict_does_not_cover_events_of_an_attempt_that_broke(app, client):
    verified(app)
    added(app)
    confirmed = f"{app.database.name}.score_events"
    with failing(client, "insert", 1, **PASSING["a majority is late"], namespace=confirmed):
        assert app.backfill().duplicates >= 3
    with pytest.raises(Refused):
        app.apply([s6_cut_over])


@pytest.mark.slow
def test_a_verdict_does_not_cover_events_that_came_after_the_clock_went_back(app):
    verified(app)
    added(app)
    backfill = app.config.backfill.model_copy(update={"future_limit": None})  # by that clock all of it is ahead
    app.config = app.config.model_copy(update={"backfill": backfill})
    app.clock = ticking(dt.datetime(1999, 1, 1))
    assert app.backfill().emitted == 3
    with pytest.raises(Refused):
        app.apply([s6_cut_over])


# --- a state that somebody edited --------------------------------------------------------------------------------


def half_way(app: App) -> State:
    """A backfill with a chunk that is claimed, and one still to be cut."""
    stopped_after(s4_backfill, app.context(), 4, saved=False)
    return app.state


CLAIMED = {"kind": "chunk", "status": "claimed"}
EDITS = {
    "a chunk without its bounds": (CLAIMED, {"$unset": {"low": "", "high": ""}}),
    "a chunk with a filter that is none": (CLAIMED, {"$set": {"extra": "{"}}),
    "a pass without its spans": ({"_id": "watermark:tasks"}, {"$unset": {"pass.spans": ""}}),
    "a pass that is text": ({"_id": "watermark:tasks"}, {"$set": {"pass": "done"}}),
    "a pass with a number that is none": ({"_id": "watermark:tasks"}, {"$set": {"pass.number": "two"}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
def test_a_state_edited_by_hand_is_named_and_loses_nothing(app, wanted, edit):
    state = half_way(app)
    row, change = EDITS[edit]
    assert state.rows.update_one(row, change).matched_count == 1
    assert [flaw for flaw in state.examine() if flaw.row.partition(":")[0] in ("chunk", "watermark")]
    repair(state)
    app.backfill()
    assert derived(app.database) == wanted


@pytest.mark.slow
def test_a_pause_written_by_hand_holds_nobody_and_is_told(app, wanted):
    context = app.context()
    context.state.note("control", paused=True)
    assert not [piece.held for piece in s4_backfill.apply(context) if piece.held]
    assert "paused" not in context.state.get("control")
    assert any("paused is bool True and must be" in flaw for flaw in context.state.flaws)
    app.backfill()
    assert derived(app.database) == wanted


# --- two sources -------------------------------------------------------------------------------------------------


def test_a_source_dropped_during_the_run_leaves_the_other_ones_good(app, client):
    app.database["sessions"].insert_many([session(number) for number in range(12)])
    app.config = config(SESSIONS_SOURCE, TASKS_SOURCE)
    walk = pieces(s4_backfill, app.context())
    next(piece for piece in walk if piece.subject == "tasks" and piece.counts)
    app.database["tasks"].drop()
    with pytest.raises(LbmigrateError, match="tasks: collection 'tasks' is gone"):
        list(walk)
    assert sum(event["actionType"] == "focus_session" for event in app.events()) == 12
    assert {row["status"] for row in app.chunks(source="sessions")} == {"emitted"}
