"""Walk the steps up or down: begin, let each make its pieces, save every checkpoint, report, end or stop.

The engine reports; what an operator sees of it is the console's. A run holds the lease from first write to last.
"""

from __future__ import annotations

import gc
import re
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain

import pymongo
from pymongo.errors import PyMongoError

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.migration.steps import Step, s3_dual_write
from lbmigrate.records import Checkpoint, Counts, Document, Piece, Report
from lbmigrate.run.context import Context
from lbmigrate.state import Lease
from lbmigrate.state.operator import operator

Guard = Callable[[], None]
LAST_WORDS = 2.0  # seconds for them, if the server is gone


def new_run() -> str:
    """A name for a run: short enough to say aloud."""
    return secrets.token_hex(4)


@contextmanager
def recorded(context: Context, lease: Lease, verb: str, options: Document) -> Iterator[Document]:
    """Hold the lease and keep a record of the run, whatever becomes of it. Yields what the record will say of it.

    Raises Locked when another run holds the lease; then nothing is written.
    """
    context.state.check_layout()
    lease.take()
    lease.keep()
    usual = _collect_seldom()
    row = f"run:{context.run}"
    begun = {"verb": verb, "options": options, "startedAt": context.clock(), "by": operator(), "outcome": "running"}
    outcome: Document = {}
    try:
        context.state.put(Checkpoint(row, begun))
        yield outcome
        outcome["outcome"] = "done"
    except BaseException as error:
        outcome |= {"outcome": _words(error), "error": str(error)[:2000]}
        raise
    finally:
        gc.set_threshold(*usual)
        _end(context, lease, Checkpoint(row, {**outcome, "endedAt": context.clock()}))


def _words(error: BaseException) -> str:
    """How a run ended, from the class of what ended it: `stopped`, `work remains`, `lease lost`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()


def _collect_seldom() -> tuple[int, int, int]:
    """Let the garbage collector rest: millions of documents are no cycles. Measured: a third of the client's time."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    return usual


def _end(context: Context, lease: Lease, record: Checkpoint) -> None:
    """Write the last record and let go. A lost lease or a server that is gone must not hide what ended the run."""
    with suppress(LbmigrateError, PyMongoError), pymongo.timeout(LAST_WORDS):
        lease.check()
        context.state.put(record)
    with suppress(PyMongoError), pymongo.timeout(LAST_WORDS):
        lease.release()


def climb(context: Context, steps: Sequence[Step], guard: Guard) -> Iterator[Report]:
    """Apply the steps in order. `guard` is called before each checkpoint and raises when the run must not go on."""
    for step in steps:
        if context.stopping():
            return
        started = context.clock()
        yield Report("begin", step.NUMBER, step.NAME)
        counts = yield from _through(context, step.NUMBER, step.NAME, step.apply(context), "up", guard)
        if context.stopping():
            return
        _save_step(context, step, "applied", {"startedAt": started}, guard)
        yield Report("end", step.NUMBER, step.NAME, counts=counts)


def carry_out(context: Context, number: int, name: str, pieces: Iterator[Piece], guard: Guard) -> Iterator[Report]:
    """Work that belongs to a step and is none: its pieces are saved and told like a step's, the step stays as it is."""
    yield Report("begin", number, name)
    counts = yield from _through(context, number, name, pieces, "up", guard)
    if not context.stopping():
        yield Report("end", number, name, counts=counts)


def descend(context: Context, steps: Sequence[Step], guard: Guard) -> Iterator[Report]:
    """Revert the steps from the last to the first; before data goes the flag is off, on both sides."""
    silence = s3_dual_write.fall_silent(context) if s3_dual_write in steps else iter(())
    for step in reversed(steps):
        if context.stopping():
            return
        yield Report("begin", step.NUMBER, step.NAME, "down")
        yield from _through(context, step.NUMBER, step.NAME, chain(silence, step.revert(context)), "down", guard)
        if context.stopping():
            return
        _save_step(context, step, "kept" if context.keep_data else "reverted", {}, guard)
        yield Report("end", step.NUMBER, step.NAME, "kept" if context.keep_data else "down")


def _through(
    context: Context, number: int, name: str, pieces: Iterator[Piece], direction: str, guard: Guard
) -> Generator[Report, None, Counts]:
    """Every piece is durable when it arrives here; only then is its checkpoint saved."""
    counts = Counts()
    held = ""
    for piece in pieces:
        guard()
        if piece.checkpoint is not None:
            context.state.save(piece.checkpoint)
        if piece.held != held:
            since = {} if held and piece.held else {"heldSince": context.clock()}  # a lag that grows is one hold
            held = piece.held
            context.state.put(Checkpoint(f"run:{context.run}", {"held": held or None, **since}))
        counts += piece.counts
        context.brake.count(piece.counts.read)
        yield Report("piece", number, name, direction, piece)
    return counts


def _save_step(context: Context, step: Step, status: str, more: Document, guard: Guard) -> None:
    guard()
    fields = {"number": step.NUMBER, "name": step.NAME, "status": status, "run": context.run, **more}
    context.state.put(Checkpoint(f"step:{step.NUMBER}", {**fields, "finishedAt": context.clock()}))


def chosen(steps: Sequence[Step], to: int | None = None, only: int | None = None) -> list[Step]:
    """The steps that `--to` and `--only` leave. Raises UsageError for a number that is no step's."""
    numbers = [step.NUMBER for step in steps]
    for asked in (to, only):
        if asked is not None and asked not in numbers:
            raise UsageError(f"there is no step {asked}; steps are {numbers[0]} to {numbers[-1]}", "lbmigrate plan")
    if only is not None:
        return [step for step in steps if only == step.NUMBER]
    return [step for step in steps if to is None or to >= step.NUMBER]
