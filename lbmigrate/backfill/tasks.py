"""Chunks and roll-ups as tasks: what a worker of another process is handed, and what it hands back.

The run claims a chunk before, and closes it after: a worker only reads, and adds to the ledger and the entries.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

from pymongo.errors import PyMongoError

from lbmigrate.backfill import isolate, settle
from lbmigrate.backfill.isolate import Outcome
from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import rolling
from lbmigrate.ledger.budget import AskedBudget, Budget
from lbmigrate.ledger.emitted import Emitted, Seen
from lbmigrate.ledger.rolled import Rolled
from lbmigrate.ledger.settle import actions
from lbmigrate.ledger.user_ids import AskedUserType, OneUserType
from lbmigrate.mongo import errors_told
from lbmigrate.mongo.client import retrying
from lbmigrate.passes import passes
from lbmigrate.passes.chunks import Bounds
from lbmigrate.passes.passes import Claimed
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.records import Counts, Document
from lbmigrate.rules.event import source_named
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import Ask, Job, Way, met
from lbmigrate.schema.layout import PARTITIONED

# --- chunks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Emission(Job[Claimed, Outcome]):
    """How the chunks of one pass over a source are emitted; with a `budget` what they have changed is settled too."""

    NAME: ClassVar[str] = "emit"
    ASKS: ClassVar[bool] = True

    context: Context
    source: Source
    one_type: OneUserType
    seen: Seen
    budget: Budget | None = None

    def here(self, chunk: Claimed) -> Outcome:
        """Emit a chunk in this thread. Never raises what a checkpoint of its siblings should survive."""
        given = (self.context, self.source, self.one_type, self.seen, chunk)
        return isolate.emit_chunk(*given) if self.budget is None else settle.settle_chunk(self.budget, *given)

    def task(self, chunk: Claimed) -> Document:
        asked = {"seen": self.seen.value, "places": self.one_type.places, "settles": self.budget is not None}
        return {"source": self.source.name, **chunk_row(chunk), **asked}

    def came_to(self, chunk: Claimed, found: Document) -> Outcome:
        return outcome(chunk, found)

    def again(self, chunk: Claimed) -> Claimed:
        return passes.claimed_again(self.context, chunk)

    def failed(self, chunk: Claimed, error: LbmigrateError | PyMongoError) -> Outcome:
        return Outcome(chunk, 0.0, attempts=chunk.tried + 1, error=error)

    def answer(self, asked: Document) -> Document:
        if "source" in asked:
            return self.one_type.answer(asked)
        budget = self.budget or Budget(self.context)
        return budget.answer(actions(self.context.config), asked)


def chunk_row(chunk: Claimed) -> Document:
    """A claimed chunk as it is handed to a worker."""
    return {"row": chunk.row, "bounds": chunk.bounds.row(), "tried": chunk.tried}


def chunk_of(task: Document) -> Claimed:
    """What `chunk_row` wrote."""
    return Claimed(task["row"], Bounds.from_row(task["bounds"]), task["tried"])


def outcome(chunk: Claimed, found: Document) -> Outcome:
    """What `outcome_row` wrote of a chunk."""
    if "failed" in found:
        error = met(found["failed"])
        return Outcome(chunk, found["seconds"], attempts=found["attempts"], error=error)
    emitted = Emitted(Counts(**found["counts"]), found["users"], found["isolated"])
    return Outcome(chunk, found["seconds"], emitted, found["salvaged"], found["attempts"], held=found["held"])


def outcome_row(done: Outcome) -> Document:
    """What became of a chunk, as a worker tells it."""
    told: Document = {"seconds": done.seconds, "attempts": done.attempts}
    if done.error is not None:
        return {**told, "failed": errors_told.as_document(done.error)}
    emitted: Document = {
        "documents": done.emitted.counts.read,
        "counts": asdict(done.emitted.counts),
        "users": done.emitted.touched(),
        "isolated": done.emitted.isolated,
    }
    return {**told, **emitted, "salvaged": done.salvaged, "held": done.held}


def _emit(context: Context, task: Document, ask: Ask) -> Document:
    one_type = AskedUserType(context, task["places"], ask)
    budget = AskedBudget(ask) if task["settles"] else None
    work = Emission(context, source_named(context.config, task["source"]), one_type, Seen(task["seen"]), budget)
    return outcome_row(work.here(chunk_of(task)))


# --- roll-ups ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RollUp(Job[Document, tuple[Document, Rolled]]):
    """Rolls up the users who meet a condition: the condition, and what came of it. `redone` is as `roll_up` has it."""

    NAME: ClassVar[str] = "roll up"

    context: Context
    redone: bool = True

    def here(self, users: Document) -> tuple[Document, Rolled]:
        context = self.context
        anywhere = context.config.layout == PARTITIONED and changed_rules(context)  # which may have made other periods
        work = partial(rolling.roll_up, context, users, redone=self.redone, anywhere=anywhere)
        return users, retrying(work, attempts=context.config.backfill.attempts)

    def task(self, users: Document) -> Document:
        return {"users": users, "redone": self.redone}

    def came_to(self, users: Document, found: Document) -> tuple[Document, Rolled]:
        return users, Rolled(**found["rolled"])


def fold(context: Context, users: Document) -> tuple[Rolled, list[Any]]:
    """Roll up users of whom is known what is new (`fold_by_index`), which is in the memory of this process.

    What came of it, and those whose whole ledger is to be read.
    """
    from lbmigrate.ledger.fold_by_index import fold_by_index  # noqa: PLC0415  numpy: where nobody is folded it is not needed

    with context.pace.at_work():
        return retrying(partial(fold_by_index, context, users["$in"]), attempts=context.config.backfill.attempts)


def _roll_up(context: Context, task: Document, _: Ask) -> Document:
    return {"rolled": asdict(RollUp(context, task["redone"]).here(task["users"])[1])}


WAYS: dict[str, Way] = {Emission.NAME: _emit, RollUp.NAME: _roll_up}
