"""How fast this machine and the server are now: two fixed calculations and some pings. Nothing is written.

The reference machine did the same when the constants were fitted, so times can be compared. So nothing of the product
is in the calculations: a backfill that becomes faster must not make every machine look fast.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import geometric_mean, mean, median
from typing import Any

import bson
from bson import ObjectId
from pymongo.collection import Collection
from pymongo.database import Database

from lbmigrate.estimate.surroundings import cores_here
from lbmigrate.records import Document

DOCUMENTS, TIMES = 2_000, 30  # of the client's calculation, and how often it is done at a time
COMPANY = bytes(4_000_000)  # what another core is busy with meanwhile
STEPS, ASKED, PINGS = 60_000, 7, 15
MOST_MS = 3_000  # that the server may take for its calculation


@dataclass(frozen=True, slots=True)
class Taken:
    """What one calculation took: processor seconds, and how many times as long on the clock."""

    seconds: float
    busy: float


@dataclass(slots=True)
class Client:
    """The client's calculation, taken several times: the speed of many machines moves from one second to the next."""

    taken: list[Taken] = field(default_factory=list)

    def take(self) -> None:
        """Decode, change and encode made-up documents, always the same, while another core works as in a run."""
        raw = _documents()
        with _in_company():
            processor, clock = zip(*(_once(raw) for _ in range(TIMES)), strict=True)
        self.taken.append(Taken(median(processor), sum(clock) / max(sum(processor), 1e-9)))

    @property
    def seconds(self) -> float:
        """Processor seconds in which it is done once."""
        return mean(each.seconds for each in self.taken)

    @property
    def busy(self) -> float:
        """How much longer than its processor time it takes on the clock: 1 where nobody else wants the cores."""
        return max(1.0, geometric_mean([each.busy for each in self.taken]))

    @property
    def moved(self) -> float:
        """How many times as long the slowest took as the fastest, in processor seconds."""
        return _times(each.seconds for each in self.taken)

    @property
    def swayed(self) -> float:
        """The same of how busy the machine was."""
        return _times(max(1.0, each.busy) for each in self.taken)


def _times(values: Iterator[float]) -> float:
    found = list(values)
    return max(found) / max(min(found), 1e-9)


@contextmanager
def _in_company() -> Iterator[None]:
    """Within the block another core works as well, if there is one: many machines are slower then."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            hashlib.sha256(COMPANY)  # which holds up no other thread

    others = [threading.Thread(target=work, daemon=True)] if cores_here() > 1 else []
    for other in others:
        other.start()
    try:
        yield
    finally:
        ended.set()
        for other in others:
            other.join()


def _once(raw: bytes) -> tuple[float, float]:
    processor, clock = time.thread_time(), time.perf_counter()
    for document in bson.decode_all(raw):
        bson.encode(_changed(document))
    return time.thread_time() - processor, time.perf_counter() - clock


def _changed(document: Document) -> Document:
    """What looks like an event."""
    return {
        "_id": f"done:{document['_id']}", "userId": document["userId"], "points": 10, "sourceId": document["_id"],
        "meta": {"priority": document["priority"], "origin": "yardstick"}, "createdAt": document["completedAt"],
    }  # fmt: skip


def _documents() -> bytes:
    begin = dt.datetime(2025, 1, 1)
    return b"".join(
        bson.encode(
            {
                "_id": ObjectId(number.to_bytes(12, "big")),
                "userId": ObjectId((number % 97).to_bytes(12, "big")),
                "completedAt": begin + dt.timedelta(minutes=7 * number),
                "priority": ("low", "medium", "high")[number % 3],
            }
        )
        for number in range(DOCUMENTS)
    )


def server(collection: Collection[Any], trip: float) -> Taken | None:
    """Seconds in which the server adds up some numbers, less the way to it; None where it has no document to begin by.

    Raises PyMongoError where it is not allowed, or takes more than MOST_MS.
    """
    stages: list[Document] = [
        {"$limit": 1}, {"$project": {"_id": 0, "n": {"$range": [0, STEPS]}}}, {"$unwind": "$n"},
        {"$group": {"_id": {"$mod": ["$n", 1000]}, "sum": {"$sum": "$n"}}}, {"$count": "groups"},
    ]  # fmt: skip
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        if not list(collection.aggregate(stages, maxTimeMS=MOST_MS)):
            return None
        taken.append(time.perf_counter() - began)
        if sum(taken) > MOST_MS / 1000:
            break
    return Taken(max(min(taken) - trip, 1e-6), mean(taken) / min(taken))


def trip(database: Database[Any]) -> float:
    """Seconds to the server and back."""
    taken = []
    for _ in range(PINGS):
        began = time.perf_counter()
        database.command("ping")
        taken.append(time.perf_counter() - began)
        if sum(taken) > 2:
            break
    return median(taken)
