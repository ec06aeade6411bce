"""Runs as processes: killed, frozen, interrupted, started twice. Whatever happens, the end is the same."""

from __future__ import annotations

import random
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lbmigrate import testing
from lbmigrate.state import State
from lbmigrate.testing import Proxy
from tests.apps import SESSIONS as SESSIONS_SOURCE
from tests.apps import TASKS, session, task, user
from tests.runs import Run, closed_chunks, derived, ended, started, state_rows, until, way_to, write_config

pytestmark = pytest.mark.usefixtures("mongod")
ALL = 600
SLOW = {"documents_per_second": 200}  # a chunk of twenty takes a tenth of a second


@dataclass
class Site:
    """A database, and how its migration is configured."""

    uri: str
    database: Any
    directory: Path

    def config(self, **throttle: Any) -> Path:
        off = {"max_lag": None, "max_queue": None, "latency_factor": None}
        backfill = {"chunk_size": 20, "workers": 2, "target": None, "attempts": 3}
        sources = [TASKS, SESSIONS_SOURCE]
        return write_config(
            self.directory, self.database.name, sources, backfill=backfill, throttle={**off, **throttle}
        )

    def run(self, *options: str, **throttle: Any) -> Any:
        return started(self.uri, self.config(**throttle), "run", *options)

    def ended(self, *arguments: str) -> tuple[int, str, str]:
        return ended(self.uri, self.config(), *arguments)

    def closed(self, run: Run, least: int) -> None:
        """Wait until so many chunks are closed, while a run lasts."""
        until(lambda: closed_chunks(self.database) >= least or not run.alive, f"{least} chunks")
        assert run.alive, run.end()

    def pause(self) -> None:
        """Have a run stay, however long the processes of a test take."""
        State(self.database).note("control", paused={"by": "ada", "at": task(0)["completedAt"]})

    def resume(self) -> None:
        State(self.database).note("control", paused=None)

    @property
    def lock(self) -> Any:
        return State(self.database).get("lock")


