"""Which fields name users by another field than their key, such as an e-mail address, in any case. Pure."""

from __future__ import annotations

from lbmigrate.detect.looked_at import Column, LookedAt
from lbmigrate.detect.references import ENOUGH, Known, Reference, candidates, likelihood, some

NEARLY_ALL = 0.8  # of the values, for names and handles: a word may be the name of a user by chance
FEWEST = 3  # different values of such a field


def to(look: LookedAt, users: LookedAt, known: Known) -> list[Reference]:
    """The columns of a collection whose text is, in any case, what a field of the users has; the likeliest first."""
    fields = {path: _folded(values) for (name, path), values in known.items() if name == users.name and path != "_id"}
    found = [
        reference
        for column in candidates(look)
        for field, values in fields.items()
        if field in users.columns and (reference := _reference(column, users.columns[field], values)) is not None
    ]
    return sorted(found, key=likelihood, reverse=True)


def _folded(values: set[object]) -> set[str]:
    return {value.lower() for value in values if isinstance(value, str)}


def _reference(column: Column, field: Column, known: set[str]) -> Reference | None:
    texts = [value for value in some(column) if isinstance(value, str)]
    if not texts or not known or column.is_email != field.is_email:
        return None
    hits = sum(value.lower() in known for value in texts) / len(texts)
    enough = hits >= ENOUGH if field.is_email else hits >= NEARLY_ALL and len(texts) >= FEWEST
    return Reference(column, hits, lookup=field.path) if enough else None
