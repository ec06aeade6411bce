"""Which of a collection's times says when an action was done, and which grows with every change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from bson import ObjectId

from lbmigrate.detect.looked_at import Column, LookedAt
from lbmigrate.detect.words import (
    COMPLETED_TIME,
    CREATED,
    DEADLINE,
    DELETED,
    END,
    HAPPENED,
    START,
    UPDATED,
    speaks_of,
)

SLACK = dt.timedelta(seconds=2)  # between times that were written together
NEARLY_ALL = 0.95
MADE_OR_CHANGED = 5  # the place among the kinds of times from which they tell of the document, not of the action


def times_of(look: LookedAt) -> list[Column]:
    """The columns that hold times, deadlines and the like left out."""
    return [each for each in look.own() if each.is_time and not speaks_of(each.name, DEADLINE | DELETED)]


def updated_of(look: LookedAt) -> Column | None:
    """The time that is never earlier than another of its document: the one that grows with every change."""
    times = [each for each in look.columns.values() if each.is_time and each.fill > NEARLY_ALL]
    if look.array:
        times = [each for each in times if not each.path.startswith(f"{look.array}.")]
    named = [each for each in times if speaks_of(each.name, UPDATED)]
    latest = [each for each in named or times if _is_latest(each, look)]
    return latest[0] if named and latest else _the_latest(latest)


def _the_latest(latest: Sequence[Column]) -> Column | None:
    """Of several, none can be told by its values alone; and one that is never later than the creation never grows."""
    return latest[0] if len(latest) == 1 else None


def _is_latest(column: Column, look: LookedAt) -> bool:
    others = [each for each in times_of(look) if each.path != column.path]
    if not others and not speaks_of(column.name, UPDATED):
        return False
    pairs = [(mine, theirs) for each in others for mine, theirs in zip(column.times, each.times, strict=True)]
    known = [mine + SLACK >= theirs for mine, theirs in pairs if mine is not None and theirs is not None]
    return not known or sum(known) >= NEARLY_ALL * len(known)


def is_creation(column: Column, look: LookedAt) -> bool:
    """Whether a time is that at which its document was made: by its `_id`, or by its name."""
    ids = look.columns["_id"].values if "_id" in look.columns else []
    made = [
        (moment, name.generation_time.replace(tzinfo=None))
        for moment, name in zip(column.times, ids, strict=False)
        if moment is not None and isinstance(name, ObjectId)
    ]
    if made and sum(abs(moment - born) <= SLACK for moment, born in made) >= NEARLY_ALL * len(made):
        return True
    return speaks_of(column.name, CREATED)


def is_of_an_action(column: Column, look: LookedAt) -> bool:
    """Whether a time says when something was done, rather than when its document was made or changed."""
    return _kind(column, look, None) < MADE_OR_CHANGED


def done_at(look: LookedAt, rows: Sequence[int], marker: Column | None, *, is_session: bool) -> list[Column]:
    """The times that may say when the actions in `rows` were done, the likeliest first; at most three.

    A session that has no end ended soon after its start; the start of a task says nothing of its end.
    """
    times = [each for each in times_of(look) if any(each.times[row] is not None for row in rows)]
    if not is_session:
        times = [each for each in times if not speaks_of(each.name, START)] or times
    ordered = sorted(times, key=lambda each: (_kind(each, look, marker), -_fill(each, rows)))[:3]
    return ordered[:2] if len(ordered) > 1 and _fill(ordered[1], rows) == 1 else ordered  # no third is ever looked at


def _kind(column: Column, look: LookedAt, marker: Column | None) -> int:
    """The place of a time among those of its document: done, ended, happened, begun or untold, changed, made."""
    if marker is not None and column.path == marker.path:
        return 0
    updated = updated_of(look)
    if speaks_of(column.name, UPDATED) or (updated is not None and updated.path == column.path):
        return MADE_OR_CHANGED
    if is_creation(column, look):
        return MADE_OR_CHANGED + 1
    kinds = ((1, COMPLETED_TIME), (2, END), (4, START), (3, HAPPENED))
    return next((place for place, words in kinds if speaks_of(column.name, words)), 4)


def _fill(column: Column, rows: Sequence[int]) -> float:
    return sum(column.times[row] is not None for row in rows) / len(rows) if rows else 0.0


def start_and_end(look: LookedAt) -> tuple[Column, Column] | None:
    """Two times of which one is never after the other and both say a span: begun and ended."""
    times = times_of(look)
    starts = [each for each in times if speaks_of(each.name, START)]
    ends = [each for each in times if speaks_of(each.name, END | COMPLETED_TIME) and each not in starts]
    pairs = [(start, end) for start in starts for end in ends if _in_order(start, end)]
    return pairs[0] if pairs else None


def _in_order(start: Column, end: Column) -> bool:
    both = [(a, b) for a, b in zip(start.times, end.times, strict=True) if a is not None and b is not None]
    return bool(both) and sum(a <= b for a, b in both) >= NEARLY_ALL * len(both)
