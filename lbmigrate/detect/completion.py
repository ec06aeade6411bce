"""What tells a finished action from one that is not: a state, a yes, a time that only finished ones have. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lbmigrate.detect.looked_at import Column, LookedAt
from lbmigrate.detect.timing import is_creation, times_of
from lbmigrate.detect.words import (
    BEFORE,
    BREAK,
    COMPLETED_TIME,
    DELETED,
    DONE,
    FOCUS,
    REPEATED,
    STATE,
    TASK,
    UNDONE,
    UNREAL,
    speaks_of,
    words_of,
)

AGREES = 0.9  # of the documents, for a time to be there just where a state says so
WHOLE = 0.97  # of the documents with a marker, for it to be that of every generation of the schema


@dataclass(frozen=True, slots=True)
class Marker:
    """A field and the values of it that mean done; `time` is a time that only done ones have."""

    column: Column
    values: tuple[Any, ...]
    evidence: str
    by_name: bool
    time: Column | None = None

    @property
    def condition(self) -> dict[str, Any]:
        value: Any = self.values[0] if len(self.values) == 1 else {"$in": list(self.values)}
        return {self.column.path: value}

    def meets(self, row: int) -> bool:
        return any(_same(self.column.values[row], value) for value in self.values)


@dataclass(frozen=True, slots=True)
class Scope:
    """A filter, the rows of the sample that meet it, and the evidence for each of its parts."""

    where: dict[str, Any]
    rows: list[int]
    evidence: list[str] = field(default_factory=list)
    is_marked: bool = False
    time: Column | None = None
    sure: bool = True


def scope(look: LookedAt) -> Scope:
    """Which documents of a collection are finished actions."""
    marks = markers(look)
    where: dict[str, Any] = {}
    rows = list(range(len(look.documents)))
    evidence = [mark.evidence for mark in marks]
    time = next((mark.time for mark in marks if mark.time), None)
    if marks:
        where |= marks[0].condition if len(marks) == 1 else {"$or": [mark.condition for mark in marks]}
        rows = [row for row in rows if any(mark.meets(row) for mark in marks)]
    elif alone := time_of_the_finished(look):
        where[alone.path] = {"$ne": None}
        rows = [row for row in rows if alone.values[row] is not None]
        evidence.append(f"{alone.path} is present in {alone.fill:.0%}")
        time = alone
    is_marked = bool(where)
    for condition, told, kept in _further(look, rows):
        where |= condition
        evidence.append(told)
        rows = [row for row in rows if row in kept]
    return Scope(where, rows, evidence, is_marked, time, all(mark.by_name for mark in marks))


def markers(look: LookedAt) -> list[Marker]:
    """The fields that say done: one, or one for each generation of a schema that its documents were written by."""
    found = [mark for column in look.own() if (mark := _marker(column, look)) is not None]
    found.sort(key=lambda mark: (not mark.by_name, -mark.column.fill, not isinstance(mark.values[0], str)))
    if not found:
        return []
    if found[0].column.fill >= WHOLE:
        return found[:1]
    others = [mark for mark in found[1:] if mark.by_name and _are_generations(found[0].column, mark.column)]
    return [found[0], *others[:1]]


def _are_generations(one: Column, other: Column) -> bool:
    """Whether nearly every document has one of two fields and hardly any has both."""
    pairs = list(zip(one.values, other.values, strict=True))
    either = sum(a is not None or b is not None for a, b in pairs)
    both = sum(a is not None and b is not None for a, b in pairs)
    return bool(pairs) and either >= WHOLE * len(pairs) and both < 0.5 * either


def _marker(column: Column, look: LookedAt) -> Marker | None:
    if not column.states or speaks_of(column.name, DELETED | UNREAL | BEFORE):
        return None
    time = _told_by_a_time(column, look)
    if values := _done_values(column):
        evidence = f"{column.path} is {_listed(column.states)}"
        return Marker(column, values, evidence, True, time[1] if time and time[0] in values else None)
    if time is None or len(column.states) < 2:
        return None
    value, when = time
    return Marker(column, (value,), f"{when.path} is there just where {column.path} is {value!r}", False, when)


def _done_values(column: Column) -> tuple[Any, ...]:
    """The values that mean done by their own words, or by the field's where they are yes and no."""
    says = [each for each in column.states if isinstance(each, str) and speaks_of(each, DONE) and not _denies(each)]
    if says:
        return tuple(says)
    yes = [each for each in column.states if each is True or (each == 1 and not isinstance(each, str | bool))]
    if not yes or not set(column.states) <= {0, 1} or not speaks_of(column.name, DONE | STATE) or _counts(column):
        return ()
    # An app that keeps 0 and 1 beside true and false means the same by both; the server's filter must name each.
    return (True, 1) if _mixed(column) else tuple(yes)


