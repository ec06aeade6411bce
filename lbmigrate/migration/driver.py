"""The one driver of all work: ask for a piece, save its checkpoint, report it, ask for the next.

The engine only reports; whoever listens decides what is seen of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from pymongo.errors import PyMongoError

from lbmigrate.errors import Refused, UsageError
from lbmigrate.migration.account import Account
from lbmigrate.migration.steps import DUAL_WRITE, Step, has, turned_off, work_of
from lbmigrate.mongo import majority
from lbmigrate.mongo.client import is_worth_another_try
from lbmigrate.records import Checkpoint, Document, Listener, Mark, Piece, Report, Tally, Way, Work, ignore
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.state.statuses import StepStatus

Guard = Callable[[], None]
Pieces = Callable[[], Iterator[Piece]]
ATTEMPTS = 5  # at a work that does not get on, because of faults that should have passed


def unguarded() -> None:
    """The lease is all that guards most runs."""


@dataclass(slots=True)
class Driver:
    """Drives work to its end. `guard` is called around each piece and raises when the run must not go on.

    Where there is an `account`, the record of the run has what it comes to with every checkpoint.
    """

    context: Context
    guard: Guard = unguarded
    listen: Listener = ignore
    account: Account | None = None
    _held: str = ""
    _pieces: int = 0  # of the step at hand

    def apply(self, steps: Sequence[Step]) -> dict[str, Tally]:
        """Apply the steps in order; what each of them counted. Raises Refused for what a person turned off."""
        counts: dict[str, Tally] = {}
        for step in steps:
            if self.context.stopping():
                break
            refuse_turned_off(self.context, [step])
            before = self._status(step)
            self._mark(step, StepStatus.APPLYING, startedAt=self.context.clock())
            found = self._walk(
                step, self._persistent(partial(step.apply, self.context)), Way.APPLY, StepStatus.APPLIED, before
            )
            counts |= {step.NAME: found} if found is not None else {}
        return counts

    def revert(self, steps: Sequence[Step]) -> None:
        """Revert the steps from the last to the first; before data goes the flag is off, on both sides."""
        kept = self.context.keep_data
        way, end = (Way.KEEP, StepStatus.KEPT) if kept else (Way.REVERT, StepStatus.REVERTED)
        silence: Iterator[Piece] = iter(())
        if has(steps, DUAL_WRITE):
            from lbmigrate.migration.steps import s3_dual_write  # noqa: PLC0415  nothing but a rollback falls silent

            self._mark(DUAL_WRITE, StepStatus.REVERTING)
            silence = s3_dual_write.fall_silent(self.context)
        for step in reversed(steps):
            if self.context.stopping():
                return
            before = self._status(step)
            self._mark(step, StepStatus.REVERTING)
            self._walk(step, chain(silence, self._persistent(partial(step.revert, self.context))), way, end, before)

    def carry_out(self, work: Work, pieces: Iterator[Piece] | Pieces) -> Tally | None:
        """Work that is no step: its pieces are saved and reported like a step's; what all of them counted.

        What begins the pieces, given in their stead, may start them over after a fault that should have passed.
        """
        self._begin(work, Way.APPLY)
        counts = self._through(work, self._persistent(pieces) if callable(pieces) else pieces, Way.APPLY)
        if not self.context.stopping():
            self.listen(Report("end", work, counts=counts))
        return counts

    def _walk(self, step: Step, pieces: Iterator[Piece], way: Way, end: StepStatus, before: StepStatus) -> Tally | None:
        work, self._pieces = work_of(step), 0
        self._begin(work, way)
        counts = self._through(work, pieces, way)
        if not self.context.stopping():
            passed = before == end and not self._pieces  # there was nothing to do: it was finished when it was
            self._mark(step, end, **({} if passed else {"finishedAt": self.context.clock()}))
            self.listen(Report("end", work, way, counts=counts))
        return counts

    def _begin(self, work: Work, way: Way) -> None:
        if self.account and self.account.begin(str(work)):
            self.context.state.save(self._record(self.account.row()))
        self.listen(Report("begin", work, way))

    def _persistent(self, begin: Pieces) -> Iterator[Piece]:
        """The pieces of a work that may be stopped anywhere and begun again, as it is after a fault that passes.

        What was tried in vain where it went wrong is not tried again. A piece that counts, and is kept, is progress.
        """
        failures = 0
        while True:
            try:
                for piece in begin():
                    failures = 0 if piece.counts and piece.checkpoint else failures
                    yield piece
                return
            except PyMongoError as error:
                failures += 1
                if failures == ATTEMPTS or not is_worth_another_try(error):
                    raise
                majority.check(self.context.target, [EVENTS, ENTRIES])  # which the next attempt reads
            self.context.stop.wait(0.2 * 2**failures)

    def _through(self, work: Work, pieces: Iterator[Piece], way: Way) -> Tally | None:
        counts: Tally | None = None
        while (piece := self._next(pieces, way)) is not None:
            self._save(piece)
            self._pieces += 1
            if piece.counts is not None:
                counts = piece.counts if counts is None else counts + piece.counts
                self.context.stop.count(piece.counts.read)
            self.listen(Report("piece", work, way, piece))
        return counts

    def _next(self, pieces: Iterator[Piece], way: Way) -> Piece | None:
        """The next piece, whose work is done when it is asked for: what is taken back must still be ours to take."""
        self.guard()
        if way is not Way.APPLY:
            self.context.state.put()  # raises LeaseLost where another run took over meanwhile
        return next(pieces, None)

    def _save(self, piece: Piece) -> None:
        """A piece is durable when it arrives here; only then is its checkpoint saved."""
        self.guard()
        noted = self._hold(piece)
        if self.account:
            self.account.take(piece)
            noted |= self.account.row() if noted or self.account.is_due(piece) else {}
        marks: list[Mark] = [] if piece.checkpoint is None else [piece.checkpoint]
        if noted:
            marks.append(self._record(noted))  # in one command with the checkpoint
        if marks:
            self.context.state.save(*marks)

    def _record(self, fields: Document) -> Checkpoint:
        return Checkpoint(f"run:{self.context.run}", fields)

    def _hold(self, piece: Piece) -> Document:
        """What the record is to say of a hold that begins, changes or ends."""
        if piece.held == self._held:
            return {}
        since = {} if self._held and piece.held else {"heldSince": self.context.clock()}  # a lag that grows is one
        self._held = piece.held
        return {"held": piece.held or None, "heldEnds": piece.ends or None, **since}

    def _mark(self, step: Step, status: StepStatus, **more: object) -> None:
        self.guard()
        to = self._status(step).to(status)
        fields = {"number": step.NUMBER, "name": step.NAME, "status": to, "run": self.context.run}
        self.context.state.put(Checkpoint(f"step:{step.NUMBER}", {**fields, **more}))

    def _status(self, step: Step) -> StepStatus:
        return StepStatus(self.context.state.step(step.NUMBER).get("status", StepStatus.NEW))


def refuse_turned_off(context: Context, steps: Sequence[Step]) -> None:
    """Raise Refused where the steps would turn on what somebody turned off, unless a person has agreed to that."""
    off = [] if context.confirmed else turned_off(context, steps)
    if off:
        side = off[0].partition(" ")[0]
        raise Refused(
            f"{off[0]}, and a run would turn it on again", hint=f"lbmigrate flag {side} on, or lbmigrate run --yes"
        )


def chosen(steps: Sequence[Step], to: int | None = None, only: int | None = None) -> list[Step]:
    """The steps that `--to` and `--only` leave. Raises UsageError for a number that is no step's."""
    numbers = [step.NUMBER for step in steps]
    for asked in (to, only):
        if asked is not None and asked not in numbers:
            raise UsageError(f"there is no step {asked}; steps are {numbers[0]} to {numbers[-1]}", "lbmigrate plan")
    if only is not None:
        return [step for step in steps if only == step.NUMBER]
    return [step for step in steps if to is None or to >= step.NUMBER]
