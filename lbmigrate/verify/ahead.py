"""The entries of everybody in the order of users, read ahead from every collection that has some.

So a collection is asked once for so many entries, and not once for every few users: where each week has its own, most
users have an entry in few of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.schema.layout import Layout, homes, is_home
from lbmigrate.state import layouts
from lbmigrate.values.limits import names_a_user
from lbmigrate.verify.entries import FIELDS
from lbmigrate.verify.in_order import behind, place

HELD, LEAST = 10_000, 20  # entries that are held, of all collections and of each


@dataclass(slots=True)
class _Shelf:
    """What has been read of one collection and not been taken yet, in the order of users."""

    name: str
    after: Any
    rows: list[Document] = field(default_factory=list)
    ended: bool = False


class Ahead:
    """Gives out entries by users; `after` is the last user of whom they are not wanted any more."""

    def __init__(self, context: Context, after: Any = None) -> None:
        self._context = context
        self._layout: Layout = layouts.layout(context.state)
        names = homes(context.target, self._layout)
        self._shelves = [_Shelf(name, after) for name in names]
        self._each = max(LEAST, HELD // len(names))

    def of(self, users: Sequence[Any]) -> Iterator[Document]:
        """All entries up to the last of these users, who stand in order and behind those who were asked for before.

        Among them may be some of users who came in meanwhile.
        """
        last = place(users[-1])
        for shelf in self._shelves:
            rows = self._up_to(shelf, last)
            yield from rows if self._layout.is_single else (r for r in rows if is_home(self._layout, shelf.name, r))

    def _up_to(self, shelf: _Shelf, last: tuple[int, Any]) -> Iterator[Document]:
        while True:
            taken = bisect_right(shelf.rows, last, key=lambda row: place(row["userId"]))
            yield from shelf.rows[:taken]
            shelf.rows = shelf.rows[taken:]
            if shelf.rows or shelf.ended:
                return
            self._fill(shelf)

    def _fill(self, shelf: _Shelf) -> None:
        """Read on behind the last user; one of whom there may be more is left to the next time."""
        entries = lenient(self._context.target)[shelf.name]
        asked: Document = {"rev": {"$exists": True}, **behind(shelf.after)}
        rows = list(entries.find(asked, FIELDS).sort("userId", 1).limit(self._each))
        shelf.ended = len(rows) < self._each
        if not shelf.ended:
            cut = rows[-1]["userId"]
            before = [row for row in rows if row["userId"] != cut]
            rows = before or list(entries.find({"rev": {"$exists": True}, "userId": cut}, FIELDS))
        if rows:
            shelf.after = rows[-1]["userId"]
        shelf.rows = [row for row in rows if names_a_user(row["userId"])]
