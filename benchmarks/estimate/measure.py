"""Measures cases: a sample and the yardsticks as the product takes them, then a real run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from pymongo import WriteConcern
from pymongo.database import Database

from benchmarks.estimate.cases import Case, config, load
from benchmarks.estimate.operator import typed
from benchmarks.estimate.trial import CUT_OVER
from benchmarks.rounds import ROOT
from benchmarks.stage import clear
from lbmigrate.estimate import estimate, yardstick
from lbmigrate.estimate.fitted import fitted
from lbmigrate.estimate.model import Work
from lbmigrate.estimate.surroundings import cores_here, surroundings
from lbmigrate.mongo.client import open_client
from lbmigrate.records import Document
from lbmigrate.run.connection import connect

WRITES = 100
Say = Callable[[str], None]


def measured(uri: str, cases: Sequence[Case], rounds: int, say: Say) -> Iterator[Document]:
    """Every case once in each round: what was expected of it, and what it took."""
    with open_client(uri) as client:
        server = int(client.admin.command("serverStatus")["pid"])
        for case in cases:
            if load(client[case.database], case):
                say(f"made {case.docs:,} documents for: {case.name}")
        for number in range(rounds):
            for case in cases:
                clear(client[case.database])
                found = {"case": asdict(case), **_looked(uri, case), "trial": _tried(uri, case, server)}
                clear(client[case.database])
                taken = sum(part["seconds"] for part in found["trial"]["parts"].values())
                say(f"round {number + 1} of {rounds}: {case.name} {taken:.2f} s")
                yield found


def _looked(uri: str, case: Case) -> Document:
    """What the product sees before a run: yardsticks, and the work that a sample tells of."""
    with connect(config(case, uri)) as opened:
        context = opened.context(workers=case.workers)
        around = surroundings(context)
        looked = estimate.look(context, around, fitted())
        trip = looked.known.machine.trip
        asked = yardstick.server(context.sources["tasks"], trip)
        return {
            "work": asdict(replace(looked.work, indexes=case.indexes)),
            "error": looked.share.error,
            "yardsticks": {"client": looked.here.seconds, "server": asked.seconds if asked else None},
            "busy": looked.here.busy,
            "trip": trip,
            "cores": cores_here(),
            "server_cores": around.cores,
        }


def _tried(uri: str, case: Case, server: int) -> Document:
    """A run in two pieces: its first steps as a command, the others with a meter that is read between them."""
    setup = typed(["run", "--to", "3", "--yes", "--no-backup"], case, uri, server)
    command = [sys.executable, "-m", "benchmarks.estimate.trial", uri, case.to_json()]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: Document = json.loads(done.stdout)
    last = found["parts"].pop(CUT_OVER)
    found["parts"]["setup"] = {name: getattr(setup, name) + last[name] for name in last}
    return found


def done(record: Document) -> Work:
    """The work that a run has really done."""
    work, trial = Work(**record["work"]), record["trial"]
    events, entries, looked = trial["events"]["count"], trial["entries"]["count"], trial["looked"]
    users = record["case"]["docs"] // record["case"]["per_user"]
    called = looked["events"] if record["case"]["rule"] == "slow" else 0.0
    rescoring = called * work.scoring / max(1.0, work.documents)
    seen = {
        "called": called,
        "rescoring": rescoring,
        "compared": looked["entries"],
        "users": users,
        "periods": looked["periods"],
    }
    if looked["full"]:
        seen |= {"checked": looked["events"]}
    else:
        seen |= {
            "verified": looked["events"],
            "summed": events,
            "summed_entries": entries,
        }
    return replace(work, events=events, gathered=events, entries=entries, **seen)


def journal(database: Database[Any]) -> float:
    """Seconds until a majority has a small write on its disks, beyond the way there and back.

    Of many tries those count that others on this machine hardly disturbed.
    """
    collection = database.get_collection("journal", write_concern=WriteConcern("majority", j=True))
    written = _quick(lambda number: collection.insert_one({"_id": number}))
    collection.drop()
    return max(0.0, written - _quick(lambda _: database.command("ping")))


def _quick(call: Callable[[int], object]) -> float:
    taken = []
    for number in range(WRITES):
        began = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - began)
    return sorted(taken)[WRITES // 10]
