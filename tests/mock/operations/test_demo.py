"""A demo where no server can run: the in-memory database takes its place, and says so in a sentence."""

from __future__ import annotations

import importlib.util

import pytest

from lbmigrate.mongo import client as real
from lbmigrate.run import connection

SMALL = ("--users", "20", "--tasks", "200", "--sessions", "50")


@pytest.fixture
def without_mongod(terminal, monkeypatch, tmp_path):
    """A machine on which no `mongod` is to be found."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "fiftyone" else found(name, *more)
    )
    monkeypatch.setattr(connection, "open_client", real.open_client)
    monkeypatch.delenv("LBMIGRATE_MONGOD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return terminal


def test_without_a_server_the_demo_runs_in_memory_says_so_in_a_sentence_and_what_is_next(without_mongod):
    done = without_mongod("demo", *SMALL, "--json")
    assert done.code == 0, done.err
    assert done.result["loaded"] == {"users": 20, "tasks": 200, "sessions": 50}
    assert done.result["score_events"]["task_complete"] > 0
    [told] = [line for line in done.err.splitlines() if "in-memory database" in line]
    assert told.startswith("· no server can run here, so it is the in-memory database: there is no mongod to start")
    assert "next: lbmigrate demo --keep DIR" in done.err


def test_what_is_to_be_kept_needs_a_server(without_mongod, tmp_path):
    done = without_mongod("demo", *SMALL, "--keep", str(tmp_path / "kept"))
    assert done.code == 1
    assert done.hint.startswith("pip install 'lbmigrate[local]'")
