"""Every verb that is shared out, with processes: documents, findings and exit codes are those of threads."""

from __future__ import annotations

import random
import signal
import sys

import psutil
import pytest

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.testing import CORRUPTIONS
from lbmigrate.workers.executor import Executor
from lbmigrate.workers.starting import Afresh, Copied
from tests.apps import TASKS, oid, task
from tests.mongod.workers.apps import configured, fill, left
from tests.mongod.workers.test_processes import BY_PROCESSES, has_started, kill_at_random, workers_of
from tests.runs import started, until, write_config

pytestmark = [pytest.mark.usefixtures("mongod"), pytest.mark.slow]
FULL = ("verify", "--full", "--json")
VERBS = {
    "reconcile": ("reconcile", "--allow", "5000"),
    "recount": ("recount",),
    "verify": FULL,
    "repair": (*FULL, "--repair", "--allow", "5000"),
    "backfill": ("backfill", "--full"),
}
DAMAGE = (
    "swapped scores",
    "dropped event",
    "event of nobody",
    "wrong week across an edge",
    "points changed in the ledger",
)
# A range that is counted once more is read whatever the ledger has, and its users are rolled up: by that a recount
# may heal entries that nobody has asked it to. So only what it settles, or leaves, whoever does it.
DAMAGE_OF = {"recount": ("dropped event", "event of nobody")}
PATIENCE = 240
# Each costs a start, which on a machine that others use takes ten times as long as the task that is lost.
KILLS = 20


def changed(app, damage):
    """What every verb has something to do about."""
    app["tasks"].update_many({"userId": oid(3)}, {"$set": {"status": "todo"}})
    app["tasks"].update_many({"userId": oid(4)}, {"$set": {"userId": oid(5)}})
    app["sessions"].update_many({"userId": oid(2)}, {"$set": {"durationSec": 60}})
    app["tasks"].insert_one(task(-40, owner=2))
    for name in damage:
        CORRUPTIONS[name].inject(app, random.Random(3))


@pytest.fixture
def apps(database, twin, server_uri, tmp_path):
    """Two equal apps, migrated and then changed; how many documents they have."""

    def made(number=200, damage=DAMAGE):
        for app in (database, twin):
            fill(app, number)
            assert ran(server_uri, configured(tmp_path, app), "run", "--to", "4")[0] == 0
            changed(app, damage)
        return database, twin

    return made


def verdict_of(app):
    """What a verification keeps, but for times."""
    found = app["lbmigrate_state"].find_one({"_id": "verdict"}) or {}
    told = {key: found.get(key) for key in ("passed", "kinds", "first", "findings", "later", "users", "entries")}
    sums = [(row["period"], row["points"], row["ledger_points"], row["source_points"]) for row in found["periods"]]
    return told, sums


def ran(server_uri, config, *words):
    with started(server_uri, config, *words) as run:
        return run.end(PATIENCE)


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_that_is_shared_out_comes_to_the_same(name, apps, server_uri, tmp_path):
    codes, (database, twin) = [], apps()
    for app, words in ((database, BY_PROCESSES), (twin, ())):
        code, _, err = ran(server_uri, configured(tmp_path, app), *VERBS[name], *words)
        codes.append(code)
        assert code in (0, 5), err
    assert codes[0] == codes[1]
    assert left(database) == left(twin)
    if "verify" in VERBS[name]:
        assert verdict_of(database) == verdict_of(twin)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", VERBS)
def test_a_worker_that_is_killed_at_any_moment_of_a_verb_changes_nothing(name, apps, server_uri, tmp_path):
    """Now and then also while it starts: then it had nothing in hand."""
    number = 1_000 if name == "repair" else 3_000  # which is more than three of the other verbs
    database, twin = apps(number, DAMAGE_OF.get(name, DAMAGE))
    wanted, _, err = ran(server_uri, configured(tmp_path, twin), *VERBS[name])
    assert wanted in (0, 5), err
    with started(server_uri, configured(tmp_path, database), *VERBS[name], *BY_PROCESSES) as run:
        killed = kill_at_random(run, random.Random(16), KILLS, at_start=0.05)
        code, _, err = run.end(PATIENCE)
    assert (code, killed > 0) == (wanted, True), err
    assert left(database)[0] == left(twin)[0]
    if "verify" in VERBS[name]:
        assert verdict_of(database) == verdict_of(twin)


def test_a_dask_cluster_leaves_what_threads_leave_of_every_verb(apps, server_uri, tmp_path):
    pytest.importorskip("distributed")
    database, twin = apps()
    for verb in ("recount", "reconcile", "verify"):
        codes = []
        for app, words in ((database, ("--executor", "dask", "--workers", "2")), (twin, ())):
            code, _, err = ran(server_uri, configured(tmp_path, app), *VERBS[verb], *words)
            codes.append(code)
            assert code in (0, 5), err
        assert codes[0] == codes[1]
        assert left(database) == left(twin), verb
    assert verdict_of(database) == verdict_of(twin)