def _denies(word: str) -> bool:
    return not words_of(word).isdisjoint({"not", "in", "un", *UNDONE})


def _counts(column: Column) -> bool:
    return not words_of(column.name).isdisjoint({"count", "total", "pomodoros", "cycles"})


def _mixed(column: Column) -> bool:
    return len({isinstance(value, bool) for value in column.present}) == 2


def _told_by_a_time(column: Column, look: LookedAt) -> tuple[Any, Column] | None:
    """The value of a state that goes with a time: those that have it have the time, and the others do not."""
    for time in times_of(look):
        if 0.02 < time.fill < 0.98 and not is_creation(time, look):
            for value in column.states:
                if _goes_with(column, value, time):
                    return value, time
    return None


def _goes_with(column: Column, value: Any, time: Column) -> bool:
    pairs = [
        (_same(state, value), moment is not None) for state, moment in zip(column.values, time.values, strict=True)
    ]
    having = [has for is_so, has in pairs if is_so]
    lacking = [has for is_so, has in pairs if not is_so]
    if not having or not lacking:
        return False
    return sum(having) >= AGREES * len(having) and sum(lacking) <= (1 - AGREES) * len(lacking)


def time_of_the_finished(look: LookedAt) -> Column | None:
    """A time by whose name only finished ones have it, and that some lack."""
    times = [each for each in times_of(look) if 0 < each.fill < 1 and speaks_of(each.name, COMPLETED_TIME)]
    return max(times, key=lambda each: each.fill, default=None)


def _further(look: LookedAt, rows: Sequence[int]) -> list[tuple[dict[str, Any], str, set[int]]]:
    """What else an action must be: of a kind that counts, not deleted, not a sample."""
    found = []
    for column in look.own():
        if condition := _kind(column) or _not_removed(column):
            kept = {row for row in rows if _passes(column.values[row], condition[column.path])}
            if kept and len(kept) < len(rows):
                found.append(
                    (condition, f"{column.path} is {_listed(column.states)}" if column.states else column.path, kept)
                )
    return found


def _kind(column: Column) -> dict[str, Any]:
    """Breaks and calendar events share a collection with what counts, and a field tells them apart."""
    words = [each for each in column.states if isinstance(each, str)]
    pauses = [each for each in words if speaks_of(each, BREAK)]
    others = [each for each in words if words_of(each) <= REPEATED]
    counted = [each for each in words if each not in pauses and speaks_of(each, FOCUS if pauses else TASK)]
    if pauses and counted:
        return {column.path: counted[0] if len(counted) == 1 else {"$in": counted}}
    if pauses and len(pauses) < len(words):
        return {column.path: {"$nin": pauses}}
    return {column.path: {"$nin": others}} if others and counted else {}


def _not_removed(column: Column) -> dict[str, Any]:
    if not speaks_of(column.name, DELETED | UNREAL):
        return {}
    if column.is_time:
        return {column.path: None}
    return {column.path: {"$ne": True}} if column.is_bool else {}


def _passes(value: Any, condition: Any) -> bool:
    if not isinstance(condition, dict):
        return bool(value == condition)
    (operator, asked), *_ = condition.items()
    if operator == "$in":
        return value in _as_list(asked)
    return value not in _as_list(asked)


def _as_list(asked: Any) -> list[Any]:
    return asked if isinstance(asked, list) else [asked]


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _listed(states: Counter[Any]) -> str:
    total = sum(states.values())
    return ", ".join(f"{value!r} in {count / total:.0%}" for value, count in states.most_common(5))
