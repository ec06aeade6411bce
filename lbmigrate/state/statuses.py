"""What steps, runs and chunks may be, a sentence each, and how they get from one to the next.

The values stand in the state collection and in `--json`: a member may be renamed, its value may not.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from lbmigrate.errors import LbmigrateError


class Status(StrEnum):
    """A value that is stored, with a sentence that says what it means."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    def to(self, following: Self) -> str:
        """The value of the status that follows this one. Raises LbmigrateError for a move that MOVES does not have."""
        if following not in MOVES[type(self)][self]:
            what = f"a {type(self).__name__} cannot go from {self.value!r} to {following.value!r}"
            raise LbmigrateError(what, hint="lbmigrate status")
        return following.value


class StepStatus(Status):
    """Where a step of the migration stands."""

    NEW = "new", "it was never applied"
    APPLYING = "applying", "a run is working on it, or was when it ended"
    APPLIED = "applied", "it is in force"
    OFF = "off", "it was applied, and somebody turned its switch off since: a run asks before it turns it on again"
    REVERTING = "reverting", "a rollback is working on it, or was when it ended"
    REVERTED = "reverted", "it was taken back"
    KEPT = "kept", "it was taken back as far as that removes no data"


class RunStatus(Status):
    """How a run stands, or how it ended."""

    RUNNING = "running", "it is going on"
    DONE = "done", "it did everything that was asked for"
    WORK_REMAINS = "work remains", "a limit ended it: the same command goes on"
    STOPPED = "stopped", "a signal ended it after the piece at hand: the same command goes on"
    INTERRUPTED = "interrupted", "it was interrupted; completed work is saved: the same command goes on"
    REFUSED = "refused", "a safety check forbade it"
    MISMATCH = "mismatch", "verification found entries that differ from the ledger"
    LEASE_LOST = "lease lost", "another run took over, or the lease could not be renewed in time"
    DIED = "died", "its process ended without a message; completed work is saved, and the same command goes on"
    FAILED = "failed", "an error ended it"


class ChunkStatus(Status):
    """How far a chunk is."""

    CLAIMED = "claimed", "its bounds are fixed, and a run is working on it"
    FAILED = "failed", "an error ended the attempt; the next run tries again"
    EMITTED = "emitted", "its events are in the ledger"
    ROLLED = "rolled", "the entries of its users are up to date"


_AGAIN = {StepStatus.APPLYING, StepStatus.REVERTING}

# By kind, since members of two kinds may be equal: both have a `failed`.
MOVES: dict[type[Status], dict[Status, frozenset[Status]]] = {
    StepStatus: {
        StepStatus.NEW: frozenset({StepStatus.OFF, *_AGAIN}),
        StepStatus.APPLYING: frozenset({StepStatus.APPLIED, StepStatus.OFF, *_AGAIN}),
        StepStatus.APPLIED: frozenset({StepStatus.OFF, *_AGAIN}),
        StepStatus.OFF: frozenset({StepStatus.OFF, *_AGAIN}),
        StepStatus.REVERTING: frozenset({StepStatus.REVERTED, StepStatus.KEPT, StepStatus.OFF, *_AGAIN}),
        StepStatus.REVERTED: frozenset({StepStatus.OFF, *_AGAIN}),
        StepStatus.KEPT: frozenset({StepStatus.OFF, *_AGAIN}),
    },
    RunStatus: {
        RunStatus.RUNNING: frozenset(RunStatus) - {RunStatus.RUNNING},
        **{end: frozenset() for end in RunStatus if end is not RunStatus.RUNNING},
    },
    ChunkStatus: {
        ChunkStatus.CLAIMED: frozenset({ChunkStatus.CLAIMED, ChunkStatus.FAILED, ChunkStatus.EMITTED}),
        ChunkStatus.FAILED: frozenset({ChunkStatus.CLAIMED}),
        ChunkStatus.EMITTED: frozenset({ChunkStatus.ROLLED}),
        ChunkStatus.ROLLED: frozenset(),
    },
}
