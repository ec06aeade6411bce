"""The first half of a backfill: every source chunk by chunk into the ledger. The other half is `touched`.

Both yield pieces that are durable and not yet checkpointed; see `steps` for the contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import takewhile

from lbmigrate.backfill import settle, tasks
from lbmigrate.backfill.isolate import Outcome
from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger.budget import MANY, Budget
from lbmigrate.ledger.emitted import Seen
from lbmigrate.ledger.undone import held_back
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.passes import pass_size, passes
from lbmigrate.passes.chunk_size import ChunkSize
from lbmigrate.records import Checkpoint, Document, Piece, Together, amount
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import shared_out
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held, News
from lbmigrate.schema import present_collections
from lbmigrate.state.statuses import ChunkStatus

CIRCUIT_FROM = 5  # chunks: a share of fewer says nothing


def emit_source(context: Context, source: Source, one_type: OneUserType, gate: Gate) -> Iterator[Piece]:
    """The pass that is open, or a new one, up to its last chunk; ends early when a stop is asked for."""
    current, opened = passes.open_pass(context, source)
    size, sized = pass_size.kept_size(context, source, current)
    if opening := tuple(mark for mark in (opened, sized) if mark):
        yield Piece(source.name, checkpoint=Together(opening), note=_told(source, current))
    done = context.state.read_in_pass(source.name, current.number)
    target = context.config.backfill.target
    total, estimated = size.documents, size.estimated
    chunk = ChunkSize(size.chunk, target.total_seconds() if target else None)
    circuit = _Circuit(context, source)
    todo = takewhile(
        lambda _: circuit.closed, passes.todo(context, source, current, lambda: context.pace.chunk(chunk()))
    )
    budget = Budget(context, MANY) if settle.settles(context, source, current) else None
    work = tasks.Emission(context, source, one_type, _seen(context, current), budget)
    for came in shared_out(work, gate.through(todo)):
        if isinstance(came, Held | News):
            yield came.on(Piece(source.name, done, max(total, done), estimated=estimated))
            continue
        outcome = circuit.judged(came)
        _note(context, outcome)
        counts = outcome.emitted.counts
        done += counts.read
        chunk.note(outcome.seconds, counts.read)
        gate.note(outcome.seconds, counts.read)
        checkpoint = closing(context, outcome, current.everyone)
        told = held_back(source, outcome.held)
        yield Piece(
            source.name, done, max(total, done), estimated=estimated, counts=counts, checkpoint=checkpoint, warning=told
        )
        circuit.note(outcome)
    circuit.raise_if_open()


def _note(context: Context, outcome: Outcome) -> None:
    """Remember, for the roll-up of this run, what a chunk has added."""
    if context.additions is not None and outcome.error is None:
        context.additions.note(outcome.emitted.added)


def _seen(context: Context, current: passes.Pass) -> Seen:
    """What was asked for by name is rolled up again even where no event is new: that is how a wrong entry is fixed."""
    if context.scope.full or context.scope.bounded:
        return Seen.RETRY
    return Seen.OVERLAP if current.number > 1 else Seen.NEVER


def _told(source: Source, current: passes.Pass) -> str:
    return f"{source.name}: {current.why}; walking every document by _id" if current.why else ""


def closing(context: Context, outcome: Outcome, everyone: bool = False) -> Checkpoint:
    """What to remember of a chunk that was emitted, or failed. Its users need no list where everyone is rolled up."""
    status = ChunkStatus.CLAIMED.to(ChunkStatus.EMITTED if outcome.error is None else ChunkStatus.FAILED)
    took: Document = {"seconds": round(outcome.seconds, 3), "closedAt": context.clock(), "attempts": outcome.attempts}
    if outcome.error is not None:
        return Checkpoint(outcome.chunk.row, {**took, "status": status, "error": str(outcome.error)[:1000]})
    closed = {
        "status": status,
        "counts": asdict(outcome.emitted.counts),
        "users": None if everyone else outcome.emitted.touched(),
        "salvaged": outcome.salvaged,
        "error": None,
    }
    return Checkpoint(outcome.chunk.row, {**took, **closed})


class _Circuit:
    """Opens, and so ends the run, at the first error that is no document's fault, or at too many that are."""

    def __init__(self, context: Context, source: Source) -> None:
        self._context, self._source = context, source
        self._chunks = self._read = self._isolated = 0
        self._error: Exception | None = None

    @property
    def closed(self) -> bool:
        return self._error is None

    def judged(self, outcome: Outcome) -> Outcome:
        """The outcome; one that found nothing since the collection is gone has failed, and its range is read again."""
        if outcome.error is None and outcome.emitted.counts.read == 0 and self._source_is_gone():
            told = f"{self._source.name}: collection {self._source.collection!r} is gone; it was dropped or renamed"
            return replace(outcome, error=LbmigrateError(told, hint="lbmigrate plan"))
        return outcome

    def note(self, outcome: Outcome) -> None:
        self._chunks += 1
        self._read += outcome.emitted.counts.read
        self._isolated += outcome.emitted.isolated
        share = self._context.config.backfill.failing_share
        if outcome.error is not None:
            self._error = self._error or outcome.error
        elif self._chunks >= CIRCUIT_FROM and self._isolated > share * self._read:
            self._error = self._error or LbmigrateError(
                f"{self._source.name}: {self._isolated:,} of {amount(self._read, 'document')} cannot be read or "
                f"stored; backfill.failing_share allows {share:.0%}",
                hint="look at lbmigrate_rejects, correct the config or the documents, then: lbmigrate backfill --full",
            )

    def _source_is_gone(self) -> bool:
        return self._source.collection not in present_collections(self._context.sources, self._source.collection)

    def raise_if_open(self) -> None:
        if self._error is not None:
            raise self._error
