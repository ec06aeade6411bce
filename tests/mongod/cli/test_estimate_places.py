"""`plan --estimate` where it is not as usual: beside a run, after a killed one, with few rights, on a secondary."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbmigrate.checks import privileges
from lbmigrate.config.load import read_config
from lbmigrate.mongo.client import open_client
from tests.apps import oid
from tests.guarded import as_user, guarded_set
from tests.mongod.cli.test_estimate import PACE, hashes, idle, source, task
from tests.runs import closed_chunks, replica_set, started, until

pytestmark = pytest.mark.slow
TASKS = 600
DONE = TASKS * 2 // 3
SLOW = {"documents_per_second": 20}
__all__ = ["idle"]  # its yardstick, in every test


def fill(database):
    database["users"].insert_many([{"_id": oid(n), "name": f"Member {n}"} for n in range(40)])
    database["tasks"].insert_many([task(n) for n in range(TASKS)])
    for key in ("userId", "updatedAt"):
        database["tasks"].create_index(key)


@pytest.fixture
def app(database, terminal):
    fill(database)
    terminal.configure(source(), backfill={**PACE, "chunk_size": 20, "workers": 1}, throttle=SLOW)
    return database


def left_out(found):
    return [each["fact"] for each in found["advice"] if each["subject"] == "not in it"]


def estimate_of(terminal):
    done = terminal("plan", "--estimate", "--json")
    assert done.code == 3, done.err
    return done.result["estimate"]


def test_beside_a_run_only_what_it_has_not_done_counts_and_that_one_goes_on_is_said(app, terminal, server_uri):
    with started(server_uri, terminal.config, "run") as run:
        until(lambda: closed_chunks(app) >= 3, "some chunks")
        found = estimate_of(terminal)
        assert run.alive
    assert 0 < found["work"]["documents"] <= DONE - 2 * 20
    assert found["work"]["gathered"] == DONE
    assert left_out(found) == ["a run is going on: this is about what it had not done yet when this was asked"]


def test_after_a_run_that_was_killed_what_it_has_done_does_not_count_and_none_goes_on(app, terminal, server_uri):
    with started(server_uri, terminal.config, "run") as run:
        until(lambda: closed_chunks(app) >= 3, "some chunks")
        run.kill()
    found = estimate_of(terminal)
    begun = app["score_events"].count_documents({})
    assert DONE - begun <= found["work"]["documents"] <= DONE - begun + 20
    assert found["work"]["documents"] <= DONE - 2 * 20
    assert left_out(found) == []


def test_entries_that_a_run_would_move_are_said_to_be_no_part_of_an_estimate(app, terminal):
    terminal.configure(source(), backfill=PACE)
    assert terminal("run").code == 0
    terminal.configure(source(), backfill=PACE, layout="partitioned")
    looked = terminal("plan", "--estimate")
    assert looked.code == 3
    assert "nothing to estimate: no documents to read, no entries to write" in looked.out
    assert "a run moves entries to another layout; how long that takes is not known" in " ".join(looked.out.split())


def test_collections_of_single_periods_and_boards_in_redis_are_said_not_to_be_measured(app, terminal):
    terminal.configure(source(), backfill=PACE, layout="partitioned", redis={"url": "redis://127.0.0.1:1/0"})
    found = estimate_of(terminal)
    assert "a collection for each period was not measured: taken as one for all" in found["assumed"]
    [told] = left_out(found)
    assert told.startswith("boards in Redis are no part of this")


def test_collections_that_are_not_there_are_no_error_of_an_estimate(database, terminal):
    looked = terminal("plan", "--estimate")
    assert looked.code == 3
    assert "nothing to estimate: no documents to read, no entries to write" in looked.out
    assert looked.hint == "correct the path or the collection: lbmigrate config show"


def test_on_a_secondary_it_is_said_that_no_run_is_possible_there(mongod, tmp_path_factory, terminal, monkeypatch):
    terminal.configure(source(), backfill=PACE)
    monkeypatch.setenv("LBMIGRATE_DATABASE", "app")
    with replica_set(tmp_path_factory.mktemp("two"), 2) as [first, second]:
        with open_client(f"mongodb://{first.address},{second.address}/?replicaSet=tests") as client:
            fill(client["app"])
            until(lambda: client.admin.command("hello").get("secondary") is False, "a primary")
        for node, told in ((first, []), (second, ["a secondary"])):
            monkeypatch.setenv("LBMIGRATE_URI", node.uri)
            found = estimate_of(terminal)
            facts = [each["fact"] for each in found["advice"] if each["subject"] == "server"]
            assert [fact.split("server is ")[1].split(",")[0] for fact in facts] == told
            assert found["connections"] > 0


# --- rights --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that asks for passwords, as its administrator, and its URI."""
    with guarded_set(tmp_path_factory.mktemp("guarded")) as found:
        yield found


@pytest.fixture
def become(guarded, terminal, monkeypatch):
    """Become a user with the privileges of a role, in an app on the guarded server."""
    admin, uri = guarded
    name = f"test_{uuid.uuid4().hex[:12]}"
    fill(admin[name])
    monkeypatch.setenv("LBMIGRATE_DATABASE", name)
    terminal.configure(source(), backfill=PACE)

    def become(*verbs: str) -> Any:
        command = privileges.role(uuid.uuid4().hex, verbs, read_config(terminal.config).config, name, name)
        user = command["createRole"]
        admin.admin.command(command)
        admin.admin.command("createUser", user, pwd="s3cret", roles=[{"role": user, "db": "admin"}])
        monkeypatch.setenv("LBMIGRATE_URI", as_user(uri, user, "s3cret"))
        return admin[name]

    yield become
    admin.drop_database(name)


def test_whoever_may_only_look_gets_an_estimate_and_is_told_what_the_server_did_not_say(become, terminal):
    database = become("plan")
    before = hashes(database)
    found = estimate_of(terminal)
    assert hashes(database) == before
    assert found["work"]["documents"] == DONE
    assert any("does not say how many cores" in each for each in found["assumed"])
    assert found["surroundings"]["free"] is None is found["surroundings"]["oplog"]
    assert 0 < found["seconds"]["low"] < found["seconds"]["high"]


def test_whoever_may_not_look_is_refused_with_the_right_that_is_missing(become, terminal):
    become()
    refused = terminal("plan", "--estimate")
    assert refused.code == 6
    assert "misses a right" in refused.err
    assert refused.hint.startswith("log in")
