"""Workers that join a run from wherever they are: they share its work, and may come and go."""

from __future__ import annotations

import random
import signal
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.errors import UsageError
from lbmigrate.state import State
from lbmigrate.workers.joining import SHARED, START
from tests.mongod.workers.apps import configured, fill, left
from tests.runs import closed_chunks, ended, started, state_rows, until

pytestmark = pytest.mark.usefixtures("mongod")


def workers(database):
    return [row for row in state_rows(database).values() if row["kind"] == "worker"]


def joined(config):
    """What a worker has done for the run, as soon as there is one."""
    while True:
        try:
            return commands.work(config)
        except UsageError:  # no run is going on yet
            time.sleep(0.02)


@contextmanager
def at_work(database, server_uri, config):
    """A run that has begun to read, so that workers find it."""
    with started(server_uri, config, "run") as run:
        until(lambda: closed_chunks(database) or not run.alive, "a chunk")
        yield run


@pytest.mark.slow
def test_a_worker_shares_the_work_of_the_run_that_is_going_on_and_ends_with_it(
    database, twin, server_uri, tmp_path, monkeypatch
):
    monkeypatch.setenv("MONGODB_URI", server_uri)
    done = []
    for app, throttle in ((database, {"documents_per_second": 100}), (twin, {})):
        fill(app, 150)
        config = load_config(configured(tmp_path, app, **throttle))
        if app is database:
            helper = threading.Thread(target=lambda config=config: done.append(joined(config)))
            helper.start()
        commands.run(config, to=4, no_backup=True)
    helper.join(20)
    assert not helper.is_alive()
    assert (done[0].tasks > 0, done[0].documents > 0) == (True, True)
    assert left(database) == left(twin)
    assert workers(database) == []


def test_where_no_run_is_going_on_a_worker_says_what_is_to_be_started(terminal, database):
    found = terminal("worker")
    assert (found.code, "no run is going on" in found.err) == (2, True)
    assert found.hint == START
    fill(database, 20)
    for verb in SHARED:
        assert terminal(*verb.split()).code == 0, "which can be started"


@pytest.mark.slow
def test_another_configuration_or_version_is_refused_and_the_same_one_is_not(
    database, server_uri, tmp_path, monkeypatch
):
    fill(database)
    config = configured(tmp_path, database, documents_per_second=100)
    with started(server_uri, config, "run") as run:
        until(lambda: closed_chunks(database) >= 1 or not run.alive, "a chunk")
        other = tmp_path / "other.yaml"
        other.write_text(config.read_text().replace("points: 10", "points: 11"))
        code, _, err = ended(server_uri, other, "worker")
        told = "is another one than the run's: it differs in sources:tasks\n"
        assert (code, told in " ".join(err.split(" "))) == (6, True), err
        State(database).rows.update_one({"kind": "run"}, {"$set": {"marks.version": "0.0.1"}})
        code, _, err = ended(server_uri, config, "worker")
        assert (code, "and the run is by 0.0.1" in " ".join(err.split())) == (6, True), err
        assert run.alive


@pytest.mark.slow
def test_status_lists_who_has_joined_with_rates_and_the_last_sign_of_life(database, server_uri, tmp_path):
    fill(database)
    config = configured(tmp_path, database, documents_per_second=8)
    with at_work(database, server_uri, config) as run, started(server_uri, config, "worker") as one:
        until(lambda: any(row.get("tasks") for row in workers(database)) or not run.alive, "a task")
        _, out, _ = ended(server_uri, config, "status")
        told = " ".join(out.split())
        assert f"worker pid {one.pid} on" in told
        assert "documents, " in told
        assert "seen " in told
        one.send(signal.SIGTERM)
        assert one.end()[0] == 143
        assert workers(database) == []
        assert run.alive


@pytest.mark.slow
def test_a_worker_that_is_sent_home_leaves_and_does_not_say_that_it_was_not_heard_of(database, server_uri, tmp_path):
    """The run lets go of its lock somewhat later than of those who work for it."""
    fill(database, 150)
    config = configured(tmp_path, database, documents_per_second=100)
    with at_work(database, server_uri, config) as run, started(server_uri, config, "worker") as one:
        until(lambda: any(row.get("tasks") for row in workers(database)) or not run.alive, "a task")
        database["lbmigrate_state"].delete_many({"kind": "worker"})  # as a run does that has nothing left to hand out
        code, _, err = one.end()
        assert (code, run.alive) == (0, True), err
        assert ("left run" in err, "not heard of" in err) == (True, False), err
        assert run.end()[0] == 0


@pytest.mark.slow
def test_three_workers_that_are_killed_and_started_at_random_change_nothing(database, twin, server_uri, tmp_path):
    fill(twin)
    assert ended(server_uri, configured(tmp_path, twin), "run")[0] == 0
    fill(database)
    config = configured(tmp_path, database, documents_per_second=50)
    rng, kills = random.Random(3), 0
    with ExitStack() as later:
        run = later.enter_context(started(server_uri, config, "run"))
        until(lambda: closed_chunks(database) >= 1 or not run.alive, "a chunk")
        helpers = [later.enter_context(started(server_uri, config, "worker")) for _ in range(3)]
        while run.alive and closed_chunks(database) < 34:
            time.sleep(rng.uniform(0.1, 1.0))
            place = rng.randrange(3)
            if any(row.get("task") for row in workers(database)):
                helpers[place].kill()
                kills += 1
                helpers[place] = later.enter_context(started(server_uri, config, "worker"))
        code, _, err = run.end(200)
    assert code == 0, err
    assert kills >= 3
    assert left(database)[0] == left(twin)[0]


@pytest.mark.slow
def test_a_worker_that_sleeps_is_given_up_and_writes_nothing_when_it_wakes_up(database, twin, server_uri, tmp_path):
    fill(twin)
    assert ended(server_uri, configured(tmp_path, twin), "run")[0] == 0
    fill(database)
    config = configured(tmp_path, database, documents_per_second=40)
    with at_work(database, server_uri, config) as run, started(server_uri, config, "worker") as one:
        until(lambda: any(row.get("task") for row in workers(database)) or not run.alive, "a task")
        one.send(signal.SIGSTOP)
        until(lambda: not workers(database) or not run.alive, "the worker to be given up", 60)
        one.send(signal.SIGCONT)
        code, _, err = run.end(200)
        assert code == 0, err
        code, out, told = one.end()
        assert code == 0, out + told
    assert "was not heard of any more; what it had in hand is done once more" in " ".join(err.split())
    assert left(database)[0] == left(twin)[0]
