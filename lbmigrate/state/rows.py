"""The rows of `lbmigrate_state`, and the one way to write them.

A row's `_id` is `<kind>` or `<kind>:<name>`, and `kind` repeats the first part: `step:4`, `chunk:tasks:1:0`,
`watermark:tasks`, `verdict`. Every row carries the fence of the run that wrote it last. A write matches only rows whose
fence is not above its own, so a run that was paused, lost its lease and wakes up cannot overwrite its successor.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from typing import Any

from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from lbmigrate.errors import LeaseLost, Refused
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import durable
from lbmigrate.mongo.faults import DUPLICATE_KEY
from lbmigrate.records import Checkpoint, Document, Mark, RolledUp, RowsRemoved
from lbmigrate.state.statuses import ChunkStatus

COLLECTION = "lbmigrate_state"
LAYOUT = 1  # raised when rows change their meaning; a newer layout is refused, never guessed at


class State:
    """The state of one migration, in `database`. `fence` is 0 until a lease raises it; looking needs none."""

    def __init__(self, database: Database[Any]) -> None:
        self.rows = durable(database)[COLLECTION]
        self.fence: int | None = 0

    def unfenced(self) -> State:
        """The same state for work that runs beside the runs, without their lease: it writes only rows of its own."""
        beside = State(self.rows.database)
        beside.fence = None
        return beside

    # --- looking -----------------------------------------------------------------------------------------------

    def check_layout(self) -> None:
        """Refuse rows that a newer version wrote."""
        newer = retrying(lambda: self.rows.find_one({"layout": {"$gt": LAYOUT}}))
        if newer is not None:
            raise Refused(
                f"{COLLECTION} was written by a newer lbmigrate (layout {newer['layout']}, this one knows {LAYOUT})",
                hint="pip install --upgrade lbmigrate",
            )

    def get(self, row: str) -> Document:
        """One row, or an empty document."""
        return retrying(lambda: self.rows.find_one({"_id": row})) or {}

    def step(self, number: int) -> Document:
        return self.get(f"step:{number}")

    def watermark(self, source: str) -> Document:
        return self.get(f"watermark:{source}")

    def of_kind(self, kind: str) -> list[Document]:
        """All rows `<kind>:<name>`."""
        return retrying(lambda: list(self.rows.find({"_id": {"$gte": f"{kind}:", "$lt": f"{kind};"}})))

    def forgotten(self) -> tuple[int | None, list[Document]]:
        """The fence of the newest run (0: there was none), and the rows about those who were forgotten until then.

        None stands for a run that has not ended, or not cleanly: it may be taking away what is there. Asked before
        every write to the ledger and the entries, so raises LeaseLost when the run that asks was overtaken.
        """
        asked = {"$or": [{"_id": "lock"}, {"_id": {"$gte": "forgotten:", "$lt": "forgotten;"}}]}
        rows = {row["_id"]: row for row in self.rows.find(asked)}
        lock = rows.pop("lock", {})
        if self.fence and self.fence < lock.get("fence", 0):  # without a fence it is no run that asks
            raise _overtaken()
        fence = None if lock.get("holder") else int(lock.get("fence", 0))
        return fence, list(rows.values())

    def runs(self, limit: int = 20) -> list[Document]:
        """The newest runs, newest first."""
        return retrying(lambda: list(self.rows.find({"kind": "run"}).sort("startedAt", -1).limit(limit)))

    def chunks(self, **fields: Any) -> Iterator[Document]:
        """Chunk rows with these field values, in planning order, without the users that they touched."""
        found = self.rows.find({"kind": "chunk", **fields}, {"users": 0})
        return iter(found.sort([("source", 1), ("pass", 1), ("number", 1)]))

    def last_chunk(self, source: str, number: int, span: int) -> Document:
        """The chunk planned last in one span of one pass."""
        asked = {"kind": "chunk", "source": source, "pass": number, "span": span}
        return self.rows.find_one(asked, {"users": 0}, sort=[("number", -1)]) or {}

    def touched_users(self) -> Iterator[list[Any] | None]:
        """The users of each chunk that is emitted but not rolled up; None for a chunk that stands for everyone."""
        for row in self.rows.find({"kind": "chunk", "status": ChunkStatus.EMITTED.value}, {"users": 1}):
            yield row.get("users", [])

    def last_closed(self) -> dt.datetime | None:
        """When the newest of the chunks that are emitted but not rolled up was closed."""
        emitted = {"kind": "chunk", "status": ChunkStatus.EMITTED.value}
        row = self.rows.find_one(emitted, {"closedAt": 1}, sort=[("closedAt", -1)])
        return row["closedAt"] if row else None

    def read_in_pass(self, source: str, number: int) -> int:
        """How many documents the closed chunks of a pass have read."""
        done = [ChunkStatus.EMITTED.value, ChunkStatus.ROLLED.value]
        closed = self.chunks(source=source, status={"$in": done}, **{"pass": number})
        return sum(row["counts"]["read"] for row in closed)

    def last_emission(self) -> str | None:
        """The chunk that added events last, and how many did; a verdict must cover it.

        An attempt that failed or was killed may have added what the next one counts as duplicates. The number tells
        a new chunk from an old one even when the clock went back in between.
        """
        added: list[Document] = [{f"counts.{name}": {"$gt": 0}} for name in ("emitted", "adjusted")]
        added.append({"attempts": {"$gt": 1}, "closedAt": {"$ne": None}})
        asked = {"kind": "chunk", "$or": added}
        row = self.rows.find_one(asked, {"closedAt": 1}, sort=[("closedAt", -1), ("_id", -1)])
        return f"{row['_id']}@{row['closedAt'].isoformat()} of {self.rows.count_documents(asked)}" if row else None

    # --- writing -----------------------------------------------------------------------------------------------

    def save(self, *marks: Mark) -> None:
        """Write what a finished piece wants remembered. Raises LeaseLost when a newer fence stands in the way."""
        self.put(*(mark for mark in marks if isinstance(mark, Checkpoint)))
        for mark in marks:
            if isinstance(mark, RolledUp):
                self._close_rolled(mark.until)
            elif isinstance(mark, RowsRemoved):
                gone = {**mark.where, "kind": {"$in": list(mark.kinds)}, "fence": {"$lte": self.fence}}
                retrying(partial(self.rows.delete_many, gone))

    def put(self, *checkpoints: Checkpoint) -> None:
        """Set fields of rows, creating the absent ones, in one ordered bulk. Raises LeaseLost as `save` does."""
        if self.fence is None:
            for each in checkpoints:
                self.note(each.row, **each.fields)
            return
        # A row that is not there yet has no fence to stand in the way, but the lock has.
        if retrying(lambda: self.rows.find_one({"_id": "lock", "fence": {"$gt": self.fence}}, {"_id": 1})):
            raise _overtaken()
        if not checkpoints:
            return
        try:
            retrying(lambda: self.rows.bulk_write([self._update(each) for each in checkpoints]))
        except BulkWriteError as error:
            # An upsert does not match a row with a higher fence, and so collides with its _id.
            if all(failure["code"] != DUPLICATE_KEY for failure in error.details["writeErrors"]):
                raise
            raise _overtaken() from error

    def _update(self, checkpoint: Checkpoint) -> UpdateOne:
        kind = checkpoint.row.partition(":")[0]
        setting = {**checkpoint.fields, "fence": self.fence}
        return UpdateOne(
            {"_id": checkpoint.row, "fence": {"$lte": self.fence}},
            {"$set": setting, "$setOnInsert": {"kind": kind, "layout": LAYOUT}},
            upsert=True,
        )

    def _close_rolled(self, until: dt.datetime) -> None:
        before, after = ChunkStatus.EMITTED, ChunkStatus.ROLLED
        emitted = {"kind": "chunk", "status": before.value, "closedAt": {"$lte": until}, "fence": {"$lte": self.fence}}
        closing = {"$set": {"status": before.to(after), "fence": self.fence}, "$unset": {"users": ""}}
        retrying(lambda: self.rows.update_many(emitted, closing))

    def control(self, **fields: Any) -> None:
        """Set what steers runs from outside."""
        self.note("control", **fields)

    def note(self, row: str, **fields: Any) -> None:
        """Set fields of a row that no run owns; no lease is needed, for whoever writes it does not hold one."""
        setting = {"$set": fields, "$setOnInsert": {"kind": row.partition(":")[0], "layout": LAYOUT, "fence": 0}}
        retrying(lambda: self.rows.update_one({"_id": row}, setting, upsert=True))

    def raise_fence(self, fence: int) -> None:
        """Stamp every row that may still change, so that no write of an earlier holder matches it."""
        self.fence = fence
        unfinished = {"kind": {"$ne": "lock"}, "status": {"$ne": ChunkStatus.ROLLED.value}, "fence": {"$lt": fence}}
        retrying(lambda: self.rows.update_many(unfinished, {"$set": {"fence": fence}}))


def _overtaken() -> LeaseLost:
    message = "this run lost its lease: another run took over, and its checkpoints stand"
    return LeaseLost(message, hint="lbmigrate status")
