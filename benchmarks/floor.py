"""The floor: what any client must do at least. It reads the same documents and writes the same ones, as raw BSON.

Nothing is decoded, computed or encoded: the finished documents are in memory before the clock starts, cut into the
pieces in which they are written. As many threads as ours, pieces of the same size, the same concerns.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database

from benchmarks.stage import DONE, WORKERS, Figures, Stage, Work, config, opened, set_up
from lbmigrate.ledger import rollup
from lbmigrate.records import Document
from lbmigrate.rules.mapped import paths
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.values.paths import projection_of

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
ORDERS = {EVENTS: "_id", ENTRIES: "userId"}  # in which the pieces are written

Piece = tuple[Document, Sequence[RawBSONDocument]]  # which documents to read, and what to write then


def save_finished(database: Database[Any], directory: Path) -> None:
    """Put events and entries aside, as BSON, for the floor to write."""
    directory.mkdir(exist_ok=True)
    for name, order in ORDERS.items():
        with (directory / f"{name}.bson").open("wb") as file:
            file.writelines(database[name].find_raw_batches().sort(order))


@contextmanager
def floor(stage: Stage) -> Iterator[Work]:
    """Read tasks and write events, then read events and write entries."""
    with opened(stage) as database:
        set_up(database)
        source = config(stage).sources[0]
        chunks = _chunks(database["tasks"], _load(stage, EVENTS), config(stage).backfill.chunk_size)
        users = _user_ranges(_load(stage, ENTRIES), sum(len(events) for _, events in chunks))
        tasks = _copying(database["tasks"], projection_of(paths(source)), database[EVENTS])
        events = _copying(database[EVENTS], {"_id": 0, "userId": 1, "points": 1, "createdAt": 1}, database[ENTRIES])
        gc.freeze()  # a million documents that nobody will ever collect

        def work() -> Figures:
            with ThreadPoolExecutor(WORKERS) as pool:
                list(pool.map(tasks, chunks))
                list(pool.map(events, users))
            return {}

        yield work


def _load(stage: Stage, name: str) -> list[RawBSONDocument]:
    with (stage.finished / f"{name}.bson").open("rb") as file:
        return list(bson.decode_file_iter(file, RAW))


def _copying(source: Collection[Any], projection: Document, target: Collection[Any]) -> Callable[[Piece], None]:
    def copy(piece: Piece) -> None:
        condition, finished = piece
        for _ in source.find_raw_batches(condition, projection, batch_size=rollup.BATCH):
            pass
        if finished:
            target.insert_many(finished, ordered=False)

    return copy


def _chunks(tasks: Collection[Any], events: list[RawBSONDocument], size: int) -> list[Piece]:
    ids = [row["_id"] for row in tasks.find({}, {"_id": 1}).sort("_id", 1)]
    lows = ids[::size]
    share = -(-len(events) // len(lows))
    conditions = [{"_id": {"$gte": low, "$lt": high}} for low, high in pairwise(lows)]
    conditions.append({"_id": {"$gte": lows[-1]}})
    return [
        ({**condition, **DONE}, events[share * place : share * (place + 1)])
        for place, condition in enumerate(conditions)
    ]


def _user_ranges(entries: list[RawBSONDocument], events: int) -> list[Piece]:
    """Users in order, about as many events in each range as the roll-up takes."""
    firsts: dict[Any, int] = {}
    for place, entry in enumerate(entries):
        firsts.setdefault(entry["userId"], place)
    users = list(firsts)
    step = max(1, len(users) * rollup.BATCH // events)
    edges = [*range(0, len(users), step), len(users)]
    return [
        (
            {"userId": {"$gte": users[low], "$lte": users[high - 1]}},
            entries[firsts[users[low]] : firsts[users[high]] if high < len(users) else None],
        )
        for low, high in pairwise(edges)
    ]
