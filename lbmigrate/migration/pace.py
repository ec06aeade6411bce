"""How fast a step goes and when it will be done, reckoned from its pieces. Pure; the clock is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field

from lbmigrate.records import Document, Piece, Tally


@dataclass(slots=True)
class Line:
    """One bar: `done` of `total` units, and the part of it that was done here, in `active` seconds.

    What an earlier run had done counts as done but not as fast.
    """

    subject: str
    told: float  # the clock when it was last put into words
    unit: str = "documents"
    done: int = 0
    total: int | None = None
    estimated: bool = False
    worked: int = 0
    active: float = 0.0

    def advance(self, piece: Piece, seconds: float) -> None:
        """Take in a piece that was `seconds` in the making."""
        read = piece.counts.read if piece.counts else 0
        self.worked += read or max(piece.done - self.done, 0)
        self.active += seconds
        self.done, self.total, self.unit, self.estimated = piece.done, piece.total, piece.unit, piece.estimated

    def row(self) -> Document:
        """As a record keeps it."""
        return {
            "subject": self.subject,
            "unit": self.unit,
            "done": self.done,
            "total": self.total,
            "estimated": self.estimated,
            "worked": self.worked,
            "active": round(self.active, 3),
        }

    @classmethod
    def from_row(cls, row: Document) -> Line:
        return cls(
            row["subject"], 0.0, row["unit"], row["done"], row["total"], row["estimated"], row["worked"], row["active"]
        )

    @property
    def percent(self) -> int | None:
        """Whole percent, rounded down and at most 100; None without a total."""
        if self.total is None:
            return None
        return min(100, 100 * self.done // self.total) if self.total else 100

    @property
    def rate(self) -> float | None:
        """Units a second of active time; None before anything can be said."""
        return self.worked / self.active if self.worked and self.active > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Estimated active time to the end. None below 1 %, where it would only be a guess, and at the end."""
        if self.total is None or not self.rate or not 0.01 <= self.done / max(self.total, 1) < 1:
            return None
        return (self.total - self.done) / self.rate


@dataclass(slots=True)
class Stage:
    """A step under way. The time between two reports belongs to the subject of the second, and to no other."""

    title: str
    begun: float
    seen: float
    counts: Tally | None = None
    open: dict[str, Line] = field(default_factory=dict)
    held: str = ""
    held_by: str = ""  # of what kind that is

    def take(self, piece: Piece, now: float) -> Line | None:
        """Add a piece up; the line that it moved, if any. A sentence opens no line, and stands for one at its end."""
        seconds, self.seen = now - self.seen, now
        if self.held:
            seconds = 0.0  # waiting is not active time
        self.held, self.held_by = piece.held, (piece.hold_kind or piece.held) if piece.held else ""
        if piece.counts is not None:
            self.counts = piece.counts if self.counts is None else self.counts + piece.counts
        if piece.done == 0 and piece.total is None:
            return None
        if piece.subject not in self.open and not (piece.note or piece.warning):
            self.open[piece.subject] = Line(piece.subject, told=now - seconds)
        line = self.open.get(piece.subject)
        if line is not None:
            line.advance(piece, seconds)
        if line is not None and piece.note and line.done == line.total:
            del self.open[piece.subject]
            return None
        return line
