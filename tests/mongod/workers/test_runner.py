"""The run whose processes work for it is killed, or told to end, in the middle of a verb."""

from __future__ import annotations

import signal

import psutil
import pytest

from tests.mongod.workers.apps import configured, left
from tests.mongod.workers.test_processes import BY_PROCESSES, workers_of
from tests.mongod.workers.test_verbs import DAMAGE, DAMAGE_OF, PATIENCE, VERBS, apps, ran, verdict_of
from tests.runs import started, state_rows, until

__all__ = ["apps"]
pytestmark = [pytest.mark.usefixtures("mongod"), pytest.mark.slow, pytest.mark.timeout(900)]
SLOW = {"documents_per_second": 150}  # so that there is a middle


def is_at_work(database):
    """Whether a part of what was begun is on record."""
    rows = state_rows(database).values()
    return any(row["kind"] == "run" and row.get("outcome") == "running" and row.get("progress") for row in rows)


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("word", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda word: word.name)
@pytest.mark.parametrize("name", ["reconcile", "recount", "repair"])
def test_a_verb_whose_run_is_ended_goes_on_where_it_was_and_no_process_is_left(name, word, apps, server_uri, tmp_path):
    database, twin = apps(400, DAMAGE_OF.get(name, DAMAGE))
    wanted = ran(server_uri, configured(tmp_path, twin), *VERBS[name])[0]
    config = configured(tmp_path, database, **SLOW)
    with started(server_uri, config, *VERBS[name], *BY_PROCESSES) as run:
        until(lambda: (is_at_work(database) and workers_of(run)) or not run.alive, "a part", PATIENCE)
        workers = workers_of(run)
        run.send(word)
        code, _, err = run.end(PATIENCE)
    assert code == (-word if word == signal.SIGKILL else 128 + word), err
    assert ("Traceback" in err, len(workers) > 0) == (False, True), err
    until(lambda: not any(map(is_alive, workers)), "the end of its workers")
    code, _, err = ran(server_uri, configured(tmp_path, database), *VERBS[name], *BY_PROCESSES)
    assert code == wanted, err
    assert left(database)[0] == left(twin)[0]
    if "verify" in VERBS[name]:
        assert verdict_of(database) == verdict_of(twin)


def test_a_second_ctrl_c_ends_a_verification_at_once_and_the_same_command_goes_on(apps, server_uri, tmp_path):
    """Its workers are held, so that what is begun is not finished."""
    database, twin = apps(400)
    assert ran(server_uri, configured(tmp_path, twin), *VERBS["verify"])[0] == 5
    config = configured(tmp_path, database)
    with started(server_uri, config, *VERBS["verify"], *BY_PROCESSES) as run:
        until(lambda: (is_at_work(database) and len(workers_of(run)) == 2) or not run.alive, "a part", PATIENCE)
        workers = workers_of(run)
        for each in workers:
            each.suspend()
        run.send(signal.SIGINT)
        until(lambda: stopping_is_told(run), "the first to be heard", PATIENCE)
        assert run.alive
        run.send(signal.SIGINT)
        until(lambda: not run.alive, "the end of the run")
        for each in filter(is_alive, workers):
            each.resume()  # what holds the pipes open
        code, _, err = run.end()
    assert (code, "Traceback" in err) == (130, False), err
    until(lambda: not any(map(is_alive, workers)), "the end of its workers")
    assert ran(server_uri, config, *VERBS["verify"], *BY_PROCESSES)[0] == 5
    assert verdict_of(database) == verdict_of(twin)


def stopping_is_told(run):
    """Whether the run says that it stops after the chunk at hand."""
    told = run.process.stderr.readline()
    return "once more stops now" in told
