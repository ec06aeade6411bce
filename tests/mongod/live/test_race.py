"""An app goes on while it is migrated, is killed, and changes its mind: the end is what its documents say.

LBMIGRATE_RACE_DOCS and LBMIGRATE_RACE_SECONDS make the race as large as wanted; by default it is short.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from contextlib import ExitStack

import pytest
from pymongo import MongoClient

from lbmigrate.feature_flag import turn
from lbmigrate.mongo.process import free_port, start_mongod
from tests import oracle, racer
from tests.apps import NEW_YEAR, SESSIONS, TASKS, config, oid, session, task, user
from tests.racer import USERS
from tests.runs import closed_chunks, ended, started, until, write_config

DOCS = int(os.environ.get("LBMIGRATE_RACE_DOCS", "3000"))
SECONDS = float(os.environ.get("LBMIGRATE_RACE_SECONDS", "4"))
RACERS = 8
SOURCES = [TASKS, {**SESSIONS, "updated": "updatedAt"}]


HATCHERY = multiprocessing.get_context("forkserver")  # imports once what all of them need
HATCHERY.set_forkserver_preload(["tests.racer"])


class Racing:
    """One racer's process, which may be killed and restarted."""

    def __init__(self, *what):
        self.what = what
        self.start()

    def start(self):
        self.line, far = HATCHERY.Pipe()
        self.process = HATCHERY.Process(target=racer.run, args=(*self.what, SECONDS, far), daemon=True)
        self.process.start()
        far.close()

    def go(self):
        assert self.line.recv() == "ready"
        self.line.send("go")

    def kill(self):
        self.process.kill()
        self.process.join()

    def end(self):
        found = self.line.recv()
        self.process.join()
        return found


def fill(database):
    """Half of the tasks done, half open, a tenth as many sessions; what is there is not new."""
    rng = random.Random(1)
    database["users"].insert_many([user(number) for number in range(1, USERS + 1)])
    states = ["done", "todo"]
    for first in range(0, DOCS, 10_000):
        numbers = range(first, min(DOCS, first + 10_000))
        database["tasks"].insert_many(
            task(n, owner=1 + rng.randrange(USERS), hours=rng.randrange(8_000), status=states[n % 2]) for n in numbers
        )
    database["sessions"].insert_many(
        session(DOCS + n, owner=1 + rng.randrange(USERS), endedAt=NEW_YEAR, updatedAt=NEW_YEAR)
        for n in range(DOCS // 10)
    )
    for name in ("tasks", "sessions"):
        database[name].create_index("updatedAt")


def race(uri, database, tmp_path):
    """The whole of it; what the racers did, all added up."""
    parts = {"backfill": {"chunk_size": max(20, DOCS // 60), "workers": 2, "target": None}}
    settings = write_config(tmp_path, database.name, SOURCES, **parts)
    fill(database)
    code, _, err = ended(uri, settings, "run", "--to", "3")
    assert code == 0, err
    with ExitStack() as later:
        racers = [Racing(uri, settings, database.name, number) for number in range(RACERS)]
        for each in racers:
            later.callback(each.kill)
        run = later.enter_context(started(uri, settings, "run", "--to", "4"))
        until(lambda: closed_chunks(database), "the backfill to be under way")
        for each in racers:
            each.go()
        began = time.monotonic()
        for fraction in (0.25, 0.5):
            until(lambda due=began + fraction * SECONDS: time.monotonic() >= due, "the time to kill", SECONDS + 10)
            racers[0].kill()
            racers[0].start()
            racers[0].go()
            turn(database, config(), "write", fraction != 0.25, NEW_YEAR)  # off, and then on again
        done = [each.end() for each in racers]
        until(lambda: not run.alive, "the backfill to end", 600)
        code, _, err = run.end()
        assert code == 0, err
    return {key: sum(each.get(key, 0) for each in done) for key in {key for each in done for key in each}}


def check(uri, database, tmp_path):
    """After one incremental run and a reconciliation the board is what the documents say."""
    settings = tmp_path / f"{database.name}.yaml"
    for verb in (["backfill"], ["reconcile"], ["verify", "--full"]):
        code, _, err = ended(uri, settings, *verb)
        assert code == 0, err
    oracle.check_sums(database)


@pytest.mark.slow
def test_an_app_that_goes_on_while_it_is_migrated_ends_exactly(server_uri, database, tmp_path):
    done = race(server_uri, database, tmp_path)
    print(done)
    assert done["failures"] == 0
    assert done["new"] > 50
    check(server_uri, database, tmp_path)


@pytest.mark.slow
def test_on_a_standalone_server_too(mongod, home, tmp_path):
    server = standalone(home)
    with MongoClient(server.uri) as client:
        done = race(server.uri, client["race"], tmp_path)
        assert done["failures"] == 0
        check(server.uri, client["race"], tmp_path)


def standalone(home):
    return start_mongod(home, free_port())


@pytest.mark.parametrize("take_back", [False, True])
def test_the_oracle_notices_a_single_wrong_point(database, take_back):
    database["tasks"].insert_one(task(1))
    event = {"_id": f"task_complete:{oid(1001)}", "actionType": "task_complete", "sourceId": oid(1001)}
    event |= {"userId": oid(1), "points": 11, "createdAt": NEW_YEAR, "meta": {}}
    database["score_events"].insert_one(event)
    with pytest.raises(AssertionError):
        (oracle.check_sums if take_back else oracle.check)(database)
