"""Events as they are about to go into the ledger: the entries that they belong to are looked at before that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pymongo.database import Database

from lbmigrate.ledger.entries import FIELDS, Present, held, period_in
from lbmigrate.ledger.people import People
from lbmigrate.mongo.concerns import lenient
from lbmigrate.records import Document
from lbmigrate.rules.periods import label
from lbmigrate.run.additions import Added, Additions, Entries, Key, differing
from lbmigrate.run.context import Context
from lbmigrate.schema.layout import Layout
from lbmigrate.state import layouts
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import in_parts, plain_id
from lbmigrate.values.limits import names_a_user

KEPT = ("_id", "userId", "points", "createdAt")  # of an event


class Watch:
    """Looks at the entries of events that are about to be inserted, while there is room for what it sees."""

    def __init__(self, context: Context, additions: Additions) -> None:
        self._context, self._additions = context, additions
        self._people = People(context)
        self._names: set[str] = set()
        self._entries: Entries = {}
        self._unclear: set[Any] = set()

    def __call__(self, events: Sequence[Document]) -> None:
        if not events or not self._additions.has_room(len(events)):
            return
        keys = keys_of(self._context, self._people, events)
        layout = layouts.layout(self._context.state)
        found = named(self._context.target, layout, keys)
        entries: Entries = {key: found.get(key) for key in keys}
        self._unclear |= differing(self._entries, entries)
        self._entries |= entries
        self._names |= {event["_id"] for event in events}

    def added(self, new: Sequence[Document]) -> Added:
        """What is known of those events that were not there before."""
        seen = [event for event in new if event["_id"] in self._names]
        return Added([{name: event[name] for name in KEPT} for event in seen], self._entries, self._unclear)


def keys_of(context: Context, people: People, events: Sequence[Document]) -> dict[Key, None]:
    """The users and periods of these events, each once, by the clocks of their users."""
    users = [event["userId"] for event in events]
    times = np.array([event["createdAt"] for event in events], dtype="datetime64[ms]")
    days = people.clocks(users).days(users, times).tolist()
    kinds = context.config.periods
    return {(user, label(kind, day)): None for user, day in zip(users, days, strict=True) for kind in kinds}


def named(database: Database[Any], layout: Layout, keys: Iterable[tuple[Any, str]]) -> Present:
    """The entries of these users and periods that have the usual `_id`, as nearly all have; nothing is removed."""
    places: dict[str, list[str]] = {}
    for user, period in keys:
        places.setdefault(layout.home(period), []).append(f"{period}:{id_text(user)}")
    found: Present = {}
    for name, names in places.items():
        for part in in_parts(names):
            for entry in lenient(database)[name].find({"_id": {"$in": part}}, FIELDS):
                if names_a_user(entry["userId"]):
                    found[plain_id(entry["userId"]), period_in(entry)] = held(entry)
    return found
