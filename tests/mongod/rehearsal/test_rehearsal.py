"""Dry runs against a real server: they come to what the real run comes to, and write nothing anywhere."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.ledger import rejects
from lbmigrate.mongo import fake
from lbmigrate.mongo.client import open_client, server_time
from lbmigrate.mongo.write_guard import WriteWatch
from lbmigrate.rehearsal import report
from lbmigrate.rehearsal.outcome import summary
from lbmigrate.run.context import Context
from lbmigrate.testing import messy
from lbmigrate.values import extjson
from tests.apps import SESSIONS, TASKS, App, config, oid, picture, session, task, ticking, untimed, user

pytestmark = pytest.mark.slow  # verbs typed one after the other at a server: a quick run has others of their kind

EXAMPLES = int(os.environ.get("LBMIGRATE_TEST_DATABASES", "40"))

# --- any database ----------------------------------------------------------------------------------------------------

AS = st.sampled_from(["userId", {"path": "userId", "as": "objectId"}, {"path": "userId", "as": "string"}])


@st.composite
def apps(draw):
    """A little database full of bad data, and a way to map it."""
    seed = draw(st.integers(0, 2**32))
    share = draw(st.sampled_from([0.1, 0.4, 0.9]))
    count = draw(st.integers(5, 24))
    owners = draw(st.integers(1, 4))
    documents = {
        "users": [user(number) for number in range(1, 4)],
        "tasks": [task(number, owner=1 + number % owners) for number in range(count)],
        "sessions": [session(number, owner=1 + number % owners) for number in range(count // 2)],
    }
    spoilt = {name: list(messy(some, share=share, seed=seed)) for name, some in documents.items()}
    ref, zone = draw(AS), draw(st.sampled_from(["UTC", "America/New_York", "Pacific/Apia"]))
    at = draw(st.sampled_from([["completedAt"], ["completedAt", "updatedAt"]]))
    sources = [{**TASKS, "user": ref, "at": at}, {**SESSIONS, "user": ref}]
    return spoilt, config(*sources, timezone=zone, periods=["global", "day", "week", "month", "year"])


def came_to(app: App, **chosen: Any) -> Any:
    """Counts, digests and rejects of a run, or how it ended."""
    try:
        counts = app.apply(**chosen)
    except LbmigrateError as error:
        return type(error), error.message
    told = report.report(app.database)
    made = [repr(untimed(name, row)) for name in report.KEPT for row in app.database[name].find().sort("_id", 1)]
    return counts, {key: told[key] for key in told if key != "samples"}, made


class Shadow(App):
    """A rehearsal of an app: what it has is read, and what is made stays in memory."""

    def __init__(self, app: App, memory: Any) -> None:
        super().__init__(memory, app.config, clock=ticking())
        self.app = app

    def context(self, **chosen: Any) -> Context:
        return replace(super().context(**chosen), sources=self.app.database)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(apps())
@pytest.mark.slow
def test_rehearsals_of_any_database_come_to_what_the_run_comes_to(database, app):
    documents, settled = app
    real = App(database, settled)
    for name in database.list_collection_names():
        database.drop_collection(name)
    for name, some in documents.items():
        if some:
            database[name].insert_many(some)
    with fake.client() as memory:
        for name, some in documents.items():
            if some:
                memory["fixtures"][name].insert_many(some)
        from_files = came_to(App(memory["fixtures"], settled))
        from_server = came_to(Shadow(real, memory["shadow"]))
    assert set(database.list_collection_names()) <= set(documents)
    assert from_files == from_server == came_to(real)


# --- at the terminal ------------------------------------------------------------------------------------------------


@pytest.fixture
def app(database, terminal):
    """An app whose tasks and sessions hold some bad data."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    database["tasks"].insert_many([task(90, userId=None), task(91, completedAt="soon")])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(12)])
    return database


ALIKE = ("counts", "score_events", "entries", "points", "sha256_global", "sha256_week", "rejects", "points_by_week")


def told(done):
    return {name: done.result[name] for name in ALIKE if name in done.result}


def test_a_dry_run_comes_to_what_the_run_then_does(app, terminal):
    dry = terminal("run", "--dry-run", "--json")
    real = terminal("run", "--json")
    assert dry.code == real.code == 0
    assert dry.result["counts"] == real.result["counts"]
    made = summary(app)
    assert {name: dry.result[name] for name in made} == made
    assert dry.result["rejects"] == {"no usable time in completedAt": 1, "no user": 1}


