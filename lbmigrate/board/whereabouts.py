"""Where a board finds the entries of a period: by what a migration has on record, looked at once a second.

The look travels with the first thing that a question reads, by what was known before; if that has changed, it is read
once more. A run that moves entries leaves them where they were for some seconds, so what is read is always all of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from pymongo.errors import OperationFailure

from lbmigrate.board.numbering import Ask
from lbmigrate.board.order import BY_USER, Order
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.records import Document
from lbmigrate.schema.layout import ALL, LOOK_AGAIN, PARTITIONED, ROW, Layout, is_partition, period_of

LOOK = Ask("state", [{"$match": {"_id": ROW}}], spared=True)


class Whereabouts:
    """The layout and order of the entries; until they are known, or may not be read, those of the configuration."""

    def __init__(self, configured: str, by: str) -> None:
        self.layout = Layout(ALL if configured == PARTITIONED else "", order=by)
        self._goes_by_users = by == BY_USER.by
        self._next = float("-inf")
        self.forbidden = False  # to read what an answer can do without

    @property
    def order(self) -> Order:
        """The order in which those stand who share a score: one that is prepared, or that of users, which always is."""
        return BY_USER if self._goes_by_users else Order(self.layout.order)

    @property
    def must_look(self) -> bool:
        """Whether a question has to wait for what is on record: a run may not have prepared the order yet."""
        return not self._goes_by_users and self._next < 0 and not self.forbidden

    def with_look(self, asks: Sequence[Ask]) -> Sequence[Ask]:
        """What is to be read, with a look at the layout behind it if that is due."""
        due = not self.forbidden and time.monotonic() >= self._next
        return [*asks, LOOK] if due and any(ask.where in ("entries", "partitions") for ask in asks) else asks

    def note(self, rows: Sequence[Document]) -> bool:
        """What a look has found; whether that is another layout than was gone by."""
        before, self.layout = self.layout, Layout.of(rows[0] if rows else {})
        self._next = time.monotonic() + LOOK_AGAIN
        return self.layout != before

    def give_up(self, asked: Sequence[Ask], error: OperationFailure) -> None:
        """Do without what is `spared` from now on, since the client may not read it. Raises any other error."""
        if error.code != UNAUTHORIZED or not any(ask.spared for ask in asked):
            raise error
        self.forbidden = True

    def own(self, names: Iterable[str]) -> list[Document]:
        """The periods that have a collection of their own, of the names of all collections."""
        periods = map(period_of, filter(is_partition, names))
        return [{"period": period} for period in periods if self.layout.has_own(period)]
