"""A run that one batch holds for long: its lease is renewed meanwhile, and signals are heard."""

from __future__ import annotations

import datetime as dt
import signal
from typing import Any

import pytest
from bson import DatetimeMS

from lbmigrate.state import State
from tests.apps import TASKS, task, user
from tests.runs import Run, ended, started, until, write_config

pytestmark = pytest.mark.usefixtures("mongod")
TTL = dt.timedelta(seconds=3)
# What an operator's own function may do worst: work for ever without a pause.
HOLDING = """
import pathlib
import threading

HERE = pathlib.Path(__file__).parent

def points(frame):
    chunk = threading.current_thread() is not threading.main_thread()  # and not what is looked at before a run
    if chunk:
        (HERE / "begun").touch()
    while chunk and not (HERE / "go").exists():
        sum(range(1000))
    return frame["minutes"].fillna(10) * 0 + 10
"""
WORST = [
    "1" * 200_000 + "x",
    "9" * 200_000,
    "1e" * 100_000,
    "-" * 200_000,
    " " * 500_000,
    "P" + "1D" * 100_000,
    {"a": {"b": [["x"] * 20_000]}},
    float("nan"),
    DatetimeMS(8_640_000_000_000_000),
    b"\xff" * 1_000_000,
]


@pytest.fixture
def held(server_uri: str, database: Any, tmp_path: Any, monkeypatch: Any) -> Any:
    """Starts a run that is held in a batch of the worst values; and where to let it go on."""
    (tmp_path / "holding_rules.py").write_text(HOLDING)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LBMIGRATE_ALLOW_FUNCTIONS", "holding_rules")
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(n, minutes=value, priority=value) for n, value in enumerate(WORST)])
    database["tasks"].insert_many([task(100 + n, owner=2, minutes=5) for n in range(100)])
    source = {**TASKS, "points": "holding_rules:points", "let": {}, "meta": {"minutes": "minutes"}}
    config = write_config(tmp_path, database.name, [source])

    def run(*words: str) -> Any:
        return started(server_uri, config, "run", "--lock-ttl", f"{TTL.seconds}s", *words)

    return run, tmp_path, lambda *words: ended(server_uri, config, *words)


def expires(database: Any) -> dt.datetime:
    found: dt.datetime = State(database).get("lock")["expiresAt"]
    return found


def renewed(database: Any, tmp_path: Any, run: Run) -> None:
    """Wait until the batch holds the run, and until its lease has been renewed twice since."""
    until(lambda: (tmp_path / "begun").exists() or not run.alive, "the batch")
    assert run.alive, run.end()
    for _ in range(2):
        before = expires(database)
        until(lambda before=before: expires(database) > before, "a renewed lease")
    assert run.alive


@pytest.mark.slow
def test_the_lease_is_renewed_and_a_signal_heard_while_one_batch_holds_a_run(held, database):
    start, directory, end = held
    with start() as run:
        renewed(database, directory, run)
        code, _, err = end("backfill")
        assert (code, "lock" in err) == (4, True), err
        run.send(signal.SIGTERM)
        renewed(database, directory, run)  # the batch is finished first, and nobody may come between
        (directory / "go").touch()
        code, _, err = run.end()
    assert code == 143, err
    assert "SIGTERM: stopping after the chunk at hand" in err
    code, _, err = end("run")
    assert code == 0, err
    scores = {row["userId"]: row["score"] for row in database["leaderboard_entries"].find({"period": "global"})}
    assert scores[user(2)["_id"]] == 1000


@pytest.mark.slow
def test_a_second_signal_ends_a_run_that_a_batch_holds_and_the_next_one_need_not_wait(held, database):
    start, directory, end = held
    with start() as run:
        renewed(database, directory, run)
        run.send(signal.SIGTERM)
        run.send(signal.SIGINT)  # two of one kind may arrive as one
        code, _, err = run.end(patience=15)
    assert code in (130, 143), err
    (directory / "go").touch()
    code, _, err = end("run")
    assert code == 0, err
    assert database["score_events"].count_documents({"userId": user(2)["_id"]}) == 100