def test_a_dry_run_writes_nothing_to_a_virgin_database(app, terminal):
    before = picture(app)
    assert terminal("run", "--dry-run").code == 0
    assert picture(app) == before
    assert set(app.list_collection_names()) == {"users", "tasks", "sessions"}


def test_a_dry_run_starts_over_and_leaves_a_migrated_database_as_it_is(app, terminal):
    first = terminal("run", "--dry-run", "--json")
    terminal("run")
    before, state = picture(app), list(app["lbmigrate_state"].find())
    again = terminal("run", "--dry-run", "--json")
    assert told(again) == told(first)
    assert picture(app) == before
    assert list(app["lbmigrate_state"].find()) == state


def two_kinds_of_ids(app):
    app["sessions"].update_many({}, [{"$set": {"userId": {"$toString": "$userId"}}}])


def no_collection(app):
    app["tasks"].drop()


def nothing_that_can_be_scored(app):
    app["tasks"].update_many({}, {"$set": {"completedAt": "soon"}})
    app["sessions"].delete_many({})


@pytest.mark.parametrize(
    ("wrong", "code"), [(two_kinds_of_ids, 6), (no_collection, 6), (nothing_that_can_be_scored, 5)]
)
def test_a_dry_run_ends_as_the_run_would(app, terminal, wrong, code):
    wrong(app)
    dry, real = terminal("run", "--dry-run"), terminal("run")
    assert dry.code == real.code == code
    last = [line for line in real.err.splitlines() if line.startswith("lbmigrate: ")]
    assert last[0] in dry.err


def test_the_effect_on_the_present_board_is_shown(app, terminal):
    terminal("run")
    assert terminal("run", "--dry-run", "--json").result["moves"] == []
    app["tasks"].insert_many([task(200 + number, owner=3) for number in range(40)])
    done = terminal("run", "--dry-run", "--json")
    places = {move["name"]: (move["before"], move["after"]) for move in done.result["moves"]}
    assert places == {"User 3": (3, 1), "User 1": (1, 2), "User 2": (1, 2)}
    assert "On the present board" in terminal("run", "--dry-run").out


def test_a_sample_reads_a_part_of_the_sources_and_never_nothing(app, terminal):
    app["tasks"].insert_many([task(200 + number, owner=3) for number in range(970)])
    terminal.configure(TASKS, SESSIONS, backfill={"chunk_size": 10, "workers": 1, "target": None})
    tenth = terminal("run", "--dry-run", "--sample", "10%", "--json")
    assert tenth.code == 0
    assert 100 <= tenth.result["counts"]["read"] <= 120
    least = terminal("run", "--dry-run", "--sample", "0.01%", "--json")
    assert least.code == 0
    assert least.result["counts"]["read"] == 20


# --- the watch ------------------------------------------------------------------------------------------------------


def test_a_dry_run_that_would_write_is_stopped(app, terminal, monkeypatch):
    def stray(context, source, rejects):
        context.sources["tasks"].update_one({"_id": oid(1000)}, {"$set": {"seen": True}})
        return {}

    monkeypatch.setattr(rejects, "keep", stray)
    stopped = terminal("run", "--dry-run")
    assert stopped.code == 6
    assert "a dry run sent 'update' to the server" in stopped.err


WRITES = {
    "insert": lambda db: db["c"].insert_one({}),
    "update": lambda db: db["c"].update_one({}, {"$set": {"a": 1}}),
    "delete": lambda db: db["c"].delete_many({}),
    "findAndModify": lambda db: db["c"].find_one_and_delete({}),
    "create": lambda db: db.create_collection("d"),
    "drop": lambda db: db.drop_collection("c"),
    "createIndexes": lambda db: db["c"].create_index("a"),
    "dropIndexes": lambda db: db["c"].drop_indexes(),
    "collMod": lambda db: db.command("collMod", "c", validationLevel="off"),
    "dropDatabase": lambda db: db.client.drop_database(db.name),
    "aggregate": lambda db: list(db["c"].aggregate([{"$match": {}}, {"$merge": "d"}])),
    "profile": lambda db: db.command("profile", 0),
}


