"""Collections that are not proposed although somebody may miss them, each with the reason. Pure."""

from __future__ import annotations

from lbmigrate.detect import completion, lengths
from lbmigrate.detect.looked_at import LookedAt
from lbmigrate.detect.people import MOST_LISTED
from lbmigrate.detect.words import SESSION, TASK, is_called
from lbmigrate.records import amount

LARGE = 100  # documents


def nobody_named(look: LookedAt) -> dict[str, str]:
    """The reason for a collection in which no field names users, where it is large or looks like actions."""
    if look.array or not (look.count >= LARGE or _looks_like_actions(look)):
        return {}
    fields = [path for path in look.columns if path != "_id"]
    more = f" and {len(fields) - MOST_LISTED} more" if len(fields) > MOST_LISTED else ""
    listed = ", ".join(fields[:MOST_LISTED]) + more
    named = "no field of it has ids of users, or text that one field of the users has"
    return {look.name: f"{named}; it has {amount(look.count, 'document')} with {listed or 'no fields'}"}


def _looks_like_actions(look: LookedAt) -> bool:
    scope = completion.scope(look)
    took = lengths.length(look, scope.rows) if scope.rows else None
    return scope.is_marked or took is not None or is_called(look.name, SESSION) or is_called(look.name, TASK)
