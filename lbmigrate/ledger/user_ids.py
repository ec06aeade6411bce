"""One BSON type for all user ids of a ledger: else one user would get two entries."""

from __future__ import annotations

from collections.abc import Sequence

from lbmigrate.config.model import Source
from lbmigrate.errors import Refused
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import COUNTED, EVENTS
from lbmigrate.values.ids import coerce_id, id_type
from lbmigrate.values.paths import pluck, projection_of


class OneUserType:
    """Sees to it that all events name users by ids of one type; else the same user would get two entries.

    Starts from what the ledger and both ends of every source hold, so that a mixture is refused before anything is
    written; what the `sample` (documents from either end) missed is refused when its chunk is scored, before that chunk
    is written.
    """

    def __init__(self, context: Context, sample: int = 500) -> None:
        self._places: dict[str, str] = {}
        first = context.target[EVENTS].find_one({"userId": {"$ne": None}, **COUNTED}, {"userId": 1})
        if first:
            self._places[id_type(first["userId"]) or "unknown"] = f"{EVENTS}.userId"
        for source in context.config.sources:
            self._see(_sampled_types(context, source, sample), source)

    @property
    def kinds(self) -> list[str]:
        """The types seen so far: one, or none."""
        return list(self._places)

    def check(self, events: Sequence[Document], source: Source) -> None:
        """Raise Refused, with the mend, when the users of these events are not of the known type."""
        examples = {type(event["userId"]): event["userId"] for event in events}
        self._see({id_type(user) or "unknown" for user in examples.values()}, source)

    def _see(self, kinds: set[str], source: Source) -> None:
        new = sorted(kinds - self._places.keys())
        for kind in new:
            self._places.setdefault(kind, f"{source.collection}.{source.user.path}")
        if len(self._places) > 1:
            told = ", ".join(f"{place} holds {kind}" for kind, place in self._places.items())
            count = len(self._places)
            for kind in new:  # one odd user must not spoil those who come after
                self._places.pop(kind, None)
            raise Refused(
                f"user ids are of {count} types: {told}",
                hint="make them one with `user: {path: …, as: string}` (or `as: objectId`) in each of those sources",
            )


def _sampled_types(context: Context, source: Source, size: int) -> set[str]:
    """The types of user ids, as scoring would coerce them, at both ends of a source."""
    collection = context.sources[source.collection]
    found: set[str] = set()
    for way in (1, -1):
        rows = list(collection.find(source.where, projection_of([source.user.path])).sort("_id", way).limit(size))
        for value in pluck(rows, [source.user.path])[source.user.path]:
            name = id_type(coerce_id(value, source.user.coerce))
            found |= {name} if name else set()
    return found
