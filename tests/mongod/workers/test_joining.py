"""Whoever joins does parts of every verb that can be shared, and disturbs none that cannot."""

from __future__ import annotations

import json
import signal
import threading

import pytest

from lbmigrate import commands
from lbmigrate.config.load import load_config
from lbmigrate.errors import Stopped, UsageError
from lbmigrate.run.stop import Stop
from lbmigrate.workers.joining import SHARED, START
from tests.apps import TASKS, task, user
from tests.mongod.workers.apps import configured, left
from tests.mongod.workers.test_hosts import workers
from tests.mongod.workers.test_verbs import DAMAGE, DAMAGE_OF, PATIENCE, VERBS, apps, ran, verdict_of
from tests.runs import ended, started, state_rows, until
from tests.valkey import running

__all__ = ["apps"]
pytestmark = pytest.mark.usefixtures("mongod")


def is_held(database):
    return any(row.get("held") for row in state_rows(database).values() if row["kind"] == "run")


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_workers_that_join_do_parts_of_a_verb_and_it_comes_to_the_same(name, apps, server_uri, tmp_path):
    """The run is paused until both are there, and hands out nothing before."""
    database, twin = apps(400, DAMAGE_OF.get(name, DAMAGE))
    wanted = ran(server_uri, configured(tmp_path, twin), *VERBS[name])[0]
    config = configured(tmp_path, database)
    assert ended(server_uri, config, "pause")[0] == 0
    with started(server_uri, config, *VERBS[name]) as run:
        until(lambda: is_held(database) or not run.alive, "the pause", PATIENCE)
        with (
            started(server_uri, config, "worker", "--json") as one,
            started(server_uri, config, "worker", "--json") as two,
        ):
            until(lambda: len(workers(database)) == 2 or not run.alive, "both workers", PATIENCE)
            told = " ".join(ended(server_uri, config, "status")[1].split())
            assert all(f"worker pid {each.pid} on" in told for each in (one, two)), told
            assert ended(server_uri, config, "resume")[0] == 0
            code, _, err = run.end(PATIENCE)
            assert code == wanted, err
            found = [each.end(PATIENCE) for each in (one, two)]
    assert [code for code, *_ in found] == [0, 0], found
    assert all(json.loads(out.splitlines()[-1])["tasks"] > 0 for _, out, _ in found), found
    assert all(f"lbmigrate {VERBS[name][0]}" in err for *_, err in found), "what has been joined"
    assert left(database)[0] == left(twin)[0]
    if "verify" in VERBS[name]:
        assert verdict_of(database) == verdict_of(twin)


def test_a_worker_that_joins_in_the_moment_in_which_the_run_ends_ends_with_it(database, terminal):
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(1))
    terminal.configure(TASKS)
    assert terminal("run").code == 0
    config, stop, told = load_config(terminal.config), Stop(), []
    commands.pause(config)
    run = threading.Thread(target=_stopped, args=(config, stop))
    run.start()
    until(lambda: is_held(database), "the run")

    def joined(sentence):
        told.append(sentence)
        stop.request(signal.SIGTERM)
        run.join()

    done = commands.work(config, tell=joined)
    assert (len(told), done.tasks, workers(database)) == (1, 0, [])


def _stopped(config, stop):
    with pytest.raises(Stopped):
        commands.recount(config, terms=commands.Terms(stop=stop))


def test_the_hint_of_a_worker_names_every_verb_that_is_shared():
    tried = {" ".join(words[: 1 + ("--full" in words and words[0] == "verify")]) for words in VERBS.values()}
    assert tried | {"run"} == set(SHARED)
    assert all(verb in START for verb in SHARED)


def test_a_rebuild_of_boards_beside_the_runs_is_joined_by_nobody(database, terminal, tmp_path):
    database["users"].insert_one(user(1))
    database["tasks"].insert_one(task(1))
    with running(tmp_path) as valkey:
        terminal.configure(TASKS, redis={"url": valkey.url})
        assert terminal("run").code == 0
        _joined_by_nobody(load_config(terminal.config))


def _joined_by_nobody(config):
    met = []

    def join(_):
        with pytest.raises(UsageError) as caught:
            commands.work(config)
        met.append(caught.value.message)

    commands.rebuild_boards(config, terms=commands.Terms(listen=join))
    assert set(met) == {"no run is going on that could be joined"}
