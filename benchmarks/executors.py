"""Two processes against one where the rule is what costs, and against threads where the server is.

    python -m benchmarks.executors [--docs 200000] [--costly 200000] [--rounds 3] [--keep DIR]

Every round runs all of them in turn, so that what else the machine does meets each; figures are the medians of the
rounds. Step 4 is timed from its first finished chunk to its end, and what comes before, in which processes start, for
itself. Two processes are to be at least 1.7 times as fast as one with a rule of 100 microseconds a document
(`benchmarks.costly`); where the server is the limit processes are to take at most a tenth longer than as many threads.
With the server on the same cores the first needs more of these than two: what the server itself takes is shared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data
from benchmarks.stage import WORKERS, Stage, clear, config, opened
from lbmigrate.config.model import Config
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.records import Report
from lbmigrate.run.connection import connect
from lbmigrate.workers.executor import Executor

AT_LEAST, AT_MOST = 1.7, 1.1


@dataclass(frozen=True, slots=True)
class Way:
    """How one of them works: where, in how many, and by which rule."""

    name: str
    executor: Executor
    workers: int
    is_costly: bool = False


ONE = Way("one process, costly rule", Executor.PROCESSES, 1, is_costly=True)
TWO = Way("two processes, costly rule", Executor.PROCESSES, 2, is_costly=True)
THREADS = Way("two threads", Executor.THREADS, WORKERS)
PROCESSES = Way("two processes", Executor.PROCESSES, WORKERS)
WAYS = (ONE, TWO, THREADS, PROCESSES)


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--docs", type=int, default=200_000)
    parser.add_argument("--costly", type=int, default=200_000, help="documents where the rule is what costs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="keep the data here for the next time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lbmigrate-bench-") as made:
        home = asked.keep or Path(made)
        home.mkdir(parents=True, exist_ok=True)
        with embedded.serve(home.resolve()) as uri:
            plain, costly = (Stage(uri, str(home), docs) for docs in (asked.docs, asked.costly))
            found = contest({False: plain, True: costly}, asked.rounds)
    say(found)
    return 0


def contest(stages: dict[bool, Stage], rounds: int) -> dict[str, float]:
    """The median seconds of each way."""
    for stage in stages.values():
        with open_client(stage.uri) as client:
            data.load(client[stage.database], stage.docs)
    seconds: dict[str, list[float]] = {way.name: [] for way in WAYS}
    for number in range(rounds):
        for way in turned(WAYS, number):
            start, took = measure(way, stages[way.is_costly])
            seconds[way.name].append(took)
            told = f"round {number + 1} of {rounds}: {way.name} {took:.2f} s, {start:.2f} s before"
            print(told, file=sys.stderr, flush=True)
    return {name: statistics.median(each) for name, each in seconds.items()}


def turned(ways: Sequence[Way], number: int) -> list[Way]:
    """Each round begins with another one."""
    place = number % len(ways)
    return [*ways[place:], *ways[:place]]


def measure(way: Way, stage: Stage) -> tuple[float, float]:
    """Seconds until the first chunk is done, and from then on to the end of step 4."""
    with opened(stage) as database:
        clear(database)
    first: list[float] = []

    def hear(report: Report) -> None:
        if not first and report.piece is not None and report.piece.counts is not None:
            first.append(time.perf_counter())

    terms = Terms(workers=way.workers, executor=way.executor, listen=hear, command="benchmarks")
    with connect(ruled(stage, way)) as there:
        with runner.started(there, "backfill", Terms(command="benchmarks")) as driver:
            driver.apply(STEPS[:3])
        began = time.perf_counter()
        with runner.started(there, "backfill", terms) as driver:
            driver.apply(STEPS[3:4])
        return first[0] - began, time.perf_counter() - first[0]


def ruled(stage: Stage, way: Way) -> Config:
    """The configuration of the stage, by its own rule or by the costly one."""
    usual = config(stage)
    if not way.is_costly:
        return usual
    source = usual.sources[0].model_copy(update={"points": "benchmarks.costly:points", "where": {}})
    backfill = usual.backfill.model_copy(update={"chunk_size": 2_000})  # so that both have work until the end
    return usual.model_copy(update={"sources": (source,), "backfill": backfill}).allowing(["benchmarks.costly"])


def say(found: dict[str, float]) -> None:
    faster, slower = found[ONE.name] / found[TWO.name], found[PROCESSES.name] / found[THREADS.name]
    print(f"on {os.cpu_count()} cores, the server on them too")
    print(f"costly rule: {found[ONE.name]:.1f} s, {found[TWO.name]:.1f} s: two are {faster:.2f} x one; "
          f"at least {AT_LEAST} wanted: {'met' if faster >= AT_LEAST else 'missed'}")  # fmt: skip
    print(f"plain rule: threads {found[THREADS.name]:.1f} s, processes {found[PROCESSES.name]:.1f} s: {slower:.2f} x; "
          f"at most {AT_MOST} wanted: {'met' if slower <= AT_MOST else 'missed'}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
