"""Small apps to migrate: documents, a configuration for them, and the ways to take them through the steps."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from lbmigrate.backfill import recount
from lbmigrate.config.model import Config
from lbmigrate.ledger import forget
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.steps import STEPS, Step, s4_backfill
from lbmigrate.reconcile import reconcile
from lbmigrate.records import Counts, Document, Piece, Reconciled, Recounted
from lbmigrate.run.context import Context
from lbmigrate.run.stop import Stop
from lbmigrate.state import COLLECTION, State

NEW_YEAR = dt.datetime(2025, 1, 1)
WRITING_TIMES = {"createdAt", "updatedAt", "lastUpdated", "rev", "moved"}
TASKS: Document = {
    "name": "tasks",
    "collection": "tasks",
    "action": "task_complete",
    "where": {"status": "done"},
    "user": "userId",
    "at": ["completedAt"],
    "updated": "updatedAt",
    "points": 10,
    "meta": {"priority": "priority"},
}
SESSIONS: Document = {
    "name": "sessions",
    "collection": "sessions",
    "action": "focus_session",
    "where": {"type": "focus"},
    "user": "userId",
    "at": ["endedAt"],
    "let": {"minutes": {"path": "durationSec", "unit": "seconds", "to": "minutes"}},
    "points": "minimum(floor(minutes), 120)",
}
USERS: Document = {
    "collection": "users",
    "display_name": ["name"],
    "avatar": ["avatar"],
    "opt_out": {"path": "hidden", "missing": False},
}
UNHURRIED: Document = {"max_lag": None, "max_queue": None, "latency_factor": None}  # tests share their machine


def oid(number: int) -> ObjectId:
    """Ids that read well and sort as their numbers do."""
    return ObjectId(f"{number:024x}")


def user(number: int, **fields: Any) -> Document:
    return {"_id": oid(number), "name": f"User {number}", **fields}


def task(number: int, owner: int = 1, hours: float | None = None, **fields: Any) -> Document:
    """A finished task; by default they are nine hours apart."""
    at = NEW_YEAR + dt.timedelta(hours=number * 9 if hours is None else hours)
    usual = {"_id": oid(1000 + number), "userId": oid(owner), "status": "done", "completedAt": at, "updatedAt": at}
    return {**usual, "priority": "low", **fields}


def session(number: int, owner: int = 1, minutes: int = 25, **fields: Any) -> Document:
    at = NEW_YEAR + dt.timedelta(hours=number * 11)
    usual = {"_id": oid(5000 + number), "userId": oid(owner), "type": "focus", "endedAt": at}
    return {**usual, "durationSec": minutes * 60, **fields}


def config(*sources: Document, **parts: Any) -> Config:
    """A configuration for these sources, by default tasks alone, in chunks of five documents by one worker."""
    backfill = {"chunk_size": 5, "workers": 1, "target": None, **parts.pop("backfill", {})}
    written = {
        "users": USERS,
        "sources": list(sources or [TASKS]),
        "backfill": backfill,
        "throttle": UNHURRIED,
        **parts,
    }
    return Config.model_validate(written)


def ticking(start: dt.datetime = dt.datetime(2100, 1, 1)) -> Any:
    """A clock that goes on by a second whenever it is read; ahead of any server's, so that nothing expires."""
    seconds = itertools.count()
    return lambda: start + dt.timedelta(seconds=next(seconds))


def hurried() -> Stop:
    """A run's Stop whose waits are over at once: its time goes on by what is waited for, and by nothing else."""
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    return Stop(monotonic=lambda: passed[0], sleep=sleep)