@pytest.fixture
def watched(server_uri, database):
    """The test's database through a client that is watched."""
    database["c"].insert_one({"a": 1})
    watch = WriteWatch()
    with open_client(server_uri, watch) as client:
        yield client[database.name], watch


@pytest.mark.parametrize("command", WRITES)
def test_whatever_changes_something_on_the_server_is_seen(watched, command):
    database, watch = watched
    watch.check()
    WRITES[command](database)
    with pytest.raises(Refused, match=f"sent '{command}'"):
        watch.check()


def test_looking_is_not_taken_for_writing(watched):
    database, watch = watched
    database["c"].find_one()
    list(database["c"].aggregate([{"$group": {"_id": "$a"}}]))
    database["c"].count_documents({})
    database["c"].estimated_document_count()
    database["c"].index_information()
    database.list_collection_names()
    database.command("dbStats")
    server_time(database)
    watch.check()


# --- a real history -------------------------------------------------------------------------------------------------

HISTORY = Path(__file__).parents[4] / "shared" / "data" / "history"


@pytest.mark.slow
@pytest.mark.skipif(not HISTORY.is_dir(), reason="the data set is not beside the checkout")
def test_a_dry_run_of_a_real_history_gives_the_figures_that_the_real_run_is_held_to(database, terminal):
    expected = json.loads((HISTORY / "expected.json").read_text())
    extjson.load(HISTORY, database, ["users", "tasks", "sessions"])
    here = ("--config", str(HISTORY / "leaderboard.yaml"), "--uri", terminal.uri, "--database", database.name)
    done = terminal("run", "--dry-run", *here, "--json")
    assert done.code == 0
    for name in ("sha256_global", "sha256_week", "score_events", "entries"):
        assert done.result[name] == expected[name], name
    assert done.result["counts"]["emitted"] == sum(expected["score_events"].values())
    assert set(database.list_collection_names()) == {"users", "tasks", "sessions"}


# --- fixtures on a server ------------------------------------------------------------------------------------------


@pytest.fixture
def exported(tmp_path):
    """Two users and six tasks, half of them done in the newer of two ways."""
    directory = tmp_path / "fixtures"
    directory.mkdir()
    tasks = [task(number, done=number % 2 == 0 or number) for number in range(6)]
    for name, some in {"users": [user(1)], "tasks": tasks, "sessions": [session(0)]}.items():
        extjson.write(directory / f"{name}.ndjson", some)
    return directory


WHERE = {
    "memory": {"done": True},
    "mongod": {"done": True, "$expr": {"$eq": ["$status", "done"]}},
}


@pytest.mark.parametrize("engine", WHERE)
def test_a_rehearsal_on_files_runs_where_its_filters_mean_what_they_mean(terminal, exported, engine):
    terminal.configure({**TASKS, "where": WHERE[engine]}, SESSIONS)
    done = terminal("run", "--dry-run", "--fixtures", str(exported), "--json")
    assert done.code == 0, done.err
    assert done.result["engine"] == engine
    assert done.result["score_events"] == {"focus_session": 1, "task_complete": 3}
    assert ("on an embedded mongod" in done.err) is ("tasks: $expr" in done.err) is (engine == "mongod")
    assert ("in memory" in done.err.splitlines()[0]) is (engine == "memory")


def test_either_engine_may_be_asked_for_and_comes_to_the_same(terminal, exported):
    terminal.configure({**TASKS, "where": {"done": True}}, SESSIONS)
    words = ("run", "--dry-run", "--fixtures", str(exported), "--json", "--out")
    found = [terminal(*words, f"kept by {engine}", "--engine", engine) for engine in ("memory", "mongod")]
    assert [each.result.pop("engine") for each in found] == ["memory", "mongod"]
    for name in report.KEPT:
        one, other = (Path(f"kept by {engine}", f"{name}.ndjson") for engine in ("memory", "mongod"))
        assert one.read_text() == other.read_text() != ""
        assert one.stat().st_mode & 0o077 == 0
    assert [told(each) for each in found[:1]] == [told(each) for each in found[1:]]


def test_an_engine_is_a_matter_of_files(app, terminal):
    refused = terminal("run", "--dry-run", "--engine", "mongod")
    assert refused.code == 2
    assert "add --dry-run --fixtures DIR" in refused.err
    assert terminal("run", "--dry-run", "--json").result["engine"] == "server"
