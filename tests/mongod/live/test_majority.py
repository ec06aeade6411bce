"""A set of a primary, a secondary and an arbiter that has lost its secondary.

The app hardly notices. A verb ends, and the same one again goes on when the secondary is back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from lbmigrate import LbmigrateError, ScoreRecorder, commands
from lbmigrate.live import flag
from lbmigrate.live.patience import TRY_AGAIN
from lbmigrate.migration.steps import s2_create_indexes
from lbmigrate.mongo import indexes
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.concerns import durable, fresh
from lbmigrate.mongo.process import Server, start_mongod
from tests.apps import TASKS, UNHURRIED, App, config, oid, task, user
from tests.runs import AT_ONCE, replica_set, until

pytestmark = [pytest.mark.usefixtures("mongod"), pytest.mark.slow]
BEFORE, LOST = 10, 30


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, mongod: Any) -> Iterator[list[Server]]:
    with replica_set(tmp_path_factory.mktemp("psa"), 3, arbiter=True) as nodes:
        yield nodes


def states(client: Any) -> list[str]:
    return sorted(each["stateStr"] for each in client.admin.command("replSetGetStatus")["members"])


def about(app: App, subject: str) -> list[str]:
    return [finding.fact for finding in commands.doctor(app.config) if finding.subject == subject]


def test_without_a_majority_the_app_waits_for_no_action_and_nothing_is_lost(nodes, caplog):
    uri = f"mongodb://{','.join(node.address for node in nodes)}/?replicaSet=tests"
    shift = 0.0
    with open_client(uri) as ours, MongoClient(uri, w=1) as client:
        until(lambda: states(ours) == ["ARBITER", "PRIMARY", "SECONDARY"], "the set")
        database = client["app"]
        database["users"].insert_one(user(1))
        database["tasks"].insert_many([task(number) for number in range(BEFORE)])
        app = App(ours["app"], config(TASKS, database={"uri": uri, "name": "app"}, throttle=UNHURRIED))
        commands.run(app.config, no_backup=True)
        assert "with one member less no majority" in about(app, "majority")[0]
        recorder = ScoreRecorder(database, app.config, monotonic=lambda: time.monotonic() + shift)
        now = app.context().clock
        database["tasks"].insert_one(task(99, updatedAt=now()))
        assert recorder.record_source("tasks", oid(1099))

        nodes[1].process.kill()
        nodes[1].process.wait()
        until(lambda: states(ours) == ["(not reachable/healthy)", "ARBITER", "PRIMARY"], "the loss to be noticed")
        assert "no majority has what is written at the moment" in about(app, "majority")[0]
        with caplog.at_level(logging.WARNING, "lbmigrate.live"):
            took = []
            for number in range(BEFORE, BEFORE + LOST):
                database["tasks"].insert_one(task(number, updatedAt=now()))
                began = time.monotonic()
                assert not recorder.record_source("tasks", oid(1000 + number))
                took.append(time.monotonic() - began)
        assert max(took) < 1.5, "half a second, and what this machine adds"
        assert sum(took) - took[0] < 0.5, "whoever comes after does not wait as well"
        assert (recorder.failures, recorder.left) == (LOST, LOST)
        assert len(caplog.records) == 1
        began = time.monotonic()
        with pytest.raises(LbmigrateError, match="read is off on the primary") as caught:
            commands.turn_flag(app.config, "read", False)
        assert time.monotonic() - began < 20
        assert flag(database, app.config).read is False, "whoever asks sees it at once"

        nodes[1] = start_mongod(nodes[1].directory, nodes[1].port, replica_set="tests", extra=[AT_ONCE])
        until(lambda: states(ours) == ["ARBITER", "PRIMARY", "SECONDARY"], "the secondary")
        ours["other"]["writes"].insert_one({})  # until a majority has it: until the secondary has caught up
        shift += TRY_AGAIN
        database["tasks"].insert_one(task(98, updatedAt=now()))
        assert recorder.record_source("tasks", oid(1098))
        assert "lbmigrate flag read off" in caught.value.hint
        assert commands.turn_flag(app.config, "read", False)["read"] is False
        commands.backfill(app.config)
        assert len(app.events()) == BEFORE + LOST + 2
        entry = app.entries()[f"global:{oid(1)}"]
        assert (entry["score"], entry["events"]) == (10 * (BEFORE + LOST + 2), BEFORE + LOST + 2)


def test_without_a_majority_a_run_and_an_index_build_end_and_go_on_when_the_secondary_is_back(nodes, monkeypatch):
    uri = f"mongodb://{','.join(node.address for node in nodes)}/?replicaSet=tests"
    monkeypatch.setattr(indexes, "LEAST", 2_000)
    with open_client(uri) as ours:
        until(lambda: states(ours) == ["ARBITER", "PRIMARY", "SECONDARY"], "the set")
        database = durable(ours["stopped"])
        database["users"].insert_one(user(1))
        database["tasks"].insert_many([task(number) for number in range(BEFORE)])
        app = App(database, config(TASKS, database={"uri": uri, "name": "stopped"}, throttle=UNHURRIED))
        commands.run(app.config, to=1, no_backup=True)
        database["leaderboard_entries"].insert_one({"_id": "of somebody else"}, bypass_document_validation=True)

        nodes[1].process.kill()
        nodes[1].process.wait()
        until(lambda: states(ours) == ["(not reachable/healthy)", "ARBITER", "PRIMARY"], "the loss to be noticed")
        with pytest.raises(LbmigrateError, match=r"was not built within 2 s: a majority .* has to build it") as late:
            indexes.build(database, "leaderboard_entries", [{"key": {"score": 1}, "name": "theirs"}])
        assert late.value.hint.endswith("run the same command again: it resumes where it stopped")
        with pytest.raises(LbmigrateError, match="did not get a write to a majority") as refused:
            commands.run(app.config, no_backup=True)
        assert refused.value.hint == "check rs.status(), then run the same command again: it resumes where it stopped"
        lock = fresh(database)["lbmigrate_state"].find_one({"_id": "lock"})
        assert (lock["holder"], lock["run"]) == (None, None), "a run of another host would have to wait"

        nodes[1] = start_mongod(nodes[1].directory, nodes[1].port, replica_set="tests", extra=[AT_ONCE])
        until(lambda: states(ours) == ["ARBITER", "PRIMARY", "SECONDARY"], "the secondary")
        ours["other"]["writes"].insert_one({})
        commands.run(app.config, no_backup=True)
        assert app.entries()[f"global:{oid(1)}"]["score"] == 10 * BEFORE
        assert database["feature_flags"].find_one()["read"] is True
        assert not list(s2_create_indexes.pending(app.context(), []))


def test_what_was_made_without_a_majority_is_waited_for_only_so_long_and_the_same_command_goes_on(nodes):
    uri = f"mongodb://{','.join(node.address for node in nodes)}/?replicaSet=tests"
    with open_client(uri) as ours, MongoClient(uri, w=1) as client:
        until(lambda: states(ours) == ["ARBITER", "PRIMARY", "SECONDARY"], "the set")
        client["before"]["users"].insert_one(user(1))
        client["before"]["tasks"].insert_many([task(number) for number in range(BEFORE)])
        ours["other"]["writes"].insert_one({})  # until a majority has it
        nodes[1].process.kill()
        nodes[1].process.wait()
        until(lambda: states(ours) == ["(not reachable/healthy)", "ARBITER", "PRIMARY"], "the loss to be noticed")
        client["since"]["users"].insert_one(user(1))
        client["since"]["tasks"].insert_many([task(number) for number in range(BEFORE)])
        apps = [config(TASKS, database={"uri": uri, "name": name}, throttle=UNHURRIED) for name in ("before", "since")]
        began = time.monotonic()
        with pytest.raises(LbmigrateError, match="did not get a write to a majority"):
            commands.run(apps[0], no_backup=True)
        with pytest.raises(LbmigrateError, match=r"no majority .* has before.lbmigrate_state") as told:
            commands.status(apps[0])
        with pytest.raises(LbmigrateError, match=r"no majority .* has since.users"):
            commands.run(apps[1], no_backup=True)
        assert time.monotonic() - began < 150, "with a server at a loss for each of them"
        assert "rs.status()" in told.value.hint

        nodes[1] = start_mongod(nodes[1].directory, nodes[1].port, replica_set="tests", extra=[AT_ONCE])
        until(lambda: states(ours) == ["ARBITER", "PRIMARY", "SECONDARY"], "the secondary")
        ours["other"]["writes"].insert_one({})
        for app in apps:
            commands.run(app, no_backup=True)
            assert open_flag(ours, app)["read"] is True


def open_flag(client, app):
    return client[app.database.name]["feature_flags"].find_one()
