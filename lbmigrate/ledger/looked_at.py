"""Events that are about to go into the ledger: the entries that they belong to are read before that, and kept.

That is what a fold needs (`fold`): what an entry said before the events, and which of the events were new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from pymongo.database import Database

from lbmigrate.ledger.entries import FIELDS, held
from lbmigrate.ledger.people import People
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.rules.periods import label
from lbmigrate.run.additions import Added, Entries, Key
from lbmigrate.run.context import Context
from lbmigrate.schema.layout import Layout
from lbmigrate.state import layouts
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import ONE_REPLY, in_parts, plain_id, same_id

ROOM = 2**62  # events; who records live has few in hand


class LookedAt:
    """What was seen before some inserts, one after the other, and which events were `new`, by their users.

    Of `unclear` users something else was seen, so that their entries are for the ledger to say. An entry is read once:
    as it was before the first of all these events. `has_room` says whether so many events more may be held.
    """

    def __init__(self, context: Context, has_room: Callable[[int], bool] = ROOM.__ge__) -> None:
        self._context, self._has_room = context, has_room
        self._names: set[str] = set()
        self.people = People(context)
        self.entries: Entries = {}
        self.new: dict[Any, list[Document]] = {}
        self.unclear: dict[Any, None] = {}

    def look(self, events: Sequence[Document]) -> None:
        """Read the entries that these events will change. To be called before they are inserted."""
        if not events or not self._has_room(len(events)):
            return
        if fresh := self.unread(events):
            self.note(*entries_of(self._context.target, layouts.layout(self._context.state), fresh))
        self._names |= {event["_id"] for event in events}

    def unread(self, events: Sequence[Document]) -> list[Key]:
        """The users and periods of those entries that these events will change and that were not read yet."""
        return [key for key in self._keys(events) if key not in self.entries]

    def note(self, found: Entries, odd: dict[Any, None]) -> None:
        """Take in entries as they are now, before any of their events was inserted (`entries_of`)."""
        self.entries |= found
        self.unclear |= odd

    def take(self, events: Sequence[Document], new: Sequence[Document]) -> None:
        """Note which of the events were inserted just now; of the others nothing is known but their users."""
        mine = {id(event) for event in new if event["_id"] in self._names}
        for event in events:
            if id(event) in mine:
                self.new.setdefault(event["userId"], []).append(event)
            else:
                self.unclear[event["userId"]] = None

    def take_new(self, event: Document) -> None:
        """Note an event that was inserted just now, whose entries were read before."""
        self.new.setdefault(event["userId"], []).append(event)

    def events(self) -> list[Document]:
        """The events that were new."""
        return [event for events in self.new.values() for event in events]

    def added(self) -> Added:
        """The same for the run to keep."""
        return Added(self.events(), self.entries, set(self.unclear))

    def _keys(self, events: Sequence[Document]) -> dict[Key, None]:
        """The users and periods of these events, each once, by the clocks of their users."""
        kinds, users = self._context.config.periods, [event["userId"] for event in events]
        days = days_of(self.people, events)
        return {(user, label(kind, day)): None for user, day in zip(users, days, strict=True) for kind in kinds}


def days_of(people: People, events: Sequence[Document]) -> list[int]:
    """On which day of its user each of these events is, counted from 1970-01-01."""
    users = [event["userId"] for event in events]
    times = np.array([event["createdAt"] for event in events], dtype="datetime64[ms]")
    days: list[int] = people.clocks(users).days(users, times).tolist()
    return days


Places = dict[str, dict[str, Key]]  # of entries: by their collections and by their usual `_id`


def entries_of(database: Database[Any], layout: Layout, keys: Iterable[Key]) -> tuple[Entries, dict[Any, None]]:
    """The entries of these users and periods, told by the usual `_id`, as nearly all have; nothing is removed.

    And those users of whom an entry of that `_id` is another one's.
    """
    places = places_of_keys(layout, keys)
    parts = ((lenient(database)[home], part) for home, named in places.items() for part in in_parts(list(named)))
    found = (home.find({"_id": {"$in": part}}, FIELDS, batch_size=ONE_REPLY) for home, part in parts)
    return entries_among(places, (row for rows in found for row in rows))


def places_of_keys(layout: Layout, keys: Iterable[Key]) -> Places:
    """Where the entries of these users and periods are."""
    places: Places = {}
    for user, period in keys:
        places.setdefault(layout.home(period), {})[f"{period}:{id_text(user)}"] = user, period
    return places


def entries_among(places: Places, rows: Iterable[Document]) -> tuple[Entries, dict[Any, None]]:
    """What `entries_of` says, from the documents of that `_id` in all the places."""
    named = {name: key for some in places.values() for name, key in some.items()}
    found: Entries = dict.fromkeys(named.values())
    odd: dict[Any, None] = {}
    for entry in rows:
        user, period = key = named[entry["_id"]]
        if same_id(plain_id(entry.get("userId")), user) and entry.get("period") == period:
            found[key] = held(entry)
        else:
            odd[user] = None
    return found, odd
