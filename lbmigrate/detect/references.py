"""Which fields of which collections hold ids of users: told by the values, not by the names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bson import Int64, ObjectId

from lbmigrate.detect.looked_at import Column, LookedAt
from lbmigrate.detect.words import NOT_THE_DOER, OWNER, words_of

MOST_VALUES = 40  # of a field, that are looked up
ENOUGH = 0.5  # of the values looked up, for a field to be a reference
Known = Mapping[tuple[str, str], set[Any]]  # by collection and path: which of the values looked up occur there


@dataclass(frozen=True, slots=True)
class Reference:
    """A field that names documents of another collection; `coerce` where it writes their ids as another type."""

    column: Column
    hits: float
    coerce: Literal["objectId", "string"] | None = None
    lookup: str | None = None  # the field of the users that has its values, where that is not their key


def candidates(look: LookedAt) -> list[Column]:
    """The columns of a collection that may refer to something."""
    return [each for each in look.columns.values() if each.path != "_id" and _may_refer(each)]


def _may_refer(column: Column) -> bool:
    odd = column.is_bool or column.is_time or column.is_url or column.is_password
    return not odd and all(
        isinstance(value, str | int | ObjectId | bytes) or _is_uuid(value) for value in column.present
    )


def _is_uuid(value: Any) -> bool:
    return type(value).__name__ in ("UUID", "Binary")


def values_to_look_up(looks: Iterable[LookedAt]) -> list[Any]:
    """What every column that may refer holds, each id in its own form and in that which others may have it in."""
    found: dict[Any, None] = {}
    for look in looks:
        for column in candidates(look):
            for value in some(column):
                found |= dict.fromkeys(forms(value))
    return list(found)


def some(column: Column) -> list[Any]:
    """The values of a column that are looked up, each once."""
    return list(dict.fromkeys(column.present))[:MOST_VALUES]


def forms(value: Any) -> list[Any]:
    """An id as it is, and the ObjectId that its text writes or the text of an ObjectId."""
    if isinstance(value, ObjectId):
        return [value, str(value)]
    if isinstance(value, str) and ObjectId.is_valid(value) and len(value) == len(str(ObjectId())):
        return [value, ObjectId(value)]
    return [value]


def to(look: LookedAt, ids: set[Any]) -> list[Reference]:
    """The columns of a collection of which at least half of the values are among `ids`, the likeliest owner first."""
    found = [reference for column in candidates(look) if (reference := _reference(column, ids)) is not None]
    return sorted(found, key=likelihood, reverse=True)


def _reference(column: Column, ids: set[Any]) -> Reference | None:
    values = some(column)
    hits = sum(not ids.isdisjoint(forms(value)) for value in values)
    if not values or hits < ENOUGH * len(values) or _is_a_code(column):
        return None
    return Reference(column, hits / len(values), _coercion(values, ids))


def _is_a_code(column: Column) -> bool:
    """Small integers are priorities and levels as often as ids; a name must say that they are ids."""
    small = all(isinstance(value, int | Int64) and abs(value) < 1_000 for value in column.present)
    return small and words_of(column.path).isdisjoint(OWNER)


def likelihood(reference: Reference) -> tuple[bool, bool, float, float]:
    """How likely a column says whose an action is; the greatest first."""
    words = words_of(reference.column.path)
    return words.isdisjoint(NOT_THE_DOER), not words.isdisjoint(OWNER), reference.column.fill, reference.hits


def _coercion(values: Sequence[Any], ids: set[Any]) -> Literal["objectId", "string"] | None:
    """The type of the users' own ids, where some of these are the ids of users in another type."""
    others = (form for value in values if value not in ids for form in forms(value) if form in ids)
    own = next(others, None)
    return None if own is None else "objectId" if isinstance(own, ObjectId) else "string"
