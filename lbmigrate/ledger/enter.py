"""Events enter the ledger: each action once, and each under an `_id` of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger.events import EventRefused, Inserted, insert_new
from lbmigrate.ledger.identify import identify, is_of
from lbmigrate.ledger.sources import CODECS
from lbmigrate.records import Document, Reject
from lbmigrate.rules.event import former_ids
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.telling.secrets import hidden

REASON_LENGTH = 300
CONFLICTS = 20  # an `_id` that is taken and not there this often in a row is no race any more


@dataclass(slots=True)
class Entered:
    """What became of some events: new in the ledger, known there (by `_id`, with their origin), or rejected.

    What is in none of the three was given more than once. `refused` of the rejects are what the server did not take.
    `rows` has of those that are known how the ledger has them.
    """

    new: list[Any] = field(default_factory=list)
    known: dict[str, Any] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    refused: int = 0
    rows: dict[str, Document] = field(default_factory=dict)

    def note(self, inserted: Inserted, given: Sequence[Any]) -> None:
        """Take in what became of events that were given to the server."""
        lost = set(map(id, inserted.taken)) if inserted.taken else set()
        out = [event for event in given if event["_id"] in inserted.refused] if inserted.refused else []
        self.rejects += [Reject(e["sourceId"], hidden(inserted.refused[e["_id"]])[:REASON_LENGTH]) for e in out]
        self.refused += len(out)
        left = lost | set(map(id, out))
        self.new += [event for event in given if id(event) not in left] if left else given


def _nothing(events: Sequence[Document]) -> None:
    """Nobody wants to know."""


def enter(
    context: Context,
    source: Source,
    events: Sequence[Document],
    former: dict[str, str],
    look: bool = False,
    before: Callable[[Sequence[Document]], None] = _nothing,
) -> Entered:
    """Insert those of `events` that the ledger does not have. Idempotent. Gives each the `_id` that it has there.

    With `look` it is asked first which are there: that is cheaper where many are. `former` has for an `_id` how an
    earlier version wrote it. `before` is told of events that are about to be inserted.
    """
    found = Entered()
    pending, later = _once_each(events)
    asked = pending if look else [event for event in pending if event["_id"] in former]
    for _ in range(CONFLICTS):
        if asked:
            others = [event for event in pending if event["_id"] not in former] if len(asked) < len(pending) else []
            pending = [*others, *_unknown(context, source, asked, former, found)]
        before(pending)
        inserted = _inserted(context, pending)
        found.note(inserted, pending)
        pending = asked = [*inserted.taken, *later]
        later = []
        if not pending:
            return found
    raise LbmigrateError(f"{EVENTS} says that {pending[0]['_id']!r} is there, and does not show it", "try again")


def enter_one(
    context: Context, source: Source, event: Document, before: Callable[[Sequence[Document]], None] = _nothing
) -> bool:
    """Insert the event of a live action; whether it is new. Raises LbmigrateError where the ledger cannot have it."""
    entered = enter(context, source, [event], former_ids(source.action, [event["sourceId"]]), False, before)
    if entered.rejects:
        way = "lbmigrate doctor" if entered.refused else "lbmigrate reconcile"
        raise LbmigrateError(f"{event['_id']}: {entered.rejects[0].reason}", hint=way)
    return bool(entered.new)


def enter_finished(context: Context, source: Source, events: Sequence[RawBSONDocument]) -> Entered:
    """Insert events that are BSON already. Each has an `_id` of its own; what is there already is looked at as above.

    Those that went in at once are handed back as they came, all others decoded.
    """
    found = Entered()
    inserted = _inserted(context, events)
    found.note(inserted, events)
    if inserted.taken:
        lost = set(map(id, inserted.taken))
        taken = [bson.decode(event.raw, CODECS) for event in events if id(event) in lost]
        later = enter(context, source, taken, {}, look=True)
        return Entered(found.new + later.new, later.known, found.rejects + later.rejects, found.refused + later.refused)
    return found


def _inserted(context: Context, events: Sequence[Any]) -> Inserted:
    try:
        return Inserted(insert_new(context.target[EVENTS], events))
    except EventRefused as error:
        if error.inserted is None:
            raise
        return error.inserted


def _unknown(
    context: Context, source: Source, events: Sequence[Document], former: dict[str, str], found: Entered
) -> list[Document]:
    settled = identify(context, source, events, former)
    found.known |= settled.known
    found.rows |= settled.rows
    found.rejects += settled.rejects
    return settled.free


def _once_each(events: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """Each action once, and apart from them those about other sources whose `_id` is the same for now."""
    first: dict[str, Document] = {}
    for event in events:
        first.setdefault(event["_id"], event)
    if len(first) == len(events):
        return list(events), []
    held = [event for event in events if not is_of(first[event["_id"]], event)]
    return list(first.values()), [e for n, e in enumerate(held) if not any(is_of(other, e) for other in held[:n])]
