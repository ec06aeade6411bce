"""Chunks that other processes work on: the same comes of it, whatever becomes of them, and whoever looks at them."""

from __future__ import annotations

import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.workers.executor import Executor
from tests.apps import TASKS, UNHURRIED, task, user
from tests.mongod.workers.apps import LONG, configured, fill, fill_with_history, left, of_history
from tests.runs import closed_chunks, ended, started, state_rows, until, write_config

pytestmark = pytest.mark.usefixtures("mongod")
BY_PROCESSES = ("--executor", "processes", "--workers", "2")
DEADLY = """
import multiprocessing, os

def points(frame):
    return [1] * len(frame) if multiprocessing.parent_process() is None else os._exit(9)
"""


def workers_of(run):
    """The processes that work for a run."""
    return [each for one in psutil.Process(run.pid).children() if _works(one) for each in _children(one)]


def _children(process):
    try:
        return process.children()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended a moment ago
        return []


def _works(process):
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended a moment ago
        return False


def has_started(worker):
    """Whether it has a way to the server beside the one to its run. How long that takes says nothing: killed sooner
    again and again, a run gives up.
    """
    with suppress(OSError):  # it ended a moment ago
        opened = Path(f"/proc/{worker.pid}/fd").iterdir()
        return sum(str(each.readlink()).startswith("socket:") for each in opened) > 1
    return False


def spent(worker):
    """How much of a processor a process has had, which does not hang on what else the machine does."""
    try:
        return sum(worker.cpu_times()[:2])
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended a moment ago
        return 0.0


def kill_at_random(run, rng, most, at_start=0.0, within=0.4):
    """Kill so many workers, each at any moment of its work; some, by `at_start`, before they can do any.

    The moment is one of its own processor time, `within` so many seconds of work: so on any machine as much is done
    between two kills.
    """
    fates, killed = {}, 0
    while killed < most and run.alive:
        time.sleep(0.1)
        for worker in workers_of(run):
            early = fates.setdefault((worker.pid, "starts"), rng.random() < at_start)
            if has_started(worker):
                last = fates.setdefault((worker.pid, "works"), spent(worker) + rng.uniform(0.0, within))
                early = spent(worker) > last
            if early:
                worker.kill()
                worker.wait(5)
                killed += 1
    return killed


def test_processes_leave_what_threads_leave(database, twin, server_uri, tmp_path, monkeypatch):
    monkeypatch.setenv("MONGODB_URI", server_uri)
    for app, executor in ((database, Executor.PROCESSES), (twin, Executor.THREADS)):
        fill(app, 60)
        config = load_config(configured(tmp_path, app))
        commands.run(config, to=4, no_backup=True, terms=commands.Terms(workers=1, executor=executor))
    assert left(database) == left(twin)
    assert len(left(database)[0]["score_events"]) == 70


@pytest.mark.slow
def test_what_was_undone_or_moved_since_is_settled_by_processes_as_by_threads(database, twin, server_uri, tmp_path):
    for app, words in ((database, BY_PROCESSES), (twin, ())):
        fill(app, 200)
        config = configured(tmp_path, app)
        assert ended(server_uri, config, "run", "--to", "4", *words)[0] == 0
        later = task(2_000)["completedAt"]
        app["tasks"].update_many(
            {"userId": task(0, owner=3)["userId"]}, {"$set": {"updatedAt": later, "status": "open"}}
        )
        app["tasks"].update_many(
            {"userId": task(0, owner=4)["userId"]}, {"$set": {"updatedAt": later, "priority": "x"}}
        )
        code, _, err = ended(server_uri, config, "backfill", *words)
        assert code == 0, err
    assert left(database)[0] == left(twin)[0]
    assert {event["meta"].get("reason") for event in left(database)[0]["score_events"].values()} >= {"voided"}


MANY = 15_000  # documents, so that the work lasts for twenty kills, and most chunks end between two of them


@pytest.mark.slow
def test_a_worker_that_is_killed_at_any_moment_changes_nothing(database, twin, server_uri, tmp_path):
    """Of each kill one chunk at most is done once more."""
    fill(twin, MANY)
    assert ended(server_uri, configured(tmp_path, twin), "run")[0] == 0
    fill(database, MANY)
    with started(server_uri, configured(tmp_path, database), "run", *BY_PROCESSES) as run:
        killed = kill_at_random(run, random.Random(16), 20, within=0.1)
        code, _, err = run.end(200)
    assert (code, killed) == (0, 20), err
    assert left(database)[0] == left(twin)[0]
    assert "was killed by SIGKILL; what it had in hand is done once more" in " ".join(err.split())


