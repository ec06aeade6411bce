"""How long a session took: which field says so, and in which unit. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from lbmigrate.detect.looked_at import Column, LookedAt
from lbmigrate.detect.timing import start_and_end, times_of
from lbmigrate.detect.words import DURATION, PLANNED, SESSION, is_called, speaks_of, words_of
from lbmigrate.values.units import UNIT_NAMES, UNITS_IN_SECONDS, Unit

UNITS: tuple[Unit, ...] = ("minutes", "seconds", "ms", "hours", "ns")  # in which apps keep how long somebody worked
AGREE = 0.8  # of the documents, for a number to be the time between two dates
NEAR = 0.05  # of a length: a number that is that close to it says the same
# What a usual session's median is below, in each unit: a day of minutes is 1,440, and an hour of milliseconds 3.6e6.
USUAL: tuple[tuple[float, Unit], ...] = ((12.0, "hours"), (300.0, "minutes"), (40_000.0, "seconds"), (1e9, "ms"))
_WORDS: dict[str, Unit] = {**UNIT_NAMES, "sekunden": "seconds", "minuten": "minutes", "stunden": "hours"}
_WORDS |= {"segundos": "seconds", "minutos": "minutes", "horas": "hours", "heures": "hours", "nanos": "ns"}


@dataclass(frozen=True, slots=True)
class Length:
    """A field in a unit, or two times; `sure` unless the unit is a guess by size."""

    evidence: str
    path: str | None = None
    unit: Unit | None = None
    between: tuple[str, str] | None = None
    sure: bool = True


def length(look: LookedAt, rows: Sequence[int]) -> Length | None:
    """How the actions in `rows` say how long they took; None where they do not."""
    columns = [each for each in look.own() if _is_quantity(each, rows)]
    spans = _spans(look, rows)
    for column in columns:
        if spans and (unit := _told_by_spans(column, rows, spans)):
            told = f"{column.path} is the time between {spans.start} and {spans.end}, in {unit}"
            return Length(told, column.path, unit)
    named = [each for each in columns if speaks_of(each.name, DURATION) and not speaks_of(each.name, PLANNED)]
    if named:
        return _by_name(max(named, key=lambda each: each.fill), rows)
    if spans and start_and_end(look):
        return Length(f"from {spans.start} to {spans.end}", between=(spans.start, spans.end))
    if is_called(look.name, SESSION) and len(columns) == 1:
        return _by_name(columns[0], rows)
    return None


def _is_quantity(column: Column, rows: Sequence[int]) -> bool:
    if not column.is_number or column.path == "_id":
        return False
    known = [column.numbers[row] for row in rows if not math.isnan(column.numbers[row])]
    return len(known) > 0.5 * len(rows) and median(known) > 0 and len(set(known)) > 1


@dataclass(frozen=True, slots=True)
class Spans:
    """Where actions begin and end, and the seconds between, NaN where one of the two is absent."""

    start: str
    end: str
    seconds: list[float]


def _spans(look: LookedAt, rows: Sequence[int]) -> Spans | None:
    pair = start_and_end(look) or _ordered(look)
    if pair is None:
        return None
    times = [(pair[0].times[row], pair[1].times[row]) for row in rows]
    return Spans(pair[0].path, pair[1].path, [(b - a).total_seconds() if a and b else math.nan for a, b in times])


def _ordered(look: LookedAt) -> tuple[Column, Column] | None:
    """Two times without telling names, of which the second is hours after the first at most, and never before it."""
    times = times_of(look)
    for start in times:
        for end in times:
            both = [(b - a).total_seconds() for a, b in zip(start.times, end.times, strict=True) if a and b]
            if both and min(both) >= 0 and 60 <= median(both) <= 12 * 3_600:
                return start, end
    return None


def _told_by_spans(column: Column, rows: Sequence[int], spans: Spans) -> Unit | None:
    pairs = [
        (column.numbers[row], seconds)
        for row, seconds in zip(rows, spans.seconds, strict=True)
        if seconds > 0 and not math.isnan(column.numbers[row])
    ]
    for unit in UNITS:
        in_seconds = UNITS_IN_SECONDS[unit]
        # A number in whole minutes is off by half a minute, whatever the length.
        near = [abs(number * in_seconds - seconds) <= max(NEAR * seconds, in_seconds) for number, seconds in pairs]
        if near and sum(near) >= AGREE * len(near):
            return unit
    return None


def _by_name(column: Column, rows: Sequence[int]) -> Length:
    known = [column.numbers[row] for row in rows if not math.isnan(column.numbers[row])]
    seen = f"{min(known):g} to {max(known):g}, median {median(known):g}"
    if unit := next((unit for word, unit in _WORDS.items() if word in words_of(column.name) and len(word) > 1), None):
        return Length(f"{column.path}: {unit} by its name; {seen}", column.path, unit)
    unit = next((unit for most, unit in USUAL if median(known) <= most), "ns")
    return Length(f"{column.path}: {unit} by their size; {seen}", column.path, unit, sure=False)
