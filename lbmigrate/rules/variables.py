"""The `let` names of a source as columns of numbers, with a reason for every row where there is no number."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from bson import Int64

from lbmigrate.config.model import Let
from lbmigrate.rules.mapped import let_paths
from lbmigrate.values.coerce import as_number, as_time
from lbmigrate.values.columns import Floats, convert, numbers, times
from lbmigrate.values.excerpts import excerpt

_MICROSECOND = dt.timedelta(microseconds=1)
_PLAIN = frozenset({type(None), bool, int, Int64, float, str})


@dataclass(frozen=True, slots=True)
class Numbers:
    """A float64 column, and for each row that has no number the reason."""

    values: Floats
    problems: dict[int, str]


def evaluate_let(name: str, let: Let, columns: Mapping[str, Sequence[Any]], zone: ZoneInfo) -> Numbers:
    """The numbers that `let` takes from plucked columns; every reason begins with `name`.

    Of several paths the first that is not null counts, and it must convert. `missing` stands in where nothing is given
    (for `between`: where either end is not); it is the finished number, in the unit `to`. A number with a unit is how
    long something took, and so not negative.
    """
    given = [columns[path] for path in let_paths(let)]
    given = given if let.between else [first_present(given)]
    values = _values(let, given, zone)
    problems = {}
    for row in np.flatnonzero(~np.isfinite(values)).tolist():
        found = [column[row] for column in given]
        if let.missing is not None and any(value is None for value in found):
            values[row] = let.missing
        else:
            problems[row] = f"{name}: {_why_not(let, found, zone)}"
    return Numbers(values, problems)


def first_present(columns: Sequence[Sequence[Any]]) -> Sequence[Any]:
    """Row by row the first value that is not None."""
    if len(columns) == 1:
        return columns[0]
    return [next((value for value in row if value is not None), None) for row in zip(*columns, strict=True)]


def _values(let: Let, given: Sequence[Sequence[Any]], zone: ZoneInfo) -> Floats:
    if let.between:
        elapsed = [_microseconds(*ends) for ends in zip(*(times(column, zone) for column in given), strict=True)]
        return convert(np.array(elapsed, dtype=np.float64), "us", let.to or "seconds")
    values = _measured(let, given[0]) if let.map is None else _looked_up(given[0], let.map, let.default)
    return convert(values, let.unit, let.to) if let.unit and let.to else values


def _measured(let: Let, column: Sequence[Any]) -> Floats:
    values = numbers(column)
    return np.where(values < 0, np.nan, values) if let.unit else values


def _microseconds(start: dt.datetime | None, end: dt.datetime | None) -> float:
    return math.nan if start is None or end is None or end < start else (end - start) // _MICROSECOND


def _looked_up(column: Sequence[Any], table: Mapping[str | int, float], default: float | None) -> Floats:
    listed = _both_spellings(table)
    other = math.nan if default is None else default
    if not _PLAIN.issuperset(map(type, column)):
        column = [_key(value) for value in column]
    return np.array([listed.get(value, other) for value in column], dtype=np.float64)


def _both_spellings(table: Mapping[str | int, float]) -> dict[Any, float]:
    """The key 1 also answers to "1" and the other way round; None, which is a missing value, to neither."""
    numeric = {int(key): value for key, value in table.items() if _is_digits(str(key))}
    return {None: math.nan} | numeric | {str(key): value for key, value in numeric.items()} | dict(table)


def _is_digits(key: str) -> bool:
    return len(key) < 20 and key.isascii() and key.isdecimal()


def _key(value: Any) -> Any:
    """A value that a dict can be asked for: numbers of any BSON type are equal if they are equal."""
    if type(value) in _PLAIN:
        return value
    number = as_number(value)
    return object() if math.isnan(number) else number


def _why_not(let: Let, found: Sequence[Any], zone: ZoneInfo) -> str:
    pairs = list(zip(let_paths(let) if let.between else [" or ".join(let_paths(let))], found, strict=True))
    for path, value in pairs:
        if value is None:
            return f"{path} is missing"
        if let.between and as_time(value, zone) is None:
            return f"{path} is not a time ({excerpt(value)})"
    if let.between:
        return f"{let.between[1]} is before {let.between[0]}"
    path, value = pairs[0]
    if let.unit and let.map is None and as_number(value) < 0:
        return f"{path} is negative ({excerpt(value)})"
    return f"{path} is not {'a finite number' if let.map is None else 'in map'} ({excerpt(value)})"
