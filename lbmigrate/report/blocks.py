"""What a report is made of, before anybody decides how it looks. Plain frozen data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | dt.datetime | None


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Sentences, one below the other."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. The first column names the row; `wrong` are the numbers of the rows that are not as they should be."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    wrong: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Weeks:
    """Points by period: what the entries say as bars, and what stands against it as a line.

    `line` has None where nothing was read; `against` names it. `wrong` are the numbers of the bars that differ.
    """

    title: str
    told: str
    labels: tuple[str, ...]
    bars: tuple[int, ...]
    line: tuple[int | None, ...]
    against: str
    wrong: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate over time: pairs (seconds since the beginning, units a second)."""

    title: str
    told: str
    points: tuple[tuple[float, float], ...]
    unit: str


@dataclass(frozen=True, slots=True)
class Kinds:
    """How many there are of each kind."""

    title: str
    told: str
    numbers: tuple[tuple[str, int], ...]


Block = Words | Listing | Grid | Weeks | Pace | Kinds


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report under a heading."""

    heading: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report: the verdict, one sentence below it, and the sections in their order."""

    title: str
    passed: bool
    verdict: str
    summary: str
    bound: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    made: str


def iso(at: dt.datetime) -> str:
    """A moment (naive UTC) as ISO 8601, to the second."""
    return f"{at.isoformat(timespec='seconds')}Z"


def shown(value: Cell) -> str:
    """A cell as text: thousands with commas, what is absent as a dash."""
    if value is None:
        return "–"
    if isinstance(value, dt.datetime):
        return iso(value)
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else value


def is_figure(value: Cell) -> bool:
    """Whether a cell is fine in a column of figures, which goes to the right."""
    return value is None or isinstance(value, int | float)


def brief(number: float) -> str:
    """A number as an axis has it: `950`, `12 k`, `1.5 M`."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"
