"""The ledger against its sources: every action of a range, or of some names, read from both sides and compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bson import ObjectId
from bson.errors import BSONError

from lbmigrate.config.model import Source
from lbmigrate.passes.chunks import Bounds, Span
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.values.id_text import exact_text
from lbmigrate.values.ids import in_parts, is_document_id
from lbmigrate.verify.both_sides import BothSides
from lbmigrate.verify.checked import Checked
from lbmigrate.verify.reading import Action, Reading
from lbmigrate.verify.rows import Rows, base_of, grouped, several

ABOVE = ":"  # sorts after "#" and "/", which follow an id in the `_id` of an adjustment and of an element
AT_ONCE = 2_000  # groups of events that are compared together


class Ledger:
    """The events of one action, and the sources that they come from, in the order in which these are asked.

    Of several sources of one action the first that has an event for a document goes first.
    """

    def __init__(self, context: Context, action: str, sources: Sequence[Source], kind: str | None) -> None:
        latest = context.config.backfill.latest(context.clock())
        self.action, self._context = action, context
        self.collections = list(dict.fromkeys(source.collection for source in sources))
        self._rows = Rows(
            context, action, [Reading(context.config, source, kind, latest, context.sources) for source in sources]
        )
        self._sides = BothSides(context, self._rows)
        self._within = {"_id": {"$gte": f"{action}:", "$lt": f"{action};"}}

    def check_range(self, collection: str, bounds: Bounds, first: bool, last: bool) -> Checked:
        """The documents within these bounds of `_id`; of ObjectIds also all that the ledger has in that range."""
        expected, documents = self._rows.expected(bounds.condition(), collection)
        if names_a_range(bounds):
            low = f"{self.action}:" if first else f"{self.action}:{bounds.low}"
            high = f"{self.action};" if last else f"{self.action}:{bounds.high}{ABOVE if bounds.closed else ''}"
            rows = self._rows.events({"_id": {"$gte": low, "$lt": high}})
        else:
            rows = self._rows.of_names(list(expected))
        found = Checked()
        for groups in several(rows):
            theirs = {name: action for name in groups if (action := expected.pop(name, None))}
            found.add(self._sides.compared(theirs, groups))
        found.add(self._sides.compared(expected, {}))
        found.documents = documents
        return found

    def check_named(self, bases: Iterable[str], sources: Sequence[Any] = ()) -> Checked:
        """All that the ledger has under these names, and what it and these source documents are about."""
        total = Checked()
        for some in in_parts(list(dict.fromkeys(bases)), AT_ONCE):
            total.add(self._check(set(some), list(self._rows.of_names(some)), sources))
        return total

    def check_events(self, condition: Document) -> Checked:
        """The other way round: every event of the action that meets a condition, and the sources behind it."""
        total, bases, rows = Checked(), set[str](), list[Document]()
        for row in self._rows.events({"$and": [self._within, condition]}):
            bases.add(base_of(row) or str(row["_id"]))
            rows.append(row)
            if len(bases) == AT_ONCE:
                total.add(self._check(bases, list(self._rows.completed(rows))))
                bases, rows = set(), []
        total.add(self._check(bases, list(self._rows.completed(rows))))
        total.points.clear()  # they are those of whole ranges alone
        return total

    def _check(self, bases: set[str], rows: list[Document], sources: Sequence[Any] = ()) -> Checked:
        about = [*sources, *(owner for row in rows for owner in self._rows.nearest(row.get("sourceId")))]
        ids = {exact_text(each): each for each in about if is_document_id(each)}
        expected: dict[str, Action] = {}
        for some in in_parts(list(ids.values())):
            expected |= self._rows.expected({"_id": {"$in": some}})[0]
        kept = {name: action for name, action in expected.items() if name in bases}
        return self._sides.compared(kept, grouped(rows))

    def count(self) -> int:
        """How many events the ledger has of the action, by their names."""
        return self._context.target[EVENTS].count_documents(self._within)


def checked(ledger: Ledger, collection: str, bounds: Bounds, first: bool, last: bool) -> Checked:
    """What a range comes to; where its documents cannot be read, that."""
    try:
        return ledger.check_range(collection, bounds, first, last)
    except BSONError as error:
        return Checked(skipped=f"{collection} from {bounds.low} to {bounds.high}: {error}"[:500])


def names_a_range(bounds: Bounds | Span) -> bool:
    """Whether the events of documents within such bounds are within bounds of their names, too."""
    return isinstance(bounds.low, ObjectId) and isinstance(bounds.high, ObjectId)


def ledgers(context: Context, kind: str | None) -> list[Ledger]:
    """The ledger of every action of the configuration."""
    found = dict.fromkeys(source.action for source in context.config.sources)
    return [Ledger(context, name, [s for s in context.config.sources if s.action == name], kind) for name in found]
