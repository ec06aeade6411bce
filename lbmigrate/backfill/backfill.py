"""The backfill: every source chunk by chunk into the ledger, then the touched users into entries.

Both halves yield pieces that are durable and not yet checkpointed; see `steps` for the contract.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, takewhile
from typing import Any

from lbmigrate.backfill import settle, tasks
from lbmigrate.backfill.isolate import Outcome
from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import walk
from lbmigrate.ledger.budget import MANY, Budget
from lbmigrate.ledger.emitted import Seen
from lbmigrate.ledger.rolled import Rolled
from lbmigrate.ledger.undone import held_back
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.passes import pass_size, passes
from lbmigrate.passes.chunk_size import ChunkSize
from lbmigrate.records import Checkpoint, Document, Piece, RolledUp, Together, amount
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import evenly, shared_out
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held, News, overlapped
from lbmigrate.schema import present_collections
from lbmigrate.state.statuses import ChunkStatus

STEP = "step:4"
USERS_IN_MEMORY = 50_000  # beyond this many touched users the roll-up walks the whole ledger instead of a list
FOLDED_AT_ONCE = 500  # users, at most
FOLDED_LEAST = 100  # users; fewer are not worth what each portion asks besides
CIRCUIT_FROM = 5  # chunks: a share of fewer says nothing


# --- events ------------------------------------------------------------------------------------------------------


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


# --- entries -----------------------------------------------------------------------------------------------------


def roll_up(context: Context, gate: Gate, others: Callable[[], list[Any] | None] = list) -> Iterator[Piece]:
    """Roll up everyone whom emitted chunks touched; a chunk stays `emitted` until all of them are done.

    `others` tells of more users, or, with None, that it is to be everyone; it is not asked where everyone is anyway.
    """
    until = context.state.last_closed()
    touched = _touched(context, others)
    if touched is None:
        yield from _roll_up_everyone(context, until or context.clock(), gate)
    else:
        yield from _roll_up_listed(context, touched, gate)
    if until is not None and not context.stopping():
        yield Piece("entries", unit="users", checkpoint=RolledUp(until))


@dataclass(frozen=True, slots=True)
class _Touched:
    """Users to roll up, each once: those of whom is `known` what is new of them, and all others."""

    known: list[Any]
    others: list[Any]

    def __len__(self) -> int:
        return len(self.known) + len(self.others)


def _touched(context: Context, others: Callable[[], list[Any] | None]) -> _Touched | None:
    """Every user of an emitted chunk. None is everyone: a chunk says so, or they are too many to hold."""
    chunks: Counter[Any] = Counter()
    for some in context.state.touched_users():
        chunks.update(some or ())
        if some is None or len(chunks) > USERS_IN_MEMORY:
            return None
    more = others()
    if more is None:
        return None
    apart = set(more)
    known = [user for user in context.additions.known(chunks) if user not in apart] if context.additions else []
    left = chunks.keys() - set(known) if known else chunks.keys()
    return _Touched(known, list(dict.fromkeys([*(user for user in chunks if user in left), *more])))


def _roll_up_listed(context: Context, users: _Touched, gate: Gate) -> Iterator[Piece]:
    done, others = 0, users.others
    for came in chain(_folded(context, users.known, others, gate), _rolled(context, others, gate)):
        if isinstance(came, Held | News):
            yield came.on(Piece("entries", done, len(users), unit="users"))
            continue
        done += came.users
        yield Piece("entries", done, len(users), unit="users", entries=came.written)


def _folded(context: Context, users: list[Any], left: list[Any], gate: Gate) -> Iterator[Rolled | Held | News]:
    """What comes of those of whom is known what is new; whose ledger is to be read after all is put to those `left`."""
    some = evenly(len(users), FOLDED_AT_ONCE, context.hands(), FOLDED_LEAST)
    selections = gate.through(walk.selections(users, some))
    for came in overlapped(partial(tasks.fold, context), selections, context.hands):
        if isinstance(came, Held | News):
            yield came
            continue
        left += came[1]
        yield came[0]


def _rolled(context: Context, users: list[Any], gate: Gate) -> Iterator[Rolled | Held | News]:
    for came in shared_out(tasks.RollUp(context), gate.through(walk.selections(users))):
        yield came if isinstance(came, Held | News) else came[1]


def _roll_up_everyone(context: Context, until: dt.datetime, gate: Gate) -> Iterator[Piece]:
    """Walk the ledger in order of its users, remembering up to which user everything is done."""
    kept = context.state.get(STEP).get("rolling") or {}
    after = kept.get("after") if kept.get("until") == until else None
    begun: list[Document] = []
    all_users = walk.everyone(context.target, after)
    done = 0
    for outcome in shared_out(tasks.RollUp(context), gate.through(_noted(all_users, begun))):
        if isinstance(outcome, Held | News):
            yield outcome.on(Piece("entries", done, unit="users"))
            continue
        users, rolled = outcome
        begun.remove(users)
        done += rolled.users
        frontier = begun[0].get("$gt", after) if begun else users["$lte"]
        rolling = Checkpoint(STEP, {"rolling": {"until": until, "after": frontier}})
        yield Piece("entries", done, unit="users", checkpoint=rolling, entries=rolled.written)


def _noted(selections: Iterator[Document], begun: list[Document]) -> Iterator[Document]:
    for selection in selections:
        begun.append(selection)
        yield selection
