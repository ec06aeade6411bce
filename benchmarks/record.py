"""`python -m benchmarks.record`: how long an app waits for `ScoreRecorder.record`, on the embedded server.

Users with few, more and many events each. Beside it the first call of an app for a user, and what the two writes cost
that nobody can do without: an event inserted and an entry changed, each known to a majority. Then THREADS of one app
call it at the same time, each for users of its own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bson import Int64, ObjectId
from pymongo.database import Database

from benchmarks import table
from benchmarks.results import Target
from benchmarks.stage import Stage, clear, config, opened, set_up
from lbmigrate import ScoreRecorder, schema
from lbmigrate.mongo import embedded
from lbmigrate.records import Document

SIZES = (50, 500, 5_000)  # events of a user
END = dt.datetime(2025, 7, 1)
DAYS = 365
THREADS = 8
FIRST_CALLS = 30
ROUNDS = 10
WARMING = 100  # calls that are not measured: the first ones of a process are slower than the rest
FIGURES = (
    ("record", "p50"),
    ("record", "p99"),
    ("record", "max"),
    ("first", "p50"),
    ("writes", "p50"),
    ("writes", "p99"),
)


def main() -> int:
    options = _parsed()
    with tempfile.TemporaryDirectory(prefix="lbmigrate-bench-") as home, embedded.serve(Path(home)) as uri:
        stage = Stage(uri, home, 0)
        with opened(stage) as database:
            clear(database)
            set_up(database)
            database["feature_flags"].insert_one({"_id": "leaderboard", "write": True})
            found = _measured(stage, database, options.calls)
            together = {size: _together(stage, database, size, options.calls) for size in (SIZES[0], SIZES[-1])}
            clear(database)
    print(f"{_shown(found)}\n\n{_shown_together(together)}")
    targets = _targets(found)
    print(f"\n{table.verdicts(targets)}")
    if options.json:
        told = {
            "record": found,
            "together": together,
            "targets": [{**asdict(each), "verdict": each.verdict} for each in targets],
        }
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.record", description=__doc__)
    parser.add_argument("--calls", type=int, default=300, metavar="N", help="how often each is called (300)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write what was measured to this file")
    return parser.parse_args()


def _measured(stage: Stage, database: Database[Any], calls: int) -> dict[int, Document]:
    """Percentiles in milliseconds of `record`, of first calls, and of the bare writes, by the events of the user.

    All of them in turns, some calls at a time: a machine is not as fast in one minute as in another.
    """
    work = {size: _work(stage, database, size, calls) for size in SIZES}
    took: dict[tuple[int, str], list[float]] = {(size, name): [] for size in SIZES for name in work[size]}
    for _ in range(WARMING):
        for size in SIZES:
            work[size]["record"][0]()
    for _ in range(ROUNDS):
        for (size, name), found in took.items():
            call, number = work[size][name]
            found.extend(_durations(call, max(1, number // ROUNDS)))
    return {size: {name: _percentiles(took[size, name]) for name in work[size]} for size in SIZES}


def _work(stage: Stage, database: Database[Any], size: int, calls: int) -> dict[str, tuple[Callable[[], Any], int]]:
    """What is measured for a user with so many events, and how often."""
    user, moments = _user(database, size), _moments()
    recorder = ScoreRecorder(database, config(stage), strict=True)
    recorder.record("task_complete", user, ObjectId(), at=END)  # what only the first call does
    return {
        "record": (lambda: recorder.record("task_complete", user, ObjectId(), at=next(moments)), calls),
        "first": (_first(stage, database, user, moments, FIRST_CALLS), FIRST_CALLS),
        "writes": (_writes(database), calls),
    }


def _moments() -> Iterator[dt.datetime]:
    """When actions are, one after another: of two at one moment an index does not say that both were counted."""
    return (END + dt.timedelta(seconds=second) for second in count(1))


def _user(database: Database[Any], size: int) -> ObjectId:
    """Somebody with so many events."""
    user = ObjectId()
    database["users"].insert_one({"_id": user, "displayName": f"Member of {size}"})
    events = [_event(user, END - dt.timedelta(days=DAYS * n / size)) for n in range(1, size + 1)]
    database[schema.EVENTS].insert_many(events)
    return user


def _together(stage: Stage, database: Database[Any], size: int, calls: int) -> dict[str, float]:
    """Percentiles in milliseconds, calls a second and µs of processor time a call, of threads with a user each."""
    recorder = ScoreRecorder(database, config(stage), strict=True)
    users = [_user(database, size) for _ in range(THREADS)]
    for user in users:
        recorder.record("task_complete", user, ObjectId(), at=END)

    def one(user: ObjectId) -> list[float]:
        moments = _moments()
        return list(_durations(lambda: recorder.record("task_complete", user, ObjectId(), at=next(moments)), calls))

    before, began = _spent(database), time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        took = [seconds for some in pool.map(one, users) for seconds in some]
    seconds, number = time.perf_counter() - began, THREADS * calls
    client, server = (after - was for after, was in zip(_spent(database), before, strict=True))
    return {
        **{name: figure for name, figure in _percentiles(took).items() if name != "max"},
        "calls a second": number / seconds,
        "client µs": client / number * 1e6,
        "server µs": server / number * 1e6,
    }


def _spent(database: Database[Any]) -> tuple[float, float]:
    """Seconds of processor time of this process and of the server."""
    server = psutil.Process(database.client.admin.command("serverStatus")["pid"]).cpu_times()
    return time.process_time(), server.user + server.system


def _first(
    stage: Stage, database: Database[Any], user: ObjectId, moments: Iterator[dt.datetime], calls: int
) -> Callable[[], Any]:
    """Of recorders that serve others already, but do not know this user."""
    others = [ScoreRecorder(database, config(stage), strict=True) for _ in range(calls)]
    for recorder in others:
        recorder.record("task_complete", ObjectId(), ObjectId(), at=END)
    waiting = iter(others)
    return lambda: next(waiting).record("task_complete", user, ObjectId(), at=next(moments))


def _event(user: ObjectId, at: dt.datetime) -> Document:
    key = ObjectId()
    return {
        "_id": f"task_complete:{key}",
        "userId": user,
        "actionType": "task_complete",
        "points": Int64(10),
        "sourceId": key,
        "meta": {"origin": "backfill", "priority": "low"},
        "createdAt": at,
    }


def _writes(database: Database[Any]) -> Callable[[], Any]:
    """An event and an entry of somebody else, so that the user measured keeps as many."""
    user, numbers = ObjectId(), dict.fromkeys(("score", "events", "rev"), Int64(1))
    entry = {"_id": f"global:{user}", "userId": user, "period": "global", **numbers}
    database[schema.ENTRIES].insert_one(entry)

    def write() -> None:
        database[schema.EVENTS].insert_one(_event(user, END))
        database[schema.ENTRIES].update_one({"_id": entry["_id"]}, {"$inc": numbers})

    return write


def _percentiles(took: Sequence[float]) -> dict[str, float]:
    found = np.array(took) * 1000
    return {"p50": float(np.percentile(found, 50)), "p99": float(np.percentile(found, 99)), "max": float(found.max())}


def _durations(call: Callable[[], Any], calls: int) -> Iterator[float]:
    for _ in range(calls):
        began = time.perf_counter()
        call()
        yield time.perf_counter() - began


def _shown(found: dict[int, Document]) -> str:
    heads = ("events of the user", "p50 ms", "p99 ms", "max ms", "first call p50", "two bare writes p50", "p99")
    rows = [(f"{size:,}", *(f"{each[name][figure]:.1f}" for name, figure in FIGURES)) for size, each in found.items()]
    return table.columns([heads, *rows])


def _shown_together(found: dict[int, dict[str, float]]) -> str:
    heads = (f"{THREADS} threads, events of each user", "p50 ms", "p99 ms", "calls/s", "client µs", "server µs")
    rows = [(f"{size:,}", *(f"{figure:,.1f}" for figure in each.values())) for size, each in found.items()]
    return table.columns([heads, *rows])


def _targets(found: dict[int, Document]) -> list[Target]:
    few, many = found[SIZES[0]]["record"], found[SIZES[-1]]["record"]
    return [
        Target(f"p50 of record() with {SIZES[0]} events, ms", "≤", 4, few["p50"]),
        Target(f"p99 of record() with {SIZES[0]} events, ms", "≤", 10, few["p99"]),
        Target(f"p50 with {SIZES[-1]:,} events × that with {SIZES[0]}", "≤", 1.2, many["p50"] / few["p50"]),
    ]


if __name__ == "__main__":
    sys.exit(main())
