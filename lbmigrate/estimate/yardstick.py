"""How fast this machine and the server are now: two fixed calculations and some pings. Nothing is written.

The reference machine did the same when the constants were fitted, so times can be compared.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

import bson
from bson import ObjectId
from pymongo.collection import Collection
from pymongo.database import Database

from lbmigrate.config.model import Source
from lbmigrate.ledger.sources import CODECS
from lbmigrate.records import Document
from lbmigrate.rules.scoring import score

DOCUMENTS, TIMES = 2_000, 7  # of the client's calculation, and how often it is done alone; in company twice as often
COMPANY = bytes(4_000_000)  # what another core is busy with meanwhile
STEPS, PINGS = 60_000, 15
MOST_MS = 3_000  # that the server may take for its calculation
SOURCE: Document = {
    "name": "tasks", "collection": "tasks", "action": "done", "user": "userId", "at": "completedAt", "points": 10,
    "meta": {"priority": "priority"},
}  # fmt: skip


@dataclass(slots=True)
class Client:
    """The client's calculation, taken several times: the speed of many machines moves from one second to the next."""

    _taken: list[tuple[float, float]] = field(default_factory=list)

    def take(self) -> None:
        """Decode, score and encode made-up documents, always the same, while another core works as in a run."""
        source, raw = Source.model_validate(SOURCE), _documents()
        processor, clock = zip(*(_once(source, raw) for _ in range(TIMES)), strict=True)
        with _in_company():
            beside = median(_once(source, raw)[0] for _ in range(2 * TIMES))
        self._taken.append((beside, median(clock) / max(median(processor), 1e-9)))

    @property
    def seconds(self) -> float:
        """Processor seconds in which it is done once."""
        return mean(seconds for seconds, _ in self._taken)

    @property
    def busy(self) -> float:
        """How much longer than its processor time it takes on the clock when nothing of ours runs beside it."""
        return max(1.0, median(busy for _, busy in self._taken))


@contextmanager
def _in_company() -> Iterator[None]:
    """Within the block another core works as well: many machines are slower then."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            hashlib.sha256(COMPANY)  # which holds up no other thread

    other = threading.Thread(target=work, daemon=True)
    other.start()
    try:
        yield
    finally:
        ended.set()
        other.join()


def _once(source: Source, raw: bytes) -> tuple[float, float]:
    processor, clock = time.thread_time(), time.perf_counter()
    for event in score(bson.decode_all(raw, CODECS), source, "UTC").events:
        bson.encode(event)
    return time.thread_time() - processor, time.perf_counter() - clock


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


def server(collection: Collection[Any], trip: float) -> float | None:
    """Seconds in which the server adds up some numbers, less the way to it; None where it has no document to begin by.

    Raises PyMongoError where it is not allowed, or takes more than MOST_MS.
    """
    stages: list[Document] = [
        {"$limit": 1}, {"$project": {"_id": 0, "n": {"$range": [0, STEPS]}}}, {"$unwind": "$n"},
        {"$group": {"_id": {"$mod": ["$n", 1000]}, "sum": {"$sum": "$n"}}}, {"$count": "groups"},
    ]  # fmt: skip
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        if not list(collection.aggregate(stages, maxTimeMS=MOST_MS)):
            return None
        taken.append(time.perf_counter() - began)
        if sum(taken) > MOST_MS / 1000:
            break
    return max(min(taken) - trip, 1e-6)


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
