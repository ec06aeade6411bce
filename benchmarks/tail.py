"""`python -m benchmarks.tail`: how many changes a second `tail` sustains, and how far behind the app it is.

First the app finishes tasks as fast as the server takes them, and the clock runs until the ledger has them all. Then it
finishes them at half of that rate, a few at a time, and what is measured is how long after that a user's entry has it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bson import ObjectId
from pymongo.database import Database

from benchmarks import table
from benchmarks.ours import apply
from benchmarks.results import Target
from benchmarks.stage import Stage, clear, config, opened
from lbmigrate import commands
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import embedded
from lbmigrate.run.connection import connect
from lbmigrate.schema import ENTRIES, EVENTS

ROOT = Path(__file__).parents[1]
AT = dt.datetime(2025, 7, 1)
SOME = 100  # tasks of one insert
TICK, PATIENCE = 0.01, 300.0  # seconds
Figures = dict[str, float]


def main() -> int:
    options = _parsed()
    if options.child:
        commands.tail(config(Stage.from_json(options.child)), terms=Terms(command="benchmarks.tail"))
        return 0
    with tempfile.TemporaryDirectory(prefix="lbmigrate-bench-") as home, embedded.serve(Path(home)) as uri:
        stage = Stage(uri, home, 0)
        with opened(stage) as database:
            clear(database)
            _migrated(stage, database)
            with _following(stage, database) as follower:
                found = _sustained(database, follower, options.changes)
                found |= _delays(database, found["changes a second"] / 2, options.seconds)
    print(table.columns([("tail", ""), *((name, f"{figure:,.1f}") for name, figure in found.items())]))
    targets = [Target("changes a second that tail sustains", "≥", 2_000, found["changes a second"])]
    print(f"\n{table.verdicts(targets)}")
    if options.json:
        options.json.write_text(json.dumps({"tail": found}, indent=2) + "\n")
    return 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.tail", description=__doc__)
    parser.add_argument("--changes", type=int, default=20_000, metavar="N", help="at full speed (20000)")
    parser.add_argument("--seconds", type=float, default=15.0, metavar="S", help="at half of it (15)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write what was measured to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _migrated(stage: Stage, database: Database[Any]) -> None:
    """A board that a tail can follow: one task, migrated, with the flag on."""
    database["users"].insert_one({"_id": ObjectId(), "displayName": "Somebody"})
    database["tasks"].insert_one(_task())
    for key in ("updatedAt", "userId"):
        database["tasks"].create_index(key)
    with connect(config(stage)) as connection:
        apply(connection, STEPS[:4])


def _task(user: ObjectId | None = None) -> dict[str, Any]:
    moments = {"createdAt": AT, "updatedAt": AT, "completedAt": AT}
    return {"_id": ObjectId(), "userId": user or ObjectId(), "status": "done", "priority": "low", **moments}


@contextmanager
def _following(stage: Stage, database: Database[Any]) -> Iterator[psutil.Process]:
    """A tail in a process of its own, from when it has recorded a first change."""
    command = [sys.executable, "-m", "benchmarks.tail", "--child", stage.to_json()]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while database[EVENTS].count_documents({}) < 2:  # it may have begun after the task
                database["tasks"].insert_one(_task())
                _wait(deadline, 0.5)
            _all_recorded(database)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _wait(deadline: float, seconds: float) -> None:
    if time.monotonic() > deadline:
        raise SystemExit("tail does not keep up, or has ended: nothing is measured")
    time.sleep(seconds)


def _all_recorded(database: Database[Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while database[EVENTS].estimated_document_count() < database["tasks"].estimated_document_count():
        _wait(deadline, 0.02)


def _sustained(database: Database[Any], follower: psutil.Process, changes: int) -> Figures:
    """Changes a second, and what the client and the server spend on one, from the first insert to the last event."""
    server = psutil.Process(database.client.admin.command("serverStatus")["pid"])
    before, began = [_cpu(each) for each in (follower, server)], time.perf_counter()
    users = [ObjectId() for _ in range(max(1, changes // 20))]
    for first in range(0, changes, SOME):
        database["tasks"].insert_many([_task(users[n % len(users)]) for n in range(first, first + SOME)], ordered=False)
    _all_recorded(database)
    took = time.perf_counter() - began
    client, its = (_cpu(each) - was for each, was in zip((follower, server), before, strict=True))
    return {"changes a second": changes / took, "client µs": client / changes * 1e6, "server µs": its / changes * 1e6}


def _cpu(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


def _delays(database: Database[Any], rate: float, seconds: float) -> Figures:
    """Milliseconds from the insert of a task to the entry of its user, each of a user of its own."""
    seen: dict[ObjectId, float] = {}
    begun, done = threading.Event(), threading.Event()
    watching = threading.Thread(target=_watch, args=(database, seen, begun, done))
    watching.start()
    begun.wait()
    began = time.perf_counter()
    written = dict(_paced(database, rate, seconds))
    reached = len(written) / (time.perf_counter() - began)
    deadline = time.monotonic() + PATIENCE
    while not all(user in seen for user in written):  # beside entries of the part before, which may come late
        _wait(deadline, 0.02)
    done.set()
    watching.join()
    took = np.array([seen[user] - at for user, at in written.items()]) * 1000
    return {
        "at changes a second": reached,
        "delay p50 ms": float(np.percentile(took, 50)),
        "delay p99 ms": float(np.percentile(took, 99)),
    }


def _paced(database: Database[Any], rate: float, seconds: float) -> Iterator[tuple[ObjectId, float]]:
    """Finish so many tasks a second, those of a TICK together; each user, and when the server had the task."""
    start, number = time.perf_counter(), 0
    while number < rate * seconds:
        due = min(int((time.perf_counter() - start) * rate), int(rate * seconds)) + 1
        tasks = [_task() for _ in range(number, due)]
        if tasks:
            database["tasks"].insert_many(tasks, ordered=False)
            at = time.perf_counter()
            yield from ((task["userId"], at) for task in tasks)
            number = due
        time.sleep(TICK)


def _watch(database: Database[Any], seen: dict[ObjectId, float], begun: threading.Event, done: threading.Event) -> None:
    inserted = [{"$match": {"operationType": "insert", "fullDocument.period": "global"}}]
    with database[ENTRIES].watch(inserted, max_await_time_ms=100) as stream:
        begun.set()
        while not done.is_set():
            if change := stream.try_next():
                seen.setdefault(change["fullDocument"]["userId"], time.perf_counter())


if __name__ == "__main__":
    sys.exit(main())
