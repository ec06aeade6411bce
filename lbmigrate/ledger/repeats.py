"""Actions that have the id of another one: elements of an array with one id, documents of a view with one `_id`.

The ledger has one event for an id, so all but the first of them would pass for duplicates, and be lost without notice.
An element that says the very same as the first one is a duplicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from lbmigrate.config.model import Source
from lbmigrate.ledger.identify import is_of
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document, Reject
from lbmigrate.run.context import Context
from lbmigrate.schema import present_collections
from lbmigrate.values.id_text import owner_texts
from lbmigrate.values.ids import same_id


class Repeats:
    """Tells them apart, batch after batch of what is read in the order of documents."""

    def __init__(self, context: Context, source: Source) -> None:
        self._context, self._source = context, source
        self._unique: bool | None = None if source.unwind is None else False
        self._last: list[Document] = []  # the events of the document with which the batch before ended

    def sorted_out(self, documents: Sequence[Document], events: list[Document]) -> tuple[list[Document], list[Reject]]:
        """The events of these documents that are the first of their ids; the others as rejects."""
        before, self._last = self._last, self._of_the_last(documents, events)
        known = {event["_id"]: [event] for event in before}
        if len({event["_id"] for event in events} | known.keys()) == len(events) + len(known):
            return events, []
        return self._apart(known, events)

    def ended_with(self, action: str) -> list[str]:
        """The source ids, as they are written, of the document with which the batch before ended."""
        return [event["_id"].removeprefix(f"{action}:") for event in self._last]

    def go_on(self, last: Document) -> None:
        """Take note of the event of the last document of a batch whose events are known to differ."""
        self._last = [] if self._unique else [last]

    def _apart(self, known: dict[str, list[Document]], events: list[Document]) -> tuple[list[Document], list[Reject]]:
        kept, repeated = [], []
        for event in events:
            namesakes = known.setdefault(event["_id"], [])
            first = next((namesake for namesake in namesakes if is_of(namesake, event)), None)
            if first is None:
                namesakes.append(event)
            if first is None or (self._source.unwind and first == event):
                kept.append(event)
            else:
                repeated.append(event)
        if not repeated or self._is_unique():  # a document that changed while it was read may come twice
            return events, []
        return kept, [Reject(event["sourceId"], self._reason()) for event in repeated]

    def _of_the_last(self, documents: Sequence[Document], events: Sequence[Document]) -> list[Document]:
        if not documents or self._unique:
            return []
        last = documents[-1].get("_id")
        if self._source.unwind:
            head = f"{owner_texts([last])[0]}/"
            own = takewhile(lambda event: event["sourceId"].startswith(head), reversed(events))
            earlier = [event for event in self._last if event["sourceId"].startswith(head)]
        else:
            own = takewhile(lambda event: same_id(event["sourceId"], last), reversed(events))
            earlier = [event for event in self._last if same_id(event["sourceId"], last)]
        return [*earlier, *own]

    def _is_unique(self) -> bool:
        """Whether the server sees to it that no two documents have one `_id`: it does in a collection."""
        if self._unique is None:
            options = present_collections(self._context.sources).get(self._source.collection, {})
            self._unique = is_fake(self._context.sources) or "viewOn" not in options
        return self._unique

    def _reason(self) -> str:
        if self._source.unwind:
            return f"an earlier element of {self._source.unwind} has the same id, so this one does not count"
        return "another document has the same _id, so this one does not count"