@dataclass
class App:
    """An app's database, how it is migrated, and where the state is kept."""

    database: Database[Any]
    config: Config = field(default_factory=config)
    home: Database[Any] | None = None
    clock: Any = field(default_factory=ticking)

    @property
    def state(self) -> State:
        return State(self.database if self.home is None else self.home)

    def context(self, **chosen: Any) -> Context:
        given = {
            "run": "test",
            "workers": self.config.backfill.workers,
            "clock": self.clock,
            "stop": hurried(),
            **chosen,
        }
        return Context(self.config, self.database, self.database, self.state, **given)

    def apply(self, steps: Sequence[Step] = STEPS, **chosen: Any) -> Counts:
        """Apply steps as a run does; what became of the documents."""
        found = Driver(self.context(**chosen)).apply(steps).get("backfill")
        return found if isinstance(found, Counts) else Counts()

    def revert(self, steps: Sequence[Step] = STEPS, **chosen: Any) -> None:
        Driver(self.context(**chosen)).revert(steps)

    def backfill(self, **chosen: Any) -> Counts:
        return self.apply([s4_backfill], **chosen)

    def reconcile(self, **chosen: Any) -> Reconciled:
        """Reconcile as the verb does, but for its checks; what was read and adjusted."""
        driver = Driver(self.context(**chosen))
        found = driver.carry_out(reconcile.WORK, reconcile.pieces(driver.context))
        return found if isinstance(found, Reconciled) else Reconciled()

    def recount(self, **chosen: Any) -> Recounted:
        """Recount as the verb does, but for its checks; what was counted, and what came of it."""
        driver = Driver(self.context(**chosen))
        found = driver.carry_out(recount.WORK, recount.pieces(driver.context))
        return found if isinstance(found, Recounted) else Recounted()

    def forget(self, who: str, **chosen: Any) -> None:
        driver = Driver(self.context(**chosen))
        driver.carry_out(forget.WORK, forget.pieces(driver.context, who))

    def events(self) -> list[Document]:
        return list(self.database["score_events"].find().sort("_id", 1))

    def event_ids(self) -> list[str]:
        return [event["_id"] for event in self.events()]

    def entries(self) -> dict[str, Document]:
        return {entry["_id"]: entry for entry in self.database["leaderboard_entries"].find()}

    def chunks(self, **fields: Any) -> list[Document]:
        return list(self.state.chunks(**fields))


def pieces(step: Step, context: Context, direction: str = "apply") -> Iterator[Piece]:
    """The pieces of a step, each saved before the next is asked for, as the runner does it."""
    for piece in getattr(step, direction)(context):
        yield piece
        if piece.checkpoint is not None:
            context.state.save(piece.checkpoint)


def stopped_after(step: Step, context: Context, number: int, saved: bool, direction: str = "apply") -> int:
    """Let a step make `number` pieces and end there, the last one's checkpoint saved or not; how many were made."""
    walk = getattr(step, direction)(context)
    made = 0
    for piece in itertools.islice(walk, number):
        made += 1
        if piece.checkpoint is not None and (saved or made < number):
            context.state.save(piece.checkpoint)
    walk.close()
    return made


def picture(database: Database[Any], *, times: bool = True) -> Document:
    """Everything in a database but the toolkit's record of runs: options, indexes and documents of each collection.

    Without `times`, when and how often a derived document was written is left out.
    """
    shown = {}
    for info in database.list_collections():
        name = info["name"]
        if name in (COLLECTION, "system.profile"):
            continue
        documents = {repr(row["_id"]): row for row in database[name].find()}
        if not times:
            documents = {key: untimed(name, row) for key, row in documents.items()}
        indexes = {key: spec["key"] for key, spec in database[name].index_information().items()}
        shown[name] = {"options": in_full(info.get("options", {})), "indexes": indexes, "documents": documents}
    return shown


def in_full(options: Document) -> Document:
    """Options of a collection with what goes unsaid: a server shows it once it was told to change a validator."""
    return {"validationLevel": "strict", "validationAction": "error", **options}


def untimed(collection: str, document: Document) -> Document:
    """A derived document without what depends on when it was written; others as they are."""
    left_out = {
        "leaderboard_entries": WRITING_TIMES,
        "feature_flags": {"updatedAt"},
        "lbmigrate_rejects": {"createdAt", "run"},
    }.get(collection, set())
    return {key: value for key, value in document.items() if key not in left_out}


# --- what no client would write ------------------------------------------------------------------------------------

LOST, BYTES = "?????", b"\xff\xfe\xfd\xfc\xfb"  # a text of a test, and what stands there instead


def lost(document: Document) -> RawBSONDocument:
    """The document with bytes that are not UTF-8 wherever it has LOST."""
    return RawBSONDocument(bson.encode(document).replace(LOST.encode(), BYTES))


def named(name: bytes, document: Document) -> RawBSONDocument:
    """The document with these bytes as the text of its `_id`."""
    rest = bson.encode({key: value for key, value in document.items() if key != "_id"})[4:]
    begun = b"\x02_id\x00" + (len(name) + 1).to_bytes(4, "little") + name + b"\x00"
    return RawBSONDocument((4 + len(begun) + len(rest)).to_bytes(4, "little") + begun + rest)