def test_a_verification_that_is_interrupted_ends_with_its_workers_and_goes_on(apps, server_uri, tmp_path):
    database, twin = apps(3_000)
    assert ran(server_uri, configured(tmp_path, twin), *FULL)[0] == 5
    config = configured(tmp_path, database)
    with started(server_uri, config, *FULL, *BY_PROCESSES) as run:
        until(lambda: (_verification(database).get("phase") or 0) >= 1 or not run.alive, "the sources")
        workers = workers_of(run)
        run.send(signal.SIGINT)
        code, _, err = run.end(PATIENCE)
    assert code == 130, err
    assert len(workers) == 2
    until(lambda: not any(each.is_running() for each in workers), "their end")
    assert ran(server_uri, config, *FULL, *BY_PROCESSES)[0] == 5
    assert verdict_of(database) == verdict_of(twin)


def _verification(app):
    return app["lbmigrate_state"].find_one({"_id": "verification"}) or {}


def test_limits_stop_a_reconciliation_of_processes_with_the_same_code(apps, server_uri, tmp_path):
    database, _ = apps(600)
    words = (*VERBS["reconcile"], "--max-docs", "200", *BY_PROCESSES)
    assert ran(server_uri, configured(tmp_path, database), *words)[0] == 3
    assert ran(server_uri, configured(tmp_path, database), *VERBS["reconcile"], *BY_PROCESSES)[0] == 0
    assert ran(server_uri, configured(tmp_path, database), *FULL, "--repair", *BY_PROCESSES)[0] in (0, 5)


# --- workers who do not get ready ----------------------------------------------------------------------------------

BROKEN = {
    "import": "raise ImportError('no such library on this host')",
    "memory": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "printed": "import os\nos._exit(3)",
}
SAID = {
    "import": "importing unsound failed: ImportError('no such library on this host')",
    "memory": "was killed by SIGKILL while it started",
    "printed": "ended with 3 while it started",
}


@pytest.mark.parametrize("how", BROKEN)
def test_workers_who_die_while_they_start_end_the_run_with_the_reason_and_no_chunk_is_to_blame(
    how, database, twin, server_uri, tmp_path
):
    """The rule is at home in a module that goes wrong in another process than the run."""
    fill(database, 60)
    body = BROKEN[how].replace("\n", "\n    ")
    told = f"import multiprocessing\nif multiprocessing.parent_process() is not None:\n    {body}\n"
    (tmp_path / "unsound.py").write_text(f"{told}\ndef points(frame):\n    return [10] * len(frame)\n")
    config = write_config(tmp_path, database.name, [{**TASKS, "points": "unsound:points"}])
    allowed = ("--allow-functions", "unsound")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.path", [str(tmp_path), *sys.path])
        with started(server_uri, config, "run", *BY_PROCESSES, *allowed) as run:
            code, _, err = run.end(120)
        said = " ".join(err.split())
        assert (code, SAID[how] in said, "leave out --executor: threads do that work" in said) == (
            2 if how == "import" else 1,
            True,
            True,
        ), err
        chunks = list(database["lbmigrate_state"].find({"kind": "chunk"}))
        assert {row["status"] for row in chunks} == {"claimed"}
        assert ran(server_uri, config, "run", *allowed)[0] == 0


def test_a_worker_that_is_killed_while_it_starts_is_replaced(database, server_uri, tmp_path):
    fill(database, 200)
    with started(server_uri, configured(tmp_path, database), "run", *BY_PROCESSES) as run:
        until(lambda: workers_of(run) or not run.alive, "a worker")
        workers_of(run)[0].send_signal(signal.SIGKILL)
        code, _, err = run.end(PATIENCE)
    assert code == 0, err
    assert "was killed by SIGKILL while it started; another one is started" in " ".join(err.split())
    assert {row["attempts"] for row in database["lbmigrate_state"].find({"kind": "chunk"})} == {1}


@pytest.mark.parametrize("start", [Copied, Afresh])
def test_workers_come_to_the_same_however_they_are_started(start, apps, server_uri, tmp_path, monkeypatch):
    """Not every system can copy a process."""
    monkeypatch.setenv("MONGODB_URI", server_uri)
    monkeypatch.setattr("lbmigrate.workers.processes.starter", start)
    database, twin = apps(60)
    commands.recount(load_config(configured(tmp_path, database)), terms=commands.Terms(executor=Executor.PROCESSES))
    commands.recount(load_config(configured(tmp_path, twin)))
    assert left(database) == left(twin)


def test_what_workers_are_copied_from_may_be_killed_as_well(apps, server_uri, tmp_path):
    database, twin = apps(400, DAMAGE_OF["recount"])
    assert ran(server_uri, configured(tmp_path, twin), *VERBS["recount"])[0] == 0
    config = configured(tmp_path, database, documents_per_second=150)
    with started(server_uri, config, *VERBS["recount"], *BY_PROCESSES) as run:
        until(lambda: any(map(has_started, workers_of(run))) or not run.alive, "a worker")
        originals = psutil.Process(run.pid).children()
        workers = workers_of(run)
        for each in (*originals, *workers):
            each.kill()
        until(lambda: workers_of(run) or not run.alive, "another worker")
        assert run.alive
        code, _, err = run.end(PATIENCE)
    assert code == 0, err
    assert left(database)[0] == left(twin)[0]
