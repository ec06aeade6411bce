"""The recorder for Node, as it is in examples/node: run by node, where it and the driver are there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bson import Int64, json_util
from pymongo.database import Database

from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, EVENTS
from tests.apps import TASKS, oid, task, user
from tests.terminal import Terminal

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "node"
NODE = shutil.which("node")
ENVIRONMENT = {
    **os.environ,
    "NODE_PATH": os.pathsep.join([str(EXAMPLE / "node_modules"), os.environ.get("NODE_PATH", "")]),
}
MILLISECONDS = Int64(1_795_646_312_070)  # an id as of Date.now()

Calls = Callable[..., list[str]]


@pytest.fixture
def node(terminal: Terminal, database: Database[Any]) -> Calls:
    """An app in Node that records tasks of a migrated database; what each call came to."""
    asked = [NODE or "false", "-e", "require('mongodb')"]
    if subprocess.run(asked, env=ENVIRONMENT, capture_output=True, check=False).returncode:
        pytest.skip("node, or its package mongodb, is not there")
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(1), task(2), task(3), {**task(4), "_id": float(MILLISECONDS)}])
    terminal.configure(TASKS)
    assert terminal("run", "--to", "3").code == 0

    def called(*calls: Document) -> list[str]:
        words = [str(NODE), str(Path(__file__).parent / "walk.mjs"), terminal.uri, database.name]
        words += [
            (EXAMPLE / "leaderboard.js").as_uri(),
            json_util.dumps(calls, json_options=json_util.CANONICAL_JSON_OPTIONS),
        ]
        done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: list[str] = json.loads(done.stdout)["results"]
        return found

    return called


def events(database: Database[Any]) -> list[Document]:
    return list(database[EVENTS].find().sort("_id", 1))


def test_what_node_records_is_what_a_backfill_makes_and_counts_once(node, terminal, database):
    ids = [oid(1001), oid(1002), float(MILLISECONDS)]
    assert node(*({"task": each} for each in ids)) == ["recorded"] * 3
    assert node({"task": ids[0]}, {"task": ids[2]}) == ["already"] * 2
    recorded = events(database)
    assert [each["_id"] for each in recorded][-1] == f"task_complete:{MILLISECONDS}"
    assert {type(each["points"]) for each in recorded} == {Int64}
    assert terminal("run").code == 0
    assert database[ENTRIES].find_one({"_id": f"global:{oid(1)}"})["events"] == 4
    assert terminal("verify", "--full").code == 0  # which reads each event's document, and the rules, once more
    made = database[EVENTS].find_one({"sourceId": oid(1003)})
    live = next(each for each in recorded if each["sourceId"] == oid(1001))
    assert {name: type(value) for name, value in live.items()} == {name: type(value) for name, value in made.items()}
    assert live["meta"] == {**made["meta"], "origin": "live"}


def test_what_can_be_no_event_is_refused_by_name_and_leaves_nothing(node, database):
    odd = [{"points": 1.5}, {"user": None}, {"at": "today"}, {"source": "{odd}"}, {"user": {"id": 1}}, {"points": "10"}]
    said = node(*({"task": oid(1001), "otherwise": each} for each in odd))
    assert {each.partition(":")[0] for each in said} == {"InvalidEvent"}
    assert events(database) == []


def test_an_action_that_is_there_for_somebody_else_is_not_recorded_again(node, database):
    assert node({"task": oid(1001)}) == ["recorded"]
    before = events(database)
    others = [{"user": oid(2)}, {"source": str(oid(1001))}]
    said = node(*({"task": oid(1001), "otherwise": each} for each in others))
    assert [each.partition(":")[0] for each in said] == ["Conflict"] * 2
    assert events(database) == before


def test_nothing_is_sent_while_write_is_off_and_a_server_that_refuses_is_an_error_of_its_own(node, terminal, database):
    database[EVENTS].create_index("points", unique=True, name="odd")
    said = node({"task": oid(1001)}, {"task": oid(1002)})
    assert (said[0], said[1].partition(":")[0]) == ("recorded", "NotRecorded")
    assert terminal("flag", "write", "off").code == 0
    assert node({"task": oid(1003)}) == ["off"]
    assert len(events(database)) == 1
