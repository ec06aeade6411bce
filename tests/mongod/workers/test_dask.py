"""Chunks that a Dask cluster works on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import psutil
import pytest

from lbmigrate.mongo.process import free_port, start_mongod
from tests.mongod.workers.apps import LONG, configured, fill, fill_with_history, left, of_history
from tests.runs import AT_ONCE, closed_chunks, ended, started, state_rows, until

pytest.importorskip("distributed")
pytestmark = [pytest.mark.usefixtures("mongod"), pytest.mark.slow]
PATIENCE = 240


def ran(uri, config, *words):
    with started(uri, config, "run", *words) as run:
        return run.end(PATIENCE)


@contextmanager
def process(*words, **environment):
    """A process of Dask, as an operator starts it."""
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
    found = subprocess.Popen(command, env={**os.environ, **path, **environment}, stderr=subprocess.DEVNULL)
    try:
        yield found
    finally:
        for each in [*psutil.Process(found.pid).children(recursive=True), psutil.Process(found.pid)]:
            each.kill()
        found.wait()


def test_a_cluster_of_this_host_leaves_what_threads_leave(database, twin, server_uri, tmp_path):
    for app, words in ((database, ("--executor", "dask", "--workers", "2")), (twin, ())):
        fill(app, 100)
        code, _, err = ran(server_uri, configured(tmp_path, app), *words)
        assert code == 0, err
    assert left(database) == left(twin)


@of_history
@pytest.mark.timeout(1200)
def test_a_cluster_of_two_leaves_of_real_history_what_one_thread_leaves(database, twin, server_uri, tmp_path):
    for app, words in ((database, ("--executor", "dask", "--workers", "2")), (twin, ("--workers", "1"))):
        with started(server_uri, fill_with_history(app, tmp_path), "run", *words) as run:
            code, _, err = run.end(LONG)
        assert code == 0, err
    assert left(database) == left(twin)


MANY = 3_000  # documents, so that the run goes on until the last kill
KILLS = 20


def at_work(run):
    """The processes of the cluster of a run that have begun to work."""
    found = (each for each in psutil.Process(run.pid).children(recursive=True) if is_worker(each))
    return sorted(found, key=lambda each: each.pid)


def is_worker(process):
    try:
        return "spawn_main" in " ".join(process.cmdline()) and time.time() - process.create_time() > 3.0
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended a moment ago
        return False


@pytest.mark.timeout(1200)
def test_a_worker_of_the_cluster_that_is_killed_at_any_moment_changes_nothing(database, twin, server_uri, tmp_path):
    fill(twin, MANY)
    assert ran(server_uri, configured(tmp_path, twin))[0] == 0
    fill(database, MANY)
    rng, killed = random.Random(16), 0
    words = ("run", "--executor", "dask", "--workers", "2")
    with started(server_uri, configured(tmp_path, database, documents_per_second=40), *words) as run:
        until(lambda: closed_chunks(database) >= 1 or not run.alive, "a chunk", 120)
        while killed < KILLS and run.alive:
            time.sleep(rng.uniform(0.05, 1.5))  # any moment
            if there := at_work(run):
                rng.choice(there).kill()
                killed += 1
        code, _, err = run.end(LONG)
    assert (code, killed) == (0, KILLS), err
    assert left(database)[0] == left(twin)[0]


def is_alive(process):
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "the end of a service"])
def test_what_a_terminal_or_systemd_sends_to_all_processes_ends_the_run_with_what_is_begun(
    database, server_uri, tmp_path, word
):
    fill(database, 1_000)
    config = configured(tmp_path, database, documents_per_second=60)
    with started(server_uri, config, "run", "--executor", "dask", "--workers", "2") as run:
        until(lambda: closed_chunks(database) >= 2 or not run.alive, "two chunks", 120)
        there = psutil.Process(run.pid).children(recursive=True)
        for each in (*there, psutil.Process(run.pid)):
            each.send_signal(word)
        code, _, err = run.end(60)
    assert code == 128 + word, err
    assert "Traceback" not in err
    until(lambda: not any(is_alive(each) for each in there), "their end")
    rows = state_rows(database).values()
    assert {row["status"] for row in rows if row["kind"] == "chunk"} == {"emitted"}, "what was begun was finished"


@pytest.fixture
def bare(database, tmp_path):
    """A scheduler without workers: its address, and a configuration."""
    port = free_port()
    with process("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"):
        yield f"tcp://127.0.0.1:{port}", configured(tmp_path, database)


def worker_at(address, **here):
    """A worker that has the configuration and the server in its own environment."""
    return process("dask_worker", address, "--nthreads", "2", "--no-dashboard", **here)


@contextmanager
def started_elsewhere(home):
    """Another server, to which a worker may lead by mistake."""
    other = start_mongod(home / "other", free_port(), extra=[AT_ONCE])
    yield other.uri
    other.stop()


@pytest.fixture
def site(database, server_uri, tmp_path):
    """A scheduler and a worker: the address, the scheduler's process, the configuration."""
    fill(database)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    config = configured(tmp_path, database, documents_per_second=150)
    place = ("--host", "127.0.0.1", "--port", str(port))
    with (
        process("dask_scheduler", *place, "--no-dashboard") as scheduler,
        worker_at(address, MONGODB_URI=server_uri, LBMIGRATE_CONFIG=str(config)),
    ):
        yield address, scheduler, config


