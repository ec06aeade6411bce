"""The recount: every range of every source by number against the ledger, and documents only where these differ.

An incremental pass reads what is new by its time. What comes late under that, or changes without a new time, it never
sees; a recount does, at the price of counting. It is a pass beside the ordinary one, and moves no watermark.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from lbmigrate.backfill import backfill, isolate, tasks, touched
from lbmigrate.backfill.agree import action_agrees, has_order, range_agrees
from lbmigrate.backfill.isolate import Outcome
from lbmigrate.backfill.recheck import recheck
from lbmigrate.config.digest import config_digest
from lbmigrate.config.model import Source
from lbmigrate.ledger.emitted import Seen
from lbmigrate.ledger.user_ids import AskedUserType, OneUserType
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.passes import passes
from lbmigrate.passes.beginning import within
from lbmigrate.passes.beside import RECOUNT, as_source
from lbmigrate.passes.chunk_size import ChunkSize
from lbmigrate.passes.chunks import Span
from lbmigrate.passes.passes import Claimed, Pass
from lbmigrate.passes.read_plan import read_plan
from lbmigrate.records import Checkpoint, Counts, Document, Piece, Recounted, RowsRemoved, Work
from lbmigrate.rules.event import source_named
from lbmigrate.run import throttle
from lbmigrate.run.context import Context, Scope
from lbmigrate.run.jobs import Ask, Job, Way, shared_out
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held, News
from lbmigrate.state.shapes import OPEN
from lbmigrate.state.statuses import ChunkStatus

NAME = RECOUNT
WORK = Work(NAME)
UNIT = "ranges"


@dataclass(frozen=True, slots=True)
class _Compared:
    """What became of a range: whether it differed, and then what reading it came to."""

    differs: bool
    outcome: Outcome

    @property
    def counts(self) -> Recounted:
        read = self.outcome.emitted.counts
        return Recounted(1, int(self.differs), read.read, read.emitted, read.rejected)


@dataclass(frozen=True)
class Comparison(Job[Claimed, _Compared]):
    """How the ranges of a source are counted, and read where they differ."""

    NAME: ClassVar[str] = NAME
    ASKS: ClassVar[bool] = True
    COUNTS: ClassVar[bool] = True

    context: Context
    source: Source
    one_type: OneUserType

    def here(self, chunk: Claimed) -> _Compared:
        return _compare(self.context, self.source, self.one_type, chunk)

    def task(self, chunk: Claimed) -> Document:
        return {"source": self.source.name, "places": self.one_type.places, **tasks.chunk_row(chunk)}

    def came_to(self, chunk: Claimed, found: Document) -> _Compared:
        return _Compared(found["differs"], tasks.outcome(chunk, found))

    def again(self, chunk: Claimed) -> Claimed:
        return passes.claimed_again(self.context, chunk)

    def answer(self, asked: Document) -> Document:
        return self.one_type.answer(asked)


def _carried_out(context: Context, task: Document, ask: Ask) -> Document:
    one_type = AskedUserType(context, task["places"], ask)
    done = Comparison(context, source_named(context.config, task["source"]), one_type).here(tasks.chunk_of(task))
    return {"differs": done.differs, **tasks.outcome_row(done.outcome)}


WAYS: dict[str, Way] = {Comparison.NAME: _carried_out}


def pieces(context: Context) -> Iterator[Piece]:
    """Recount every source, roll up whom that touched, and close the passes. Durable pieces, like those of a step."""
    context = within(context)
    one_type, gate = OneUserType(context), throttle.gate(context)
    for reason in gate.unreadable():
        yield Piece("throttle", warning=f"{reason}; the run does not wait for it")
    found = [source for source in context.config.sources if context.state.watermark(source.name).get("value")]
    for source in context.config.sources:
        if source not in found:
            yield Piece(source.name, warning=f"{source.name}: its first pass has not ended; next: lbmigrate backfill")
            continue
        yield from _walk(context, source, one_type, gate)
        if context.stopping():
            return
    yield from touched.roll_up(context, gate)
    for piece in recheck(replace(context, scope=replace(context.scope, full=True)), one_type, gate):
        yield replace(piece, counts=_of_rejects(piece.counts) if isinstance(piece.counts, Counts) else None)
    if context.stopping():
        return
    for source in found:
        yield from _closed(context, source)


def _of_rejects(counts: Counts) -> Recounted:
    return Recounted(read=counts.read, emitted=counts.emitted)


def _walk(context: Context, source: Source, one_type: OneUserType, gate: Gate) -> Iterator[Piece]:
    """The pass over one source, up to its last range; ends early when a stop is asked for."""
    beside = as_source(source, NAME)
    current, opened = _open(context, source)
    if opened:
        yield Piece(source.name, unit=UNIT, checkpoint=opened)
    closed = {"status": {"$nin": sorted(OPEN)}, "pass": current.number}
    done = sum(1 for _ in context.state.chunks(source=beside.name, **closed))
    target = context.config.backfill.target
    size = ChunkSize(context.config.backfill.chunk_size, target.total_seconds() if target else None)
    todo = gate.through(passes.todo(context, beside, current, size))
    for compared in shared_out(Comparison(context, source, one_type), todo):
        if isinstance(compared, Held | News):
            yield compared.on(Piece(source.name, done, unit=UNIT))
            continue
        outcome = compared.outcome
        size.note(outcome.seconds, outcome.emitted.counts.read)
        gate.note(outcome.seconds, outcome.emitted.counts.read)
        done += 1
        yield Piece(source.name, done, unit=UNIT, counts=compared.counts, checkpoint=backfill.closing(context, outcome))
        if outcome.error is not None:
            raise outcome.error


def _open(context: Context, source: Source) -> tuple[Pass, Checkpoint | None]:
    """The unfinished pass, or a new one with what must be remembered before its first range.

    Under other rules than it was begun with, a pass starts over.
    """
    beside, rules = as_source(source, NAME), config_digest(context.config)
    row = passes.row_of(context, beside)
    kept, last = passes.unfinished(context, beside), context.state.get(row).get("pass", {})
    if kept and kept["rules"] == rules:
        return Pass(row, kept["number"], tuple(map(Span.from_row, kept["spans"])), fresh=False), None
    began = server_time(context.sources)
    spans = _spans(context, source, began)
    opened = {
        "number": last.get("number", 0) + 1,
        "scope": context.scope.row(),
        "spans": [span.row() for span in spans],
        "done": False,
        "next": None,
        "rules": rules,
        "began": began,
    }
    return Pass(row, opened["number"], spans, fresh=True), Checkpoint(row, {"pass": opened})


def _spans(context: Context, source: Source, began: dt.datetime) -> tuple[Span, ...]:
    """What is walked: ids that have an order range by range, and all others only where the whole does not agree."""
    everything = read_plan(replace(context, scope=Scope(full=True)), source, began).spans
    ordered = tuple(span for span in everything if not span.extra and has_order(span.low))
    if len(ordered) == len(everything) or action_agrees(context, _alike(context, source)):
        return ordered
    return everything


def _alike(context: Context, source: Source) -> list[Source]:
    """Every source of the same action: the ledger does not tell them apart."""
    return [each for each in context.config.sources if each.action == source.action]


def _compare(context: Context, source: Source, one_type: OneUserType, chunk: Claimed) -> _Compared:
    """Count a range, and read it where it differs, or where an earlier attempt may have added what nobody rolled up."""
    began, bounds = time.monotonic(), chunk.bounds
    if not chunk.tried and not bounds.extra and has_order(bounds.low) and has_order(bounds.high):
        attempts = context.config.backfill.attempts
        if retrying(partial(range_agrees, context, _alike(context, source), bounds), attempts=attempts):
            return _Compared(False, Outcome(chunk, time.monotonic() - began))
    return _Compared(True, isolate.emit_chunk(context, source, one_type, Seen.OVERLAP, chunk))


def _closed(context: Context, source: Source) -> Iterator[Piece]:
    beside = as_source(source, NAME)
    row = passes.row_of(context, beside)
    kept = context.state.get(row)["pass"]
    yield Piece(source.name, unit=UNIT, checkpoint=Checkpoint(row, {"pass.done": True, passes.WHOLE: kept["began"]}))
    nothing = {"status": ChunkStatus.ROLLED.value, "attempts": 1, "counts.emitted": 0, "counts.rejected": 0}
    useless = {"source": beside.name, "pass": {"$lt": kept["number"]}, **nothing}
    yield Piece(source.name, unit=UNIT, checkpoint=RowsRemoved(("chunk",), useless))
