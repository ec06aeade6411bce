"""What a run has done so far, added up as it goes: its record keeps it for those who look from elsewhere, or later."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lbmigrate.migration.pace import Line
from lbmigrate.records import Copied, Counts, Document, Forgotten, Piece, Reconciled, Recounted, Tally
from lbmigrate.run.context import Context

PULSE = 2.0  # seconds between two notes of what moves and has no checkpoint
MOST_LINES = 40  # subjects of one work that are kept

Totals = tuple[int, int, int]


@dataclass(slots=True)
class Account:
    """The sums of one run, and a line for each subject of the work at hand.

    Time held is no active time: what a run waited for says nothing of how fast it is.
    """

    context: Context
    monotonic: Callable[[], float] = time.monotonic
    title: str = ""
    documents: int = 0
    events: int = 0
    entries: int = 0
    rejects: int = 0
    active: float = 0.0
    held: dict[str, float] = field(default_factory=dict)  # seconds, by the kind of what held
    lines: dict[str, Line] = field(default_factory=dict)
    _seen: float = 0.0
    _told: float = 0.0
    _held_by: str = ""
    _shown: set[str] = field(default_factory=set)  # subjects that the record has a line of

    def __post_init__(self) -> None:
        self._seen = self._told = self.monotonic()

    def begin(self, title: str) -> bool:
        """A work begins; whether the record still has lines of the one before it, which is done."""
        stale = bool(self._shown)
        self.title, self.lines, self._shown = title, {}, set()
        return stale

    def take(self, piece: Piece) -> None:
        """Take in a piece; the time since the last one went into it, unless the run was held."""
        now = self.monotonic()
        seconds, self._seen = now - self._seen, now
        if self._held_by:
            self.held[self._held_by] = self.held.get(self._held_by, 0.0) + seconds
            seconds = 0.0
        self._held_by = (piece.hold_kind or "other") if piece.held else ""
        self.active += seconds
        documents, events, rejects = _totals(piece.counts)
        self.documents, self.events, self.rejects = (
            self.documents + documents,
            self.events + events,
            self.rejects + rejects,
        )
        self.entries += piece.entries
        self._line(piece, seconds)

    def _line(self, piece: Piece, seconds: float) -> None:
        if piece.done == 0 and piece.total is None:
            return
        if piece.subject not in self.lines and len(self.lines) < MOST_LINES:
            self.lines[piece.subject] = Line(piece.subject, told=0.0, done=_before(piece))
        if line := self.lines.get(piece.subject):
            line.advance(piece, seconds)

    def is_due(self, piece: Piece) -> bool:
        """Whether it is to be noted now: with every piece that counts, at first, and now and then where it moves."""
        if piece.counts is not None or self.lines.keys() - self._shown:
            return True
        return bool(piece.done or piece.entries) and self.monotonic() - self._told >= PULSE

    def sums(self) -> Document:
        """What it all came to; `active` and what it was `held` for are seconds."""
        return {
            "documents": self.documents,
            "events": self.events,
            "entries": self.entries,
            "rejects": self.rejects,
            "active": round(self.active, 3),
            "held": {kind: round(seconds, 3) for kind, seconds in self.held.items()},
        }

    def row(self) -> Document:
        """As the record of the run keeps it (`state.shapes`)."""
        self._told, self._shown = self.monotonic(), set(self.lines)
        pace = self.context.pace
        return {
            "progress": {
                "at": self.context.clock(),
                "work": self.title,
                **self.sums(),
                "workers": pace.workers,
                "perSecond": pace.per_second,
                "lines": [line.row() for line in self.lines.values()],
            }
        }


def _before(piece: Piece) -> int:
    """How far an earlier run had come: that is done, and was not done here."""
    return max(0, piece.done - piece.counts.read) if isinstance(piece.counts, Counts | Reconciled) else 0


def _totals(counts: Tally | None) -> Totals:
    """Documents read, events added and rejects, in the words of each kind of work."""
    match counts:
        case Counts() | Recounted():
            return counts.read, counts.emitted, counts.rejected
        case Reconciled():
            return counts.read, counts.adjusted, 0
        case Forgotten() | Copied():
            return counts.read, 0, 0
    return 0, 0, 0