def test_the_scheduler_killed_ends_the_run_with_the_command_to_go_on_and_going_on_ends_equal(
    site, database, twin, server_uri, tmp_path
):
    address, scheduler, config = site
    with started(server_uri, config, "run", "--executor", "dask", "--scheduler", address) as run:
        until(lambda: closed_chunks(database) >= 3 or not run.alive, "three chunks", 120)
        assert run.alive, run.end()
        psutil.Process(scheduler.pid).kill()
        code, _, err = run.end(PATIENCE)
    assert code == 1, err
    assert "distributed" not in err, "which would be a line between those of --log-format json"
    assert "then run the same command again" in " ".join(err.split())
    fill(twin)
    for app in (database, twin):
        assert ran(server_uri, configured(tmp_path, app))[0] == 0
    assert left(database)[0] == left(twin)[0]


def test_workers_of_another_configuration_are_refused(site, database, server_uri, tmp_path):
    address, _, config = site
    other = tmp_path / "other.yaml"
    other.write_text(config.read_text().replace("points: 10", "points: 11"))
    code, _, err = ran(server_uri, other, "--executor", "dask", "--scheduler", address)
    assert (code, "is another one than the run's" in " ".join(err.split())) == (6, True), err
    assert database["score_events"].count_documents({}) == 0


def test_where_there_is_no_scheduler_the_run_says_how_to_start_one(database, server_uri, tmp_path):
    fill(database, 20)
    address = f"tcp://127.0.0.1:{free_port()}"
    code, _, err = ran(server_uri, configured(tmp_path, database), "--executor", "dask", "--scheduler", address)
    assert (code, "dask scheduler starts one" in " ".join(err.split())) == (1, True), err
    code, _, err = ended(server_uri, configured(tmp_path, database), "run", "--scheduler", address)
    assert (code, "--scheduler belongs to --executor dask" in " ".join(err.split())) == (2, True), err
    assert ran(server_uri, configured(tmp_path, database))[0] == 0


HINTED = "start it again with the version, configuration and environment of this run: dask worker tcp://127.0.0.1:"


def test_workers_at_another_server_are_refused_before_they_do_anything(bare, home, database, server_uri, tmp_path):
    """There a verification would find nothing wrong, and a backfill nothing to do."""
    address, config = bare
    fill(database, 60)
    assert ran(server_uri, config)[0] == 0
    with started_elsewhere(home) as other, worker_at(address, MONGODB_URI=other, LBMIGRATE_CONFIG=str(config)):
        words = ("verify", "--full", "--executor", "dask", "--scheduler", address)
        code, _, err = ended(server_uri, config, *words)
    told = " ".join(err.split())
    assert (code, "is another server than the run's" in told, HINTED in told) == (6, True, True), err


def test_a_worker_without_a_configuration_is_told_with_what_gives_it_one(bare, database, server_uri, tmp_path):
    address, config = bare
    fill(database, 60)
    with worker_at(address, LBMIGRATE_CONFIG=str(tmp_path / "none.yaml")):
        code, _, err = ran(server_uri, config, "--executor", "dask", "--scheduler", address)
    told = " ".join(err.split())
    assert (code, "none.yaml does not exist" in told, HINTED in told) == (2, True, True), err
    assert "the Dask worker with pid" in told
    with worker_at(address, MONGODB_URI=server_uri, LBMIGRATE_CONFIG=str(config)):
        assert ran(server_uri, config, "--executor", "dask", "--scheduler", address)[0] == 0
