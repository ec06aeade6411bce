"""Chunks and roll-ups as tasks: what a worker of another process is handed, and what it hands back.

The run claims a chunk before, and closes it after: a worker only reads, and adds to the ledger and the entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from pymongo.errors import PyMongoError

from lbmigrate.backfill import isolate, settle
from lbmigrate.backfill.isolate import Outcome
from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import folding, rollup, walk
from lbmigrate.ledger import settle as settling
from lbmigrate.ledger.budget import AskedBudget, Budget, TooMuch
from lbmigrate.ledger.emit import Emitted, Seen
from lbmigrate.ledger.rollup import Rolled
from lbmigrate.ledger.user_ids import AskedUserType, OneUserType
from lbmigrate.mongo import errors_told
from lbmigrate.mongo.client import retrying
from lbmigrate.passes import passes
from lbmigrate.passes.chunks import Bounds
from lbmigrate.passes.passes import Claimed
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.records import Counts, Document
from lbmigrate.run.context import Context, Scope
from lbmigrate.run.crew import Answer, Line, carried_out
from lbmigrate.run.pace import AskedPace
from lbmigrate.schema.layout import PARTITIONED

Ask = Callable[[Document], Document]


# --- on the side of the run ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Emission:
    """How the chunks of one pass over a source are emitted; with a `budget` what they have changed is settled too."""

    context: Context
    source: Source
    one_type: OneUserType
    seen: Seen
    budget: Budget | None = None

    def __call__(self, chunk: Claimed) -> Outcome:
        """Emit a chunk, here or through a worker. Never raises what a checkpoint of its siblings should survive."""
        if self.context.crew is None:
            return self.here(chunk)
        again = partial(passes.claimed_again, self.context)
        try:
            return carried_out(self.context.crew, chunk, self.away, self.here, again)
        except (LbmigrateError, PyMongoError) as error:
            return Outcome(chunk, 0.0, attempts=chunk.tried + 1, error=error)

    def here(self, chunk: Claimed) -> Outcome:
        """Emit a chunk in this thread."""
        given = (self.context, self.source, self.one_type, self.seen, chunk)
        return isolate.emit_chunk(*given) if self.budget is None else settle.settle_chunk(self.budget, *given)

    def away(self, chunk: Claimed, line: Line) -> Outcome:
        """Have a worker emit it. Raises WorkerLost."""
        task = {
            "kind": "emit", "source": self.source.name, "row": chunk.row, "bounds": chunk.bounds.row(),
            "tried": chunk.tried, "seen": self.seen.value, "places": self.one_type.places,
            "settles": self.budget is not None, **_common(self.context),
        }  # fmt: skip
        return _outcome(chunk, line.ask(task, _answer(self.context, self._answer)))

    def _answer(self, asked: Document) -> Document:
        if "source" in asked:
            return self.one_type.answer(asked)
        action = next(each for each in settling.actions(self.context.config) if each.name == asked["action"])
        try:
            (self.budget or Budget(self.context)).take_number(action, asked["number"])
        except TooMuch:
            return {"granted": False}
        return {"granted": True}


def roll_up(context: Context, users: Document) -> tuple[Document, Rolled]:
    """Roll up the users who meet a condition, here or through a worker; the condition, and what came of it."""
    here = partial(_roll_up, context)
    if context.crew is None:
        return users, here(users)
    away = partial(_rolled_up, context)
    return users, carried_out(context.crew, users, away, here, lambda same: same)


def fold(context: Context, users: Sequence[Any]) -> tuple[Document, Rolled]:
    """Roll up users of whom is known what is new of them (`folding`), and all that this leaves as ever."""
    attempts = context.config.backfill.attempts
    done, left = retrying(partial(folding.fold, context, users), attempts=attempts)
    for some in walk.selections(left):
        done += roll_up(context, some)[1]
    return {"$in": list(users)}, done


def _rolled_up(context: Context, users: Document, line: Line) -> Rolled:
    found = line.ask({"kind": "roll up", "users": users, **_common(context)}, _answer(context, dict))
    if "error" in found:
        raise errors_told.as_error(found["error"])
    return Rolled(**found["rolled"])


def _roll_up(context: Context, users: Document) -> Rolled:
    anywhere = context.config.layout == PARTITIONED and changed_rules(context)  # which may have made other periods
    work = partial(rollup.roll_up, context, users, redone=True, anywhere=anywhere)
    return retrying(work, attempts=context.config.backfill.attempts)


def _common(context: Context) -> Document:
    return {"scope": asdict(context.scope), "perSecond": context.pace.per_second}


def _answer(context: Context, special: Answer) -> Answer:
    """What a worker is told: that it may read so many documents now, or what the work needs besides."""

    def answer(asked: Document) -> Document:
        if "read" in asked:
            context.pace.take(asked["read"], context.stop)
            return {}
        try:
            return special(asked)
        except (LbmigrateError, PyMongoError) as error:
            return {"error": errors_told.as_document(error)}

    return answer


def _outcome(chunk: Claimed, found: Document) -> Outcome:
    if "error" in found:
        error = errors_told.as_error(found["error"])
        return Outcome(chunk, found.get("seconds", 0.0), attempts=found.get("attempts", chunk.tried + 1), error=error)
    emitted = Emitted(Counts(**found["counts"]), found["users"], found["isolated"])
    return Outcome(chunk, found["seconds"], emitted, found["salvaged"], found["attempts"], held=found["held"])


# --- on the side of a worker ---------------------------------------------------------------------------------------


def carry_out(context: Context, task: Document, ask: Ask) -> Document:
    """What comes of a task; an error is among what may come of it."""

    def told(asked: Document) -> Document:
        if "error" in (found := ask(asked)):
            raise errors_told.as_error(found["error"])
        return found

    def read(documents: int) -> None:
        told({"read": documents})

    context = replace(context, scope=Scope(**task["scope"]), pace=AskedPace(read, task["perSecond"]))
    try:
        return WAYS[task["kind"]](context, task, told)
    except (EOFError, OSError):  # the way to the run is cut
        raise
    except Exception as error:
        return {"error": errors_told.as_document(error)}


def _emit(context: Context, task: Document, ask: Ask) -> Document:
    source = next(each for each in context.config.sources if each.name == task["source"])
    one_type = AskedUserType(context, task["places"], ask)
    budget = AskedBudget(ask) if task["settles"] else None
    chunk = Claimed(task["row"], Bounds.from_row(task["bounds"]), task["tried"])
    done = Emission(context, source, one_type, Seen(task["seen"]), budget).here(chunk)
    told: Document = {"seconds": done.seconds, "attempts": done.attempts}
    if done.error is not None:
        return {**told, "error": errors_told.as_document(done.error)}
    emitted: Document = {
        "counts": asdict(done.emitted.counts),
        "users": list(dict.fromkeys(done.emitted.users)),
        "isolated": done.emitted.isolated,
    }
    return {**told, **emitted, "salvaged": done.salvaged, "held": done.held}


def _rolled(context: Context, task: Document, _: Ask) -> Document:
    return {"rolled": asdict(_roll_up(context, task["users"]))}


WAYS: dict[str, Callable[[Context, Document, Ask], Document]] = {"emit": _emit, "roll up": _rolled}
