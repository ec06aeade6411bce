"""An app for those who work for a run, and all that a run leaves of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import yaml
from bson import json_util

from lbmigrate.schema import REJECTS
from tests.apps import SESSIONS, TASKS, UNHURRIED, session, task, user
from tests.runs import derived, state_rows, write_config

ALL = 600
HISTORY = Path(__file__).parents[4] / "shared" / "data" / "history"
LONG = 400.0  # seconds that real history may take on a machine that others use too
of_history = pytest.mark.skipif(
    not (HISTORY / "tasks.ndjson.gz").is_file(), reason=f"the data of this test is not here: {HISTORY}"
)


def fill_with_history(database, directory):
    """Real history; the file that is its configuration."""
    for name in ("users", "tasks", "sessions"):
        with gzip.open(HISTORY / f"{name}.ndjson.gz", "rt", encoding="utf-8") as lines:
            database[name].insert_many(map(json_util.loads, lines))
    rules = yaml.safe_load((HISTORY / "leaderboard.yaml").read_text("utf-8"))
    rules["database"] = {"uri": "${MONGODB_URI}", "name": database.name}
    config = directory / f"{database.name}.yaml"
    config.write_text(yaml.safe_dump({**rules, "throttle": UNHURRIED}))
    return config


def fill(database, number=ALL):
    """Users of whom some are gone, tasks of which one cannot be scored, and sessions."""
    database["users"].insert_many([user(each) for each in range(1, 8)])
    database["tasks"].insert_many([task(each, owner=1 + each % 9, hours=each) for each in range(number)])
    database["tasks"].insert_one(task(number, owner=2, completedAt="no time at all"))
    database["sessions"].insert_many([session(each, owner=1 + each % 5) for each in range(number // 6)])


def configured(directory, database, **throttle):
    backfill = {"chunk_size": 20, "workers": 2, "target": None, "attempts": 3}
    throttle = {**UNHURRIED, **throttle}
    return write_config(directory, database.name, [TASKS, SESSIONS], backfill=backfill, throttle=throttle)


def left(database):
    """What a run leaves: events, entries, rejects, and what its chunks say of what they have read."""
    chunks = [row for row in state_rows(database).values() if row["kind"] == "chunk"]
    read = {row["_id"]: (row["status"], row["counts"]["read"], row["counts"].get("rejected")) for row in chunks}
    rejects = {row["_id"]: row["reason"] for row in database[REJECTS].find()}
    return derived(database), read, rejects
