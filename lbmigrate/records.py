"""The records that rooms hand to each other. Plain frozen data, no behaviour beyond adding up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from enum import StrEnum
from operator import add
from typing import Any, Literal, Protocol, Self

Document = dict[str, Any]
# What holds wherever data comes in, and for what is in the ledger already.
EARLIEST, LATEST = dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)  # times, the second one excluded
MOST_POINTS = 2**53  # beyond it a double, and so JSON, Redis and most apps, cannot tell neighbours apart
LARGEST_SCORE = 2**63 - 1  # of an entry, up or down; one that is beyond is written as this
LONGEST_ID = 1_024  # characters of an id that names a user, which all entries and events of a user have
LARGEST_SOURCE_ID = 2_000_000  # characters of an id that names a source document; an event has it twice
NAME_LENGTH, AVATAR_LENGTH = 120, 2_048  # characters of what every entry of a user copies


def amount(number: float, noun: str) -> str:
    """`1 chunk`, `2,000 chunks`, `3 mismatches`, `1 entry`, `2 entries`."""
    return f"{number:,} {beside(number, noun)}"


def beside(number: object, noun: str) -> str:
    """A noun as it stands beside a number, which may be no number at all: in the singular beside 1."""
    if number in (1, -1):
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}{'es' if noun.endswith(('ch', 's', 'x')) else 's'}"


class Tally(Protocol):
    """What a piece of work came to. Each kind of work has counters of its own; those of one kind add up."""

    @property
    def read(self) -> int:
        """Documents that were read, which is what a limit on a run counts."""

    def __add__(self, other: Self) -> Self: ...


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the documents of a chunk: read = emitted + duplicates + rejected + skipped.

    `skipped` are those outside the asked-for bounds (`--since`, `--until`) and those of forgotten users; `approximate`
    is a share of `emitted`, and so is `future`, those well ahead of the clock. `adjusted` are actions that were counted
    before and are now taken back or corrected.
    """

    read: int = 0
    emitted: int = 0
    duplicates: int = 0
    rejected: int = 0
    skipped: int = 0
    approximate: int = 0
    future: int = 0
    adjusted: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What became of the sources that a reconciliation read: read = adjusted + those that agree with the ledger."""

    read: int = 0
    adjusted: int = 0

    def __add__(self, other: Reconciled) -> Reconciled:
        return Reconciled(self.read + other.read, self.adjusted + other.adjusted)


@dataclass(frozen=True, slots=True)
class Recounted:
    """What a recount came to: ranges that were counted, those that differed, and what reading these brought."""

    ranges: int = 0
    differing: int = 0
    read: int = 0
    emitted: int = 0
    rejected: int = 0

    def __add__(self, other: Recounted) -> Recounted:
        return Recounted(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class Compared:
    """What a verification compared: what it read, users or `documents` of sources, and the entries of the users."""

    read: int = 0
    entries: int = 0
    documents: int = 0

    def __add__(self, other: Compared) -> Compared:
        return Compared(self.read + other.read, self.entries + other.entries, self.documents + other.documents)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a user who leaves had: entries that were removed, events that carry a tombstone now."""

    entries: int = 0
    events: int = 0

    @property
    def read(self) -> int:
        return self.events

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(self.entries + other.entries, self.events + other.events)


@dataclass(frozen=True, slots=True)
class Copied:
    """Documents that a backup or a restore has copied."""

    read: int = 0

    def __add__(self, other: Copied) -> Copied:
        return Copied(self.read + other.read)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What to remember about a finished piece: fields to set on one row of the state collection."""

    row: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What to remember about a finished roll-up: every chunk closed up to `until` is in the entries."""

    until: dt.datetime


@dataclass(frozen=True, slots=True)
class RowsRemoved:
    """What is not to be remembered any more: the rows of these kinds that meet a filter."""

    kinds: tuple[str, ...]
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Together:
    """Several of these: what is to be remembered is saved in one command, and then what is not."""

    marks: tuple[Checkpoint | RolledUp | RowsRemoved, ...]


Mark = Checkpoint | RolledUp | RowsRemoved | Together


@dataclass(frozen=True, slots=True)
class Piece:
    """A durable piece of work: it is written, and whoever receives it saves `checkpoint` so that it is not done again.

    `subject` is what the bar is called (a source, a collection); `done` of `total` count `unit`. A total of None is
    unknown, `estimated` says that it may be off. `note` is a sentence worth a line of its own, `warning` a yellow one;
    `would` is what a rehearsal says in place of the note. `held` says why nothing begins, `hold_kind` that in a word,
    `ends` what ends it. `found` are mismatches to export.
    """

    subject: str
    done: int = 0
    total: int | None = None
    unit: str = "documents"
    estimated: bool = False
    counts: Tally | None = None
    checkpoint: Mark | None = None
    note: str = ""
    warning: str = ""
    held: str = ""
    hold_kind: str = ""
    ends: str = ""
    entries: int = 0
    found: tuple[Any, ...] = ()
    would: str = ""


class Way(StrEnum):
    """What is done with a step."""

    APPLY = "apply"
    REVERT = "revert"
    KEEP = "keep"  # reverted, and the data left


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work as an operator knows it. Only the steps of the migration have numbers."""

    title: str
    number: int | None = None

    def __str__(self) -> str:
        return self.title if self.number is None else f"{self.number} {self.title}"


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that the runner tells whoever listens: a work that begins, a piece of it, or its end.

    `counts` of an end are those of all its pieces, None where nothing is counted. Around all works stand a run's start,
    which a listener may refuse, and its finish, with `facts` (`Announced`) and a `look` at how everything stands.
    """

    event: Literal["start", "begin", "piece", "end", "finish"]
    work: Work
    way: Way = Way.APPLY
    piece: Piece | None = None
    counts: Tally | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    look: Callable[[], Any] | None = None


Listener = Callable[[Report], None]


def ignore(report: Report) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A source document that could not be scored, and why."""

    source_id: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Scored:
    """The outcome of scoring a batch: finished event documents, and the documents that could not become one.

    `former` has for an event's id how an earlier version wrote it, where that was another way.
    """

    events: list[Document]
    rejects: list[Reject]
    former: dict[str, str] = field(default_factory=dict)
