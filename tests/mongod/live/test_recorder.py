"""Recording under contention, and by clients that are set up otherwise than ours."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from pymongo import AsyncMongoClient, MongoClient
from pymongo.write_concern import WriteConcern

from lbmigrate import ScoreRecorder
from lbmigrate.errors import UsageError
from lbmigrate.migration.steps import STEPS
from tests.apps import NEW_YEAR, TASKS, App, config, oid, picture, task, user

GLOBAL = f"global:{oid(1)}"
EIGHT = 8


@pytest.fixture
def app(database):
    database["users"].insert_one(user(1))
    database.create_collection("tasks")
    app = App(database, config(TASKS))
    app.apply(STEPS[:3])
    return app


@pytest.mark.slow
def test_eight_threads_on_one_user_end_exactly(app):
    recorder = ScoreRecorder(app.database, app.config, strict=True, budget=60)  # eight at once, on a busy machine

    def record(number):
        # Every action is recorded by two threads.
        return recorder.record("task_complete", oid(1), oid(1000 + number // 2), at=NEW_YEAR)

    with ThreadPoolExecutor(EIGHT) as pool:
        new = list(pool.map(record, range(160)))
    assert sum(new) == 80
    assert (app.entries()[GLOBAL]["score"], app.entries()[GLOBAL]["events"]) == (800, 80)


def _record(uri, name, config, numbers):
    with MongoClient(uri) as client:
        recorder = ScoreRecorder(client[name], config, strict=True, budget=60)
        return sum(recorder.record("task_complete", oid(1), oid(1000 + n), at=NEW_YEAR) for n in numbers)


@pytest.mark.slow
def test_processes_on_one_user_end_exactly(app, server_uri):
    work = (server_uri, app.database.name, app.config, range(30))
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert sum(pool.starmap(_record, [work] * 4)) == 30
    assert app.entries()[GLOBAL]["score"] == 300


def test_how_the_apps_client_is_set_up_does_not_matter(app, server_uri):
    app.database["tasks"].insert_one(task(1, userId=uuid.UUID(int=1), completedAt=NEW_YEAR))
    with MongoClient(server_uri, tz_aware=True, uuidRepresentation="pythonLegacy", w=1) as client:
        recorder = ScoreRecorder(client[app.database.name], app.config, strict=True, budget=60)
        assert recorder.record_source("tasks", oid(1001))
        before = picture(app.database)
        assert not recorder.record("task_complete", uuid.UUID(int=1), oid(1001), at=NEW_YEAR)
    assert picture(app.database) == before
    assert f"global:{uuid.UUID(int=1)}" in app.entries()


@pytest.mark.slow
def test_a_write_that_no_majority_has_yet_is_seen(app):
    eager = app.database["tasks"].with_options(write_concern=WriteConcern(1, j=False))
    recorder = ScoreRecorder(app.database, app.config, strict=True, budget=60)
    for number in range(50):
        eager.insert_one(task(number))
        assert recorder.record_source("tasks", task(number)["_id"])


def test_an_async_client_is_told_what_to_do_instead(app):
    database = AsyncMongoClient(connect=False)[app.database.name]
    with pytest.raises(UsageError, match="takes a database of MongoClient") as refused:
        ScoreRecorder(database, app.config)
    assert "to_thread" in refused.value.hint


def test_a_dead_server_costs_the_app_a_warning(app, caplog):
    with MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=50) as client:
        recorder = ScoreRecorder(client["app"], app.config)
        assert not recorder.record("task_complete", oid(1), oid(1001))
    assert "counts as off" in caplog.text


def test_importing_the_recorder_brings_no_command_line_along():
    code = "import lbmigrate, sys; sys.exit(any(name in sys.modules for name in ('typer', 'rich')))"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=True)
