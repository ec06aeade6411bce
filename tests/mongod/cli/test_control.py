"""Steering a run from another terminal: pause, see who did it, resume; a flag file; signals that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbmigrate import testing
from lbmigrate.state import State
from lbmigrate.state.operator import operator
from tests.apps import TASKS, UNHURRIED, task, user
from tests.runs import closed_chunks, ended, started, until, write_config

pytestmark = pytest.mark.usefixtures("mongod")
ALL = 400


@pytest.fixture
def configured(database: Any, tmp_path: Path) -> Any:
    """Makes a configuration for a database with tasks, in chunks of twenty by one worker."""
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(ALL)])

    def make(**throttle: Any) -> Path:
        backfill = {"chunk_size": 20, "workers": 1, "target": None}
        return write_config(tmp_path, database.name, [TASKS], backfill=backfill, throttle={**UNHURRIED, **throttle})

    return make


def held(database: Any) -> str:
    """Why the newest run is held, if it is."""
    runs = State(database).runs(1)
    return str(runs[0].get("held") or "") if runs else ""


def status(uri: str, config: Path) -> tuple[Any, str]:
    with started(uri, config, "status", "--json") as one, started(uri, config, "status") as two:
        code, as_json, err = one.end()
        assert code == 0, err
        return json.loads(as_json.splitlines()[-1]), two.end()[1]


@pytest.mark.slow
def test_a_pause_from_another_process_holds_a_run_until_it_is_resumed(database, server_uri, configured):
    config = configured(documents_per_second=400)
    with started(server_uri, config, "run") as run:
        until(lambda: closed_chunks(database) >= 2, "two chunks")
        testing.freeze(run.pid)  # so that it is in the middle however long the other process takes to start
        code, _, err = ended(server_uri, config, "pause")
        paused_at = closed_chunks(database)
        testing.thaw(run.pid)
        assert (code, "next: lbmigrate resume" in err) == (0, True), err
        until(lambda: held(database).startswith("paused by"), "the run to hold")
        until(lambda: not State(database).rows.count_documents({"status": "claimed"}), "the chunks at hand to end")
        stood = closed_chunks(database)
        assert stood <= paused_at + 2  # the chunk at hand, and the one that its worker had been handed already
        told, shown = status(server_uri, config)
        paused = told["control"]["paused"]
        assert paused["by"] == operator()
        assert told["last_run"]["held"] == f"paused by {paused['by']} since {paused['at'][:19]}Z"
        assert told["last_run"]["heldSince"]
        assert f"by {paused['by']} since {paused['at'][:19]}Z" in shown
        assert (run.alive, closed_chunks(database)) == (True, stood)
        assert ended(server_uri, config, "resume")[0] == 0
        code, _, err = run.end()
    assert code == 0, err
    assert database["score_events"].count_documents({}) == ALL
    assert held(database) == ""


@pytest.mark.slow
def test_a_pause_holds_later_runs_too_and_a_signal_ends_them_held(database, server_uri, configured):
    config = configured()
    State(database).note("control", paused={"by": "ada", "at": task(1)["completedAt"]})
    with started(server_uri, config, "run") as run:
        until(lambda: held(database), "the run to hold")
        run.send(2)
        assert run.end()[0] == 130
    assert closed_chunks(database) == 0
    assert State(database).rows.find_one({"kind": "chunk"}) is None, "nothing was begun"


@pytest.mark.slow
def test_a_flag_file_holds_a_run_while_it_is_there(database, server_uri, configured, tmp_path):
    stop = tmp_path / "stop"
    stop.touch()
    config = configured(flag_file=str(stop))
    with started(server_uri, config, "run") as run:
        until(lambda: held(database), "the run to hold")
        assert held(database) == f"{stop} exists"
        stop.unlink()
        code, _, err = run.end()
    assert code == 0, err
    assert f"{stop} exists" in err
    assert database["score_events"].count_documents({}) == ALL