def fill(database: Any) -> None:
    database["users"].insert_many([user(number) for number in range(1, 8)])
    database["tasks"].insert_many([task(number, owner=1 + number % 9, hours=number) for number in range(ALL)])
    database["sessions"].insert_many([session(number, owner=1 + number % 5) for number in range(ALL // 6)])


@pytest.fixture
def site(server_uri: str, database: Any, tmp_path: Path) -> Site:
    fill(database)
    return Site(server_uri, database, tmp_path)


@pytest.fixture(scope="module")
def wanted(server_uri: str, client: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What an uninterrupted run leaves."""
    database = client[f"test_{uuid.uuid4().hex[:12]}"]
    fill(database)
    code, _, err = Site(server_uri, database, tmp_path_factory.mktemp("wanted")).ended("run")
    assert code == 0, err
    yield derived(database)
    client.drop_database(database.name)


# --- killed ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_killed_at_random_moments_end_like_one_that_was_not(site, wanted):
    rng = random.Random(20)
    chunks = ALL // 20 + ALL // 120
    for moment in sorted(rng.sample(range(1, chunks), 4)):
        with site.run() as run:
            until(lambda least=moment: closed_chunks(site.database) >= least, "the moment to kill")
            run.kill()
    with site.run() as run:  # the last one dies while entries are written
        until(site.database["leaderboard_entries"].find_one, "an entry")
        run.kill()
    code, _, err = site.ended("run")
    assert code == 0, err
    assert derived(site.database) == wanted
    rows = state_rows(site.database)
    assert {row["status"] for row in rows.values() if row["kind"] == "chunk"} == {"rolled"}
    assert rows["lock"]["fence"] == 6, "a dead holder's lease is taken over at once"


# --- one at a time -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_of_two_runs_one_works_and_the_other_exits_4_at_once_with_the_holder(site, wanted):
    with site.run(**SLOW) as one:
        site.closed(one, 1)
        site.pause()
        before = site.lock["fence"]
        code, _, err = site.ended("run")
        assert (code, f"pid {one.pid}" in err) == (4, True), err
        assert one.alive, "it did not wait"
        assert site.lock["fence"] == before
        site.resume()
        assert one.end()[0] == 0
    assert derived(site.database) == wanted


@pytest.mark.slow
def test_a_second_run_that_was_told_to_wait_goes_on_when_the_first_one_ends(site, wanted):
    with site.run(**SLOW) as one:
        site.closed(one, 1)
        with site.run("--wait-lock", "60s") as two:
            site.closed(one, 5)
            one.send(signal.SIGTERM)
            assert one.end()[0] == 143
            assert two.end()[0] == 0
    assert derived(site.database) == wanted


@pytest.mark.slow
def test_a_run_frozen_past_its_lease_writes_no_checkpoint_when_it_wakes_up(site, wanted):
    with site.run("--lock-ttl", "4s", **SLOW) as sleeper:
        site.closed(sleeper, 2)
        testing.freeze(sleeper.pid)
        held = site.lock
        with site.run("--wait-lock", "30s") as successor:
            code, _, err = successor.end()
            assert code == 0, err
        rows = state_rows(site.database)
        assert rows["lock"]["fence"] == held["fence"] + 1
        testing.thaw(sleeper.pid)
        code, _, err = sleeper.end()
        assert (code, "lost its lease" in err) == (4, True), err
    assert state_rows(site.database) == rows
    assert derived(site.database) == wanted


# --- signals and limits ------------------------------------------------------------------------------------------


def test_an_interrupt_ends_a_run_after_the_chunk_at_hand_and_says_how_to_go_on(site, wanted):
    with site.run(**SLOW) as run:
        site.closed(run, 2)
        run.send(signal.SIGINT)
        code, _, err = run.end()
    assert code == 130
    assert "next: lbmigrate run" in err
    rows = state_rows(site.database)
    assert rows["lock"]["holder"] is None
    (kept,) = (row for row in rows.values() if row["kind"] == "run")
    assert kept["outcome"] == "stopped"
    assert {row["status"] for row in rows.values() if row["kind"] == "chunk"} == {"emitted"}
    assert site.ended("run")[0] == 0
    assert derived(site.database) == wanted


@pytest.mark.slow
def test_a_second_signal_ends_a_run_now_even_if_the_server_is_mute(site, wanted):
    with Proxy(way_to(site.database.client)) as proxy, started(proxy.uri, site.config(), "run") as run:
        site.closed(run, 1)
        proxy.freeze()  # by now both workers have work, and so wait for the server
        run.send(signal.SIGTERM)
        said = until(lambda: run.process.stderr.readline().endswith("once more stops now\n"), "the warning")
        assert said
        assert run.alive
        run.send(signal.SIGTERM)
        assert run.end(patience=10.0)[0] == 130  # before any time limit of the network
    assert site.ended("run")[0] == 0
    assert derived(site.database) == wanted


@pytest.mark.slow
def test_a_limit_ends_a_run_with_work_left_and_the_next_one_does_the_rest(site, wanted):
    code, out, err = site.ended("run", "--max-docs", "100")
    assert (code, out, "as many as it may" in err) == (3, "", True), err
    assert "next: lbmigrate run --max-docs 100" in err
    read = sum(row["counts"]["read"] for row in State(site.database).chunks(status="emitted"))
    assert 100 <= read <= 100 + 3 * 20  # what was begun by two workers is finished
    assert site.ended("run")[0] == 0
    assert derived(site.database) == wanted


# --- refused -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_state_of_a_newer_version_is_refused_before_anything_is_written(site):
    State(site.database).rows.insert_one({"_id": "step:1", "kind": "step", "layout": 99, "fence": 0})
    before = state_rows(site.database)
    code, _, err = site.ended("run")
    assert (code, "pip install --upgrade lbmigrate" in err) == (6, True), err
    assert state_rows(site.database) == before
    assert site.database["score_events"].find_one() is None


@pytest.mark.slow
def test_a_run_whose_server_goes_away_stops_with_the_reason_and_what_was_checkpointed_stays(site, wanted):
    with Proxy(way_to(site.database.client)) as proxy:
        way = f"{proxy.uri}&serverSelectionTimeoutMS=500"
        with started(way, site.config(**SLOW), "run") as run:
            site.closed(run, 2)
            proxy.cut()
            code, _, err = run.end()
    assert code == 1
    assert "run the same command again" in err or "check that it runs" in err
    assert closed_chunks(site.database) >= 2
    assert site.ended("run")[0] == 0
    assert derived(site.database) == wanted


@pytest.mark.slow
def test_the_lock_of_a_run_that_is_alive_can_be_taken_away_and_it_stops(site, wanted):
    site.pause()
    with site.run() as run:
        until(lambda: site.lock.get("holder"), "the run to hold the lock")
        asked = ended(site.uri, site.config(), "unlock")
        assert (asked[0], f"pid {run.pid}" in asked[2], "--yes" in asked[2]) == (2, True, True), asked
        assert run.alive
        assert site.ended("unlock", "--yes")[0] == 0
        site.resume()
        assert run.end()[0] == 4
    assert site.ended("run")[0] == 0
    assert derived(site.database) == wanted
