"""Runs that end without a message, or lose their terminal: everybody who looks is told the truth, and the way on."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from lbmigrate.state import State
from tests.apps import SESSIONS, TASKS, session, task, user
from tests.runs import Run, closed_chunks, derived, ended, started, state_rows, until, write_config

pytestmark = pytest.mark.usefixtures("mongod")
BACKFILL = {"chunk_size": 20, "workers": 1, "target": None}


@pytest.fixture
def app(client):
    database = client[f"test_{uuid.uuid4().hex[:12]}"]
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(200)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(40)])
    yield database
    client.drop_database(database.name)


@pytest.fixture
def config(app, tmp_path) -> Path:
    throttle = {"max_lag": None, "max_queue": None, "latency_factor": None, "documents_per_second": 200}
    return write_config(tmp_path, app.name, [TASKS, SESSIONS], backfill=BACKFILL, throttle=throttle)


@pytest.fixture
def killed(app, config, server_uri) -> Run:
    """A run that was killed with -9 in the middle of its work."""
    with started(server_uri, config, "run") as run:
        until(lambda: closed_chunks(app) >= 2 or not run.alive, "two chunks")
        assert run.alive, run.end()
        run.send(signal.SIGKILL)
        run.process.wait()
    return run


def told(server_uri, config, *words):
    _, out, err = ended(server_uri, config, *words)
    return out + err


@pytest.mark.slow
def test_a_run_that_was_killed_is_shown_as_died_with_the_command_that_goes_on(app, config, server_uri, killed):
    assert State(app).runs(1)[0]["outcome"] == "running"  # nobody was there to write anything else
    history = told(server_uri, config, "history")
    assert "died" in history
    assert "running" not in history
    assert "lbmigrate run" in history
    status = told(server_uri, config, "status")
    assert "run died" in status
    assert f"free: pid {killed.pid}" in status
    doctor = told(server_uri, config, "doctor")
    assert "another run holds the lock" not in doctor
    assert "the last run (run) ended in died" in doctor
    assert "→ lbmigrate run" in doctor
    assert ended(server_uri, config, "run")[0] == 0  # what they say ends the situation
    history = told(server_uri, config, "history")
    assert ("done" in history, "died" in history) == (True, True)


@pytest.mark.slow
def test_a_run_on_another_host_has_died_when_its_lease_has_ended_and_not_before(app, config, server_uri, killed):
    rows, elsewhere = State(app).rows, {"holder.host": "elsewhere", "holder.table": "another machine"}
    rows.update_one({"_id": "lock"}, {"$set": elsewhere})
    assert outcomes(server_uri, config) == ["running"]
    rows.update_one({"_id": "lock"}, [{"$set": {"expiresAt": {"$subtract": ["$$NOW", 1000]}}}])
    assert outcomes(server_uri, config) == ["died"]


@pytest.mark.slow
def test_a_run_is_not_alive_because_a_later_one_holds_the_lock(app, config, server_uri, killed):
    State(app).note("control", paused={"by": "ada", "at": task(0)["completedAt"]})  # it stays, however long this takes
    with started(server_uri, config, "run") as later:
        until(lambda: len(State(app).runs()) == 2 or not later.alive, "the second run")
        assert outcomes(server_uri, config) == ["running", "died"]


def outcomes(server_uri, config):
    return [run["outcome"] for run in json.loads(ended(server_uri, config, "history", "--json")[1])["runs"]]


@pytest.mark.slow
def test_a_tail_that_gives_no_sign_of_life_is_not_shown_as_up_to_date(app, config, server_uri, killed):
    now = app.client.admin.command("hello")["localTime"]
    State(app).note("tail", at=now.replace(year=2020), lag=0.0, events=7)
    status = told(server_uri, config, "status")
    assert "0.0 s behind" not in status
    assert "nobody follows" in status
    assert "next: lbmigrate tail" in status


@pytest.mark.slow
def test_a_lost_terminal_ends_a_run_after_the_chunk_at_hand_and_the_same_command_goes_on(app, config, server_uri):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "MONGODB_URI": server_uri, "LBMIGRATE_CONFIG": str(config)}
    environment |= {"LBMIGRATE_BACKUP_REF": "a test's"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    # Tests that themselves run under `nohup` ignore SIGHUP, and what they start would too.
    heard = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
    terminal = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    opening = f"{heard}; {terminal}; from lbmigrate.cli.main import main; main()"
    words = [sys.executable, "-c", opening, "run"]
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=environment
    )
    os.close(theirs)
    try:
        until(lambda: closed_chunks(app) >= 1 or process.poll() is not None, "a chunk")
        os.close(ours)
        assert process.wait(30) == 129
    finally:
        process.kill()
        process.wait()
    rows = state_rows(app)
    assert [row["outcome"] for row in rows.values() if row["kind"] == "run"] == ["stopped"]
    assert rows["lock"]["holder"] is None
    assert ended(server_uri, config, "run")[0] == 0
    assert len(derived(app)["score_events"]) == 240


@pytest.mark.slow
def test_a_run_that_was_started_to_outlive_its_terminal_goes_on(app, config, server_uri):
    with started_deaf(server_uri, config) as run:
        until(lambda: closed_chunks(app) >= 1 or not run.alive, "a chunk")
        run.send(signal.SIGHUP)
        assert run.end()[0] == 0


def started_deaf(server_uri, config):
    """A run as `nohup` starts it: SIGHUP is ignored, and that is inherited."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return _Running(server_uri, config)
    finally:
        signal.signal(signal.SIGHUP, before)


class _Running(Run):
    def __init__(self, server_uri, config):
        super().__init__(server_uri, config, "run")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
