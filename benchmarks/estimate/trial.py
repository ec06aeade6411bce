"""One run of one case in a process of its own: `python -m benchmarks.estimate.trial URI CASE` prints what it took.

Steps 1 to 3 have been done: they belong to the setup, which is measured as an operator's command. Processor time of
this process and its children, that of the server, and the clock are read whenever a part of the work has ended: events,
entries, verification, and step 6.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from bson import Timestamp
from pymongo import MongoClient
from pymongo.database import Database

from benchmarks.estimate.cases import Case, config
from lbmigrate.ledger.user_ids import kind_of_users
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import STEPS
from lbmigrate.records import Document, Report
from lbmigrate.run.connection import Connection, connect
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.verify import choose, sampled, verdict
from lbmigrate.workers.executor import Executor

MEGABYTE = 1_000_000
CUT_OVER = "cut-over"
OUR_OWN = 3  # connections of a client that has asked one thing


@dataclass(slots=True)
class Meters:
    """Reads what has been used so far, and keeps it by the part of the work that it is the end of."""

    database: Database[Any]
    server: psutil.Process
    read: dict[str, dict[str, float]] = field(default_factory=dict)
    before: int = 0
    connections: int = 0

    def note(self, part: str) -> None:
        me, server = psutil.Process(), self.server.cpu_times()
        children = [each.cpu_times() for each in me.children(recursive=True)]
        self.read[part] = {
            "seconds": time.perf_counter(),
            "client": time.process_time() + sum(each.user + each.system for each in children),
            "server": server.user + server.system,
        }

    def listen(self, report: Report) -> None:
        """The last of the pieces of a source is the end of the events."""
        piece = report.piece
        if piece is not None and piece.counts is not None and piece.subject in ("tasks", "sessions"):
            self.note("events")
            self.connections = max(self.connections, self._connections())

    def _connections(self) -> int:
        """Those to the server that were not there before."""
        return int(self.database.client.admin.command("serverStatus")["connections"]["current"]) - self.before

    def parts(self) -> dict[str, dict[str, float]]:
        """What each part used, in the order of the work."""
        return {
            name: {meter: self.read[name][meter] - self.read[before][meter] for meter in self.read[name]}
            for before, name in pairwise(self.read)
        }


def measure(uri: str, case: Case) -> Document:
    """Run a case on an empty leaderboard: seconds, processor seconds, peak MB, bytes."""
    client: MongoClient[Any]
    with MongoClient(uri) as client:
        status = client.admin.command("serverStatus")
    others = status["connections"]["current"] - OUR_OWN
    with connect(config(case, uri)) as opened:
        database = opened.target
        meters = Meters(database, psutil.Process(status["pid"]), before=others)
        terms = Terms(workers=case.workers, executor=Executor(case.executor), command="fit")
        for number in range(case.indexes):
            database[EVENTS].create_index([("actionType", 1), ("createdAt", -1), ("points", 1)][number:])
        began = now(opened.client)
        meters.note("begun")
        with runner.started(opened, "backfill", _heard(terms, meters)) as driver:
            driver.apply(STEPS[3:4])
            meters.note("entries")
            peak = _peak()
            driver.apply(STEPS[4:5])
            meters.note("verification")
            driver.apply(STEPS[5:])
            meters.note(CUT_OVER)
        return {"parts": meters.parts(), "peak": peak, "connections": meters.connections,
                "oplog": oplog(opened.client, began), "looked": looked(opened), **_sizes(database)}  # fmt: skip


def looked(opened: Connection) -> Document:
    """The users, events and entries that the verification has looked at, chosen once more, and all periods."""
    context = opened.context()
    options, entries, events = verdict.asked(context), opened.target[ENTRIES], opened.target[EVENTS]
    number = choose.count(context)
    asked: Document = {}
    if not options.full:
        size = sampled.sample_of(options, number)
        users = choose.chosen(context, options, size, kind_of_users(context)).users
        number, asked = len(users), {"userId": {"$in": users}}
    return {
        "users": number, "events": events.count_documents(asked),
        "entries": entries.count_documents(asked), "periods": len(entries.distinct("period")), "full": options.full,
    }  # fmt: skip


def _heard(terms: Terms, meters: Meters) -> Terms:
    return Terms(workers=terms.workers, executor=terms.executor, command=terms.command, listen=meters.listen)


def oplog(client: MongoClient[Any], since: Timestamp) -> int:
    """Bytes that went into the oplog since then."""
    stages: list[Document] = [
        {"$match": {"ts": {"$gt": since}}},
        {"$group": {"_id": None, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}},
    ]
    return sum(int(row["bytes"]) for row in client["local"]["oplog.rs"].aggregate(stages))


def now(client: MongoClient[Any]) -> Timestamp:
    found: Timestamp = client.admin.command("hello")["operationTime"]
    return found


def _sizes(database: Database[Any]) -> Document:
    """How many events and entries there are, and what they take on the disk, after all is written."""
    database.client.admin.command("fsync")
    found = {}
    for name, collection in (("events", EVENTS), ("entries", ENTRIES)):
        stats = database.command("collStats", collection)
        found[name] = {
            "count": stats["count"], "bytes": stats["size"],
            "storage": stats["storageSize"], "indexes": stats["totalIndexSize"],
        }  # fmt: skip
    return found


def _peak() -> float:
    """The peak of memory of this process and its children, in MB."""
    found = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(_high_water(each.pid) for each in found)


def _high_water(pid: int) -> float:
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes[1]) * 1024 / MEGABYTE if kilobytes else 0.0


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Case.from_json(sys.argv[2]))))