@pytest.mark.slow
def test_workers_that_die_of_one_chunk_end_the_run_with_its_name(database, server_uri, tmp_path):
    """A rule that ends its process: what the system does where memory runs out."""
    fill(database, 40)
    (tmp_path / "deadly.py").write_text(DEADLY)
    config = write_config(tmp_path, database.name, [{**TASKS, "points": "deadly:points"}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.path", [str(tmp_path), *sys.path])
        with started(server_uri, config, "run", *BY_PROCESSES, "--allow-functions", "deadly") as run:
            code, _, err = run.end(120)
    told = " ".join(err.split())
    assert code == 1, err
    assert "ended with 9 with chunk:tasks:1:0:0 in hand" in told
    assert "fewer --workers" in told


@pytest.mark.slow
def test_ctrl_c_reaches_the_run_alone_and_its_workers_go_with_it(database, server_uri, tmp_path):
    fill(database)
    with started(server_uri, configured(tmp_path, database, documents_per_second=200), "run", *BY_PROCESSES) as run:
        until(lambda: closed_chunks(database) >= 2 or not run.alive, "two chunks")
        workers = workers_of(run)
        for each in (*workers, psutil.Process(run.pid)):  # as a terminal does
            each.send_signal(signal.SIGINT)
        code, _, err = run.end()
    assert code == 130, err
    assert "Traceback" not in err
    assert len(workers) == 2
    until(lambda: not any(each.is_running() for each in workers), "their end")
    rows = state_rows(database).values()
    assert {row["status"] for row in rows if row["kind"] == "chunk"} == {"emitted"}, "what was begun was finished"


@pytest.mark.slow
def test_a_run_that_is_killed_takes_its_workers_along_and_the_next_one_goes_on(database, twin, server_uri, tmp_path):
    for app in (database, twin):
        fill(app)
    config = configured(tmp_path, database, documents_per_second=200)
    with started(server_uri, config, "run", *BY_PROCESSES) as run:
        until(lambda: closed_chunks(database) >= 2 or not run.alive, "two chunks")
        workers = workers_of(run)
        run.kill()
    until(lambda: not any(each.is_running() for each in workers), "the end of its workers")
    for app, words in ((database, BY_PROCESSES), (twin, ())):
        assert ended(server_uri, configured(tmp_path, app), "run", *words)[0] == 0
    assert left(database)[0] == left(twin)[0]


@pytest.mark.slow
def test_no_worker_writes_once_another_run_has_taken_over(database, twin, server_uri, tmp_path):
    for app in (database, twin):
        fill(app)
    with started(server_uri, configured(tmp_path, database, documents_per_second=100), "run", *BY_PROCESSES) as run:
        until(lambda: closed_chunks(database) >= 2 or not run.alive, "two chunks")
        workers = workers_of(run)
        for each in (psutil.Process(run.pid), *workers):
            each.suspend()
        ended(server_uri, configured(tmp_path, database), "unlock", "--yes")
        before = database["score_events"].count_documents({})
        for each in (*workers, psutil.Process(run.pid)):
            each.resume()
        code, _, err = run.end()
    assert code == 4, err
    assert database["score_events"].count_documents({}) <= before + 2, "a write that was on its way"
    for app in (database, twin):
        assert ended(server_uri, configured(tmp_path, app), "run")[0] == 0
    assert left(database)[0] == left(twin)[0]


@pytest.mark.slow
def test_no_secret_stands_on_the_command_line_of_a_worker(database, server_uri, tmp_path):
    fill(database)
    uri = f"{server_uri}{'&' if '?' in server_uri else '/?'}appname=S3cr3tMark"
    with started(uri, configured(tmp_path, database, documents_per_second=100), "run", *BY_PROCESSES) as run:
        until(lambda: closed_chunks(database) >= 1 or not run.alive, "a chunk")
        lines = [" ".join(each.cmdline()) for each in psutil.Process(run.pid).children(recursive=True)]
        run.kill()
    assert len(lines) >= 2
    assert not [line for line in lines if "S3cr3tMark" in line or "mongodb://" in line]


@pytest.mark.slow
def test_the_sum_of_three_workers_keeps_to_the_pace_within_a_tenth(database, server_uri, tmp_path):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(each, owner=1 + each % 50, hours=each / 10) for each in range(24_000)])
    backfill = {"chunk_size": 1_000, "workers": 3, "target": None}
    throttle = {**UNHURRIED, "documents_per_second": 2_000}
    config = write_config(tmp_path, database.name, [TASKS], backfill=backfill, throttle=throttle)
    seen = []
    with started(server_uri, config, "run", "--to", "4", "--executor", "processes") as run:
        while not seen or seen[-1][1] < 22_000:
            seen.append((time.monotonic(), database["score_events"].estimated_document_count()))
            assert run.alive, run.end()
            time.sleep(0.05)
        assert run.end(60)[0] == 0
    (first, had), (last, has) = next(each for each in seen if each[1] >= 2_000), seen[-1]
    assert (has - had) / (last - first) == pytest.approx(2_000, rel=0.1)


@pytest.mark.slow
@of_history
@pytest.mark.timeout(1200)
def test_processes_leave_what_threads_leave_of_real_history(database, twin, server_uri, tmp_path):
    for app, words in ((database, BY_PROCESSES), (twin, ())):
        with started(server_uri, fill_with_history(app, tmp_path), "run", *words) as run:
            code, _, err = run.end(LONG)
        assert code == 0, err
    assert left(database) == left(twin)
