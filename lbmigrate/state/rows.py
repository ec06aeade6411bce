"""The rows of `lbmigrate_state`, and the one way to write them.

A row's `_id` is `<kind>` or `<kind>:<name>`, and `kind` repeats the first part: `step:4`, `chunk:tasks:1:0`,
`watermark:tasks`, `verdict`. Every row carries the fence of the run that wrote it last. A write matches only rows whose
fence is not above its own, so a run that was paused, lost its lease and wakes up cannot overwrite its successor.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from pymongo.database import Database
from pymongo.errors import BulkWriteError

from lbmigrate.errors import Refused
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import durable, limited
from lbmigrate.records import Checkpoint, Document, Mark, RolledUp, RowsRemoved, Together
from lbmigrate.state import fenced
from lbmigrate.state.conditions import FORGOTTEN, LOCKS, NO_FENCE, OURS, of
from lbmigrate.state.fenced import LAYOUT
from lbmigrate.state.forms import MOST_FENCE
from lbmigrate.state.held import KINDS, HeldRows
from lbmigrate.state.judge import Flaw, examine, judge
from lbmigrate.state.shapes import COLLECTION, EPOCH
from lbmigrate.state.statuses import ChunkStatus
from lbmigrate.values.limits import named

RULES = "watermark::rules"  # by which the ledger was scored: it goes with the events too
BEGINNING = "watermark::beginning"  # where the board begins: it goes with the events, and no source has an empty name


class State:
    """The state of one migration, in `database`. `fence` is 0 until a lease raises it; looking needs none."""

    def __init__(self, database: Database[Any]) -> None:
        self.rows = limited(durable(database), COLLECTION)
        self.fence: int | None = 0
        self.known_layout: object = None  # what `state.layouts` has seen
        self.flaws: dict[str, Flaw] = {}  # what was found wrong with rows, each once, until somebody has told it
        self.held = HeldRows()
        self._void: frozenset[str] = frozenset()

    def unfenced(self) -> State:
        """The same state for work that runs beside the runs, without their lease: it writes only rows of its own."""
        beside = State(self.rows.database)
        beside.fence, beside.flaws = None, self.flaws
        return beside

    def without(self, kinds: Iterable[str]) -> State:
        """The same state as it will be when rows of these kinds are gone: for those who look ahead."""
        ahead = State(self.rows.database)
        ahead._void = frozenset(kinds)
        return ahead

    # --- looking -----------------------------------------------------------------------------------------------

    def check_layout(self) -> None:
        """Refuse rows that a newer version wrote."""
        newer = retrying(lambda: self.rows.find_one({"layout": {"$gt": LAYOUT}}))
        if newer is not None:
            layouts = f"(layout {newer['layout']}, this one knows {LAYOUT})"
            what = f"row {named(newer['_id'])!r} of {COLLECTION} was written by a newer lbmigrate {layouts}"
            raise Refused(what, hint="pip install --upgrade lbmigrate")

    def examine(self, everything: bool = False) -> list[Flaw]:
        """What is wrong with any row. Records of what is done are many: only with `everything` they are read too."""
        rows = partial(self.rows.find, {}, {"users": 0}) if everything else self.unsettled
        found = retrying(lambda: [flaw for row in rows() for flaw in examine(row)])
        self.note_flaws(found)
        return found

    def unsettled(self) -> Iterator[Document]:
        """Every row as it is, but for a chunk's users, and without the records of what is done."""
        records = [of("run"), {**of("chunk"), "status": ChunkStatus.ROLLED.value}]
        return iter(self.rows.find({"$nor": records}, {"users": 0}))

    def note_flaws(self, flaws: Iterable[Flaw]) -> None:
        self.flaws |= {str(flaw): flaw for flaw in flaws}

    def _sound(self, rows: Iterable[Document], *unread: str) -> Iterator[Document]:
        """The rows as they may be relied on, without those that may not at all; `unread` fields were not asked for."""
        for row in rows:
            sound, flaws = judge(row, unread)
            self.note_flaws(flaws)
            if sound:
                yield sound

    def get(self, row: str) -> Document:
        """One row, or an empty document."""
        if row.partition(":")[0] in self._void and row != BEGINNING:
            return {}
        read = partial(retrying, lambda: next(self._sound(self.rows.find({"_id": row}).limit(1)), {}))
        return self.held.get(row, read, self._held)

    def _held(self) -> dict[str, Document]:
        """The rows that a run may hold while it has the lease, by their `_id`."""
        asked = {"$or": [{"_id": {"$in": list(KINDS)}}, *map(of, KINDS)]}
        return {row["_id"]: row for row in retrying(lambda: list(self._sound(self.rows.find(asked))))}

    def step(self, number: int) -> Document:
        return self.get(f"step:{number}")

    def watermark(self, source: str) -> Document:
        return self.get(f"watermark:{source}")

    def of_kind(self, kind: str) -> list[Document]:
        """All rows `<kind>:<name>`."""
        return retrying(lambda: list(self._sound(self.rows.find(of(kind)))))

    def everything(self) -> Iterator[tuple[Document, Document]]:
        """Every row of ours as it is, and as it may be relied on."""
        return ((row, judge(row)[0]) for row in self.rows.find(OURS))

    def forgotten(self, read: Iterable[Document] | None = None) -> tuple[int | None, list[Document]]:
        """The fence of the newest run (0: there was none), and the rows about those who were forgotten until then.

        None stands for a run that has not ended, or not cleanly: it may take away what is there. Asked before every
        write to the ledger and the entries, so raises LeaseLost when the run was overtaken. `read`: of FORGOTTEN.
        """
        rows = {row["_id"]: row for row in self._sound(self.rows.find(FORGOTTEN) if read is None else read)}
        lock = rows.pop("lock", {"fence": 0})
        if self.fence and not self.fence >= lock.get("fence", MOST_FENCE):  # without a fence it is no run that asks
            raise fenced.overtaken()
        free = not lock.get("holder") and "fence" in lock
        return int(lock["fence"]) if free else None, list(rows.values())

    def runs(self, limit: int = 20) -> list[Document]:
        """The newest runs, newest first."""
        return retrying(lambda: list(self._sound(self.rows.find(of("run")).sort("startedAt", -1).limit(limit))))

    def chunks(self, **fields: Any) -> Iterator[Document]:
        """Chunk rows with these field values, in planning order, without the users that they touched."""
        found = self.rows.find({**of("chunk"), **fields}, {"users": 0})
        return self._sound(found.sort([("source", 1), ("pass", 1), ("number", 1)]), "users")

    def knows_chunks(self) -> bool:
        """Whether anything is remembered of what was read."""
        return self.rows.find_one({"$or": [of("chunk"), of("watermark")]}, {"_id": 1}) is not None

    def last_chunk(self, source: str, number: int, span: int) -> Document:
        """The chunk planned last in one span of one pass."""
        asked = {**of("chunk"), "source": source, "pass": number, "span": span}
        return next(self._sound(self.rows.find(asked, {"users": 0}).sort("number", -1).limit(1), "users"), {})

    def last_pass(self, source: str) -> int:
        """The highest number of a pass over a source that has a chunk; 0 where none has."""
        return max((row["pass"] for row in self.chunks(source=source)), default=0)

    def touched_users(self) -> Iterator[list[Any] | None]:
        """The users of each chunk that is emitted but not rolled up; None for a chunk that stands for everyone."""
        for row in self._sound(self.rows.find({**of("chunk"), "status": ChunkStatus.EMITTED.value})):
            yield row["users"]

    def last_closed(self) -> dt.datetime | None:
        """When the newest of the chunks that are emitted but not rolled up was closed."""
        if "chunk" in self._void:
            return None
        emitted = {**of("chunk"), "status": ChunkStatus.EMITTED.value}
        newest = self.rows.find(emitted, {"users": 0}).sort("closedAt", -1).limit(1)
        return next((row["closedAt"] for row in self._sound(newest, "users")), None)

    def read_in_pass(self, source: str, number: int) -> int:
        """How many documents the closed chunks of a pass have read."""
        done = [ChunkStatus.EMITTED.value, ChunkStatus.ROLLED.value]
        closed = self.chunks(source=source, status={"$in": done}, **{"pass": number})
        return sum(row.get("counts", {}).get("read", 0) for row in closed)

    def last_emission(self) -> str | None:
        """The chunk that added events last, and how many did; a verdict must cover it.

        An attempt that failed or was killed may have added what the next one counts as duplicates. The number tells
        a new chunk from an old one even when the clock went back in between.
        """
        added: list[Document] = [{f"counts.{name}": {"$gt": 0}} for name in ("emitted", "adjusted")]
        added.append({"attempts": {"$gt": 1}, "closedAt": {"$ne": None}})
        asked = {**of("chunk"), "$or": added}
        newest = self.rows.find(asked, {"users": 0}).sort([("closedAt", -1), ("_id", -1)]).limit(1)
        row = next(self._sound(newest, "users"), None)
        at = row.get("closedAt", EPOCH).isoformat() if row else ""
        return f"{row['_id']}@{at} of {self.rows.count_documents(asked)}" if row else None

    # --- writing -----------------------------------------------------------------------------------------------

    def save(self, *marks: Mark) -> None:
        """Write what a finished piece wants remembered. Raises LeaseLost when a newer fence stands in the way."""
        each = [one for mark in marks for one in (mark.marks if isinstance(mark, Together) else (mark,))]
        self.put(*(mark for mark in each if isinstance(mark, Checkpoint)))
        for mark in each:
            if isinstance(mark, RolledUp):
                self._close_rolled(mark.until)
            elif isinstance(mark, RowsRemoved):
                these = [each for kind in mark.kinds for each in ({"_id": kind}, of(kind))]
                gone = {"$and": [dict(mark.where), {"$or": these}], "fence": {"$lte": self.fence}}
                retrying(partial(self.rows.delete_many, gone))
                self.held.all_written()

    def put(self, *checkpoints: Checkpoint) -> None:
        """Set fields of rows, creating the absent ones, in one ordered bulk. Raises LeaseLost as `save` does."""
        if (fence := self.fence) is None:
            for each in checkpoints:
                self.note(each.row, **each.fields)
            return
        if not checkpoints:
            if retrying(lambda: self.rows.find_one(fenced.newer_lock(fence), {"_id": 1})):
                raise fenced.overtaken()
            return
        try:
            retrying(lambda: self.rows.bulk_write(fenced.updates(fence, checkpoints)))
        except BulkWriteError as error:
            if not fenced.is_overtaken(error):
                raise
            raise fenced.overtaken() from error
        finally:
            self.held.written(each.row for each in checkpoints)

    def _close_rolled(self, until: dt.datetime) -> None:
        before, after = ChunkStatus.EMITTED, ChunkStatus.ROLLED
        emitted = {**of("chunk"), "status": before.value, "closedAt": {"$lte": until}, "fence": {"$lte": self.fence}}
        closing = {"$set": {"status": before.to(after), "fence": self.fence}, "$unset": {"users": ""}}
        retrying(lambda: self.rows.update_many(emitted, closing))

    def note(self, row: str, **fields: Any) -> None:
        """Set fields of a row that no run owns; no lease is needed, for whoever writes it does not hold one."""
        setting = {"$set": fields, "$setOnInsert": {"kind": row.partition(":")[0], "layout": LAYOUT, "fence": 0}}
        retrying(lambda: self.rows.update_one({"_id": row}, setting, upsert=True))

    def raise_fence(self, fence: int) -> None:
        """Stamp every row that may still change, so that no write of an earlier holder matches it.

        One that has no fence, or none that can be compared, gets this one: no write would ever match it.
        """
        self.fence = fence
        unfinished = {"status": {"$ne": ChunkStatus.ROLLED.value}, "fence": {"$lt": fence}}
        rows = {"$and": [OURS, {"_id": {"$nin": LOCKS}}, {"$or": [unfinished, NO_FENCE]}]}
        retrying(lambda: self.rows.update_many(rows, {"$set": {"fence": fence}}))
