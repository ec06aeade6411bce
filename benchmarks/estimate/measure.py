"""Measures cases: a sample and the yardsticks as the product takes them, then a real run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Any

from pymongo import WriteConcern
from pymongo.database import Database

from benchmarks.estimate.cases import Case, config, load
from benchmarks.rounds import ROOT
from benchmarks.stage import clear
from lbmigrate.estimate import tasks, yardstick
from lbmigrate.estimate.model import Work
from lbmigrate.estimate.sample import Allowance
from lbmigrate.estimate.surroundings import cores_here, surroundings
from lbmigrate.mongo.client import open_client
from lbmigrate.records import Document
from lbmigrate.run.connection import connect

SECONDS = 10.0
WRITES = 100
Say = Callable[[str], None]


def measured(uri: str, cases: Sequence[Case], rounds: int, say: Say) -> Iterator[Document]:
    """Every case once in each round: what was expected of it, and what it took."""
    with open_client(uri) as client:
        for case in cases:
            if load(client[case.database], case):
                say(f"made {case.docs:,} documents for: {case.name}")
        for number in range(rounds):
            for case in cases:
                clear(client[case.database])
                found = {"case": asdict(case), **_looked(uri, case), "trial": _tried(uri, case)}
                clear(client[case.database])
                taken = sum(part["seconds"] for part in found["trial"]["parts"].values())
                say(f"round {number + 1} of {rounds}: {case.name} {taken:.2f} s")
                yield found


def _looked(uri: str, case: Case) -> Document:
    """What the product sees before a run: yardsticks, and the work that a sample tells of."""
    with connect(config(case, uri)) as opened:
        context = opened.context(workers=case.workers)
        allowance, here = Allowance(SECONDS), yardstick.Client()
        here.take()
        found = tasks.readings(context, allowance)
        here.take()
        work, share = tasks.work(context, found, allowance)
        here.take()
        trip = yardstick.trip(context.sources)
        around = surroundings(context)
        return {
            "work": asdict(replace(work, indexes=case.indexes)),
            "error": share.error,
            "yardsticks": {"client": here.seconds, "server": yardstick.server(context.sources["tasks"], trip)},
            "busy": here.busy,
            "trip": trip,
            "cores": cores_here(),
            "server_cores": around.cores,
        }


def _tried(uri: str, case: Case) -> Document:
    command = [sys.executable, "-m", "benchmarks.estimate.trial", uri, case.to_json()]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: Document = json.loads(done.stdout)
    return found


def done(record: Document) -> Work:
    """The work that a run has really done."""
    work, trial = Work(**record["work"]), record["trial"]
    events, entries = trial["events"]["count"], trial["entries"]["count"]
    compared = work.verified * entries / events
    users = record["case"]["docs"] // record["case"]["per_user"]
    return replace(work, events=events, gathered=events, entries=entries, compared=compared, users=users)


def journal(database: Database[Any]) -> float:
    """Seconds until a majority has a small write on its disks, beyond the way there and back."""
    collection = database.get_collection("journal", write_concern=WriteConcern("majority", j=True))
    taken = []
    for number in range(WRITES):
        began = time.perf_counter()
        collection.insert_one({"_id": number})
        taken.append(time.perf_counter() - began)
    collection.drop()
    return max(0.0, median(taken) - yardstick.trip(database))
