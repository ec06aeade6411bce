"""A full verification against reading sources, events and entries once each: time, and peak of memory.

    python -m benchmarks.verify [--docs 1000000] [--users 50000] [--rounds 3] [--keep DIR]

The floor asks for the same fields and does nothing with them. Every round runs both, each in a process of its own, so
that what else the machine does meets both, and a peak of memory is its own. At most three times the floor is the aim;
the peak is to be the same for any number of users: run with `--docs 200000 --users 200000`, then with ten times that.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from benchmarks.child import _peak
from benchmarks.stage import Stage, config
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.run.connection import Connection, connect
from lbmigrate.run.context import VerifyOptions
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.values.paths import projection_of
from lbmigrate.verify import entries, rows
from lbmigrate.verify.reading import Reading

START, MINUTES = dt.datetime(2025, 1, 1), 500_000
BLOCK = 20_000
MARK = "verified"


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--docs", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="keep the migrated data here for the next time")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        name, stage = asked.child
        print(json.dumps(measure(name, Stage.from_json(stage))))
        return 0
    with tempfile.TemporaryDirectory(prefix="lbmigrate-bench-") as made:
        home = asked.keep or Path(made)
        home.mkdir(parents=True, exist_ok=True)
        with embedded.serve(home.resolve()) as uri:
            contest(Stage(uri, str(home), asked.docs), asked.users, asked.rounds)
    return 0


def contest(stage: Stage, users: int, rounds: int) -> None:
    """Fill and migrate the database where that was not done before, and run both in turn."""
    with open_client(stage.uri) as client:
        if not client[stage.database][MARK].find_one({"_id": users}):
            migrate(stage, client[stage.database], users)
    found: dict[str, list[dict[str, Any]]] = {"floor": [], "full": []}
    for _ in range(rounds):
        for name, each in found.items():
            command = [sys.executable, "-m", "benchmarks.verify", "--child", name, stage.to_json()]
            each.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(name, each[-1], file=sys.stderr, flush=True)
    floor, full = (statistics.median(row["seconds"] for row in each) for each in found.values())
    peak = max(row["peak_mb"] for row in found["full"])
    print(f"{stage.docs:,} tasks of {users:,} users: floor {floor:.1f} s, verify --full {full:.1f} s, "
          f"{full / floor:.2f} x; peak {peak:.0f} MiB")  # fmt: skip


def migrate(stage: Stage, database: Database[Any], users: int) -> None:
    database.client.drop_database(database.name)
    rng = random.Random(users)
    for first in range(0, users, BLOCK):
        numbers = range(first, min(users, first + BLOCK))
        database["users"].insert_many([{"_id": oid(n), "name": f"User {n}"} for n in numbers])
    for first in range(0, stage.docs, BLOCK):
        numbers = range(first, min(stage.docs, first + BLOCK))
        database["tasks"].insert_many([task(rng, number, users) for number in numbers])
    with connect(config(stage)) as opened:
        _apply(opened, STEPS[:4])
    database[MARK].insert_one({"_id": users})


def oid(number: int) -> ObjectId:
    return ObjectId(f"{number:024x}")


def task(rng: random.Random, number: int, users: int) -> dict[str, Any]:
    """One for every user in turn as long as there are enough, so that everybody is on the board."""
    at = START + dt.timedelta(minutes=rng.randrange(MINUTES))
    owner = number if number < users else rng.randrange(users)
    return {"_id": oid(10**9 + number), "userId": oid(owner), "status": "done", "completedAt": at, "updatedAt": at,
            "priority": "low"}  # fmt: skip


def measure(name: str, stage: Stage) -> dict[str, float]:
    """One of both; seconds and the peak of this process in MiB."""
    with connect(config(stage)) as opened:
        work: Callable[[Connection], None] = read_once if name == "floor" else verify
        began = time.perf_counter()
        work(opened)
        return {"seconds": round(time.perf_counter() - began, 2), "peak_mb": round(_peak(), 1)}


def read_once(opened: Connection) -> None:
    source = opened.config.sources[0]
    asked = {
        source.collection: (source.where, projection_of(Reading(opened.config, source, None, None).paths)),
        EVENTS: ({}, rows.FIELDS),
        ENTRIES: ({}, entries.FIELDS),
    }
    for name, (condition, fields) in asked.items():
        for _ in opened.target[name].find(condition, fields):
            pass


def verify(opened: Connection) -> None:
    _apply(opened, STEPS[4:5], VerifyOptions(full=True))


def _apply(opened: Connection, steps: Any, options: VerifyOptions | None = None) -> None:
    with runner.started(opened, "backfill", Terms(command="benchmarks.verify"), bears=None, verify=options) as driver:
        driver.apply(steps)


if __name__ == "__main__":
    sys.exit(main())
