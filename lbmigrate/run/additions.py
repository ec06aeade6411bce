"""What one run has put into the ledger since it began, and what the entries were like before that.

By this a roll-up need not read the whole ledger of a user again (`ledger.fold_by_index`). It lives as long as the run:
one that takes over from this one knows nothing of it, and reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from lbmigrate.records import Document

KEPT = ("_id", "userId", "points", "createdAt")  # of an event
MOST = 10_000  # events of a run; where more are new, the ledger is read as fast
UNREAD: Document = {}  # in the place of an entry at which nobody has looked
Key = tuple[Any, str]  # a user and a period
Entries = dict[Key, Document | None]  # None where there was none


@dataclass(frozen=True, slots=True)
class Added:
    """Events that were not in the ledger and are now, and the entries they belong to, as these were read before that.

    Of `unclear` users something else was seen besides: an event that was there already, or another's entry.
    """

    events: list[Document] = field(default_factory=list)
    entries: Entries = field(default_factory=dict)
    unclear: set[Any] = field(default_factory=set)

    def __add__(self, other: Added) -> Added:
        if not other.events and not other.entries:
            return self
        changed = differing(self.entries, other.entries)
        return Added(self.events + other.events, self.entries | other.entries, self.unclear | other.unclear | changed)


def differing(one: Entries, other: Entries) -> set[Any]:
    """The users of whom an entry is not the same in both."""
    pairs = ((key, one.get(key, entry), entry) for key, entry in other.items()) if one else ()
    return {key[0] for key, before, entry in pairs if before is not entry and before != entry}


class Additions:
    """All of that. Several threads may ask for room; only the main one notes and asks what is known."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._taken, self._lock = most, 0, Lock()
        self._entries: Entries = {}
        self._unclear: set[Any] = set()
        self._events: dict[Any, list[Document]] = {}
        self._chunks: Counter[Any] = Counter()

    def has_room(self, number: int) -> bool:
        """Whether so many events more may be held; if so, they are counted."""
        with self._lock:
            fits = self._taken + number <= self._most
            self._taken += number if fits else 0
        return fits

    def note(self, added: Added) -> None:
        """Take in what a chunk has added.

        Of a user who is unclear in it nothing is known, nor where an entry was not the same twice: somebody else has
        written it meanwhile.
        """
        if not added.events:
            return
        theirs: dict[Any, list[Document]] = {}
        for event in added.events:
            if event["userId"] not in added.unclear:
                theirs.setdefault(event["userId"], []).append({name: event[name] for name in KEPT})
        for user, events in theirs.items():
            self._chunks[user] += 1
            self._events.setdefault(user, []).extend(events)
        self._unclear |= differing(self._entries, added.entries)
        self._entries |= added.entries

    def known(self, chunks: Mapping[Any, int]) -> list[Any]:
        """Those of these users of whom all is known that they are touched by; with the number of chunks that did."""
        return [user for user, number in chunks.items() if self._chunks[user] == number and user not in self._unclear]

    def names(self) -> set[str]:
        """The `_id` of each event."""
        return {event["_id"] for events in self._events.values() for event in events}

    def events(self, users: Iterable[Any]) -> Iterator[Document]:
        """The events of these users."""
        return (event for user in users for event in self._events.get(user, ()))

    def entries(self, keys: Iterable[Key]) -> Entries:
        """Those of these entries that were looked at."""
        found = ((key, self._entries.get(key, UNREAD)) for key in keys)
        return {key: entry for key, entry in found if entry is not UNREAD}
