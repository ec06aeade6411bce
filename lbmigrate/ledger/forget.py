"""Leaving: a user's entries go, the user's events stay in the ledger under a tombstone, and the user stays away.

Who it was is kept nowhere, but for a hash by which later documents of the same user are known and left out. This is
the one room that changes events.
"""

from __future__ import annotations

import gc
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import WriteError

from lbmigrate.board.profiles import known_users
from lbmigrate.errors import UsageError
from lbmigrate.ledger import boards_anew, unknown_leavers
from lbmigrate.ledger import traces as found_in
from lbmigrate.ledger.bound import removing
from lbmigrate.ledger.events import IN_THE_DOCUMENT, insert_each
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.leavers import KEY, MAKERS, Leavers, key, key_check, row_of
from lbmigrate.ledger.traces import Traces
from lbmigrate.ledger.uncounting import remove
from lbmigrate.mongo.client import retrying
from lbmigrate.records import NAME_LENGTH, Checkpoint, Document, Forgotten, Piece, RowsRemoved, Work, amount
from lbmigrate.rules.adjustments import FORGOTTEN, counts
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.schema.layout import homes
from lbmigrate.state import layouts
from lbmigrate.state.shapes import SALT
from lbmigrate.values.id_text import encoded
from lbmigrate.values.ids import id_forms, id_type, in_parts, portions
from lbmigrate.values.limits import NO_TEXT, is_lost, short

WORK = Work("forget")
SHOWN = {"displayNameSnapshot": 1}


@dataclass(frozen=True, slots=True)
class Leaving:
    """What somebody who would leave has: the name that is shown, entries, events, and points on the overall board."""

    name: str | None
    entries: int
    events: int
    points: int

    def __str__(self) -> str:
        who = f"{self.name!r}" if self.name else "a user without a name"
        has = f"{amount(self.events, 'event')} and {amount(self.points, 'point')}"
        return f"{who}, who has {has}; {amount(self.entries, 'document')} of {ENTRIES} would go"


LARGE = 100_000  # bytes of an event
AT_ONCE, AT_ONCE_SIZE = 5_000, 8_000_000  # events, and their bytes
GUESSABLE = (
    f"who left is kept as a hash that can be guessed from the database alone, with patience; {KEY} prevents that"
)


def check(context: Context, user: str) -> None:
    """Raise UsageError when nobody has, or had, this id."""
    theirs = {"userId": {"$in": id_forms(user)}}
    if user in Leavers(context.state) or known_users(context.sources, context.config, [user]):
        return
    if all(context.target[name].find_one(theirs, {"_id": 1}) is None for name in (EVENTS, *_homes(context))):
        raise UsageError(f"nobody has the id {user!r}", hint="lbmigrate top --json shows ids")


def preview(context: Context, user: str) -> Leaving:
    """Who would leave, and what goes; the name is the one that the user's entries show. Writes nothing."""
    theirs = {"userId": {"$in": id_forms(user)}}
    found = [context.target[name] for name in _homes(context)]
    named = (each.find_one({**theirs, "displayNameSnapshot": {"$type": "string"}}, SHOWN) for each in found)
    name = next((short(str(row["displayNameSnapshot"]), NAME_LENGTH) for row in named if row), None)
    entries = sum(each.count_documents(theirs) for each in found)
    events = context.target[EVENTS].count_documents(theirs)
    overall: Document = found[0].find_one({**theirs, "period": "global"}, {"score": 1}) or {}
    return Leaving(name, entries, events, int(score) if isinstance(score := overall.get("score"), int) else 0)


def _homes(context: Context) -> list[str]:
    """Wherever entries may be, copies that a run has moved among them."""
    return homes(context.target, layouts.layout(context.state))


def pieces(context: Context, user: str) -> Iterator[Piece]:
    """Forget a user: what keeps the user away goes first, so that killed at any instant it can be called again.

    Whoever records live and did not know of it yet may add an event meanwhile: it ends when nothing is left.
    """
    yield from _remember(context, user)
    yield Piece(EVENTS, unit="events", checkpoint=removing(context))
    leavers, traces = Leavers(context.state), Traces(user)
    database = context.target
    theirs = {"userId": {"$in": traces.forms}}
    boards = boards_anew.boards_of(context)
    entries = events = 0
    while not context.stopping():
        removed, left = retrying(partial(_remove_entries, context, theirs))
        if boards:
            boards.leave(traces.forms)  # each time round: somebody may have published what was there before
        found = next(_parts(database[EVENTS].find(theirs).limit(AT_ONCE)), [])
        if not removed and not left and not found:
            yield from _clean(context, traces)
            note = f"removed {amount(entries, 'document')} from {ENTRIES}, a tombstone is on {amount(events, 'event')}"
            yield Piece(EVENTS, events, events, unit="events", note=note)
            return
        _entomb(context, traces, found, leavers)
        entries, events = entries + removed, events + len(found)
        yield Piece(EVENTS, events, unit="events", counts=Forgotten(removed, len(found)))


def _remove_entries(context: Context, theirs: Document) -> tuple[int, bool]:
    """How many entries went, and whether some are left that somebody wrote meanwhile."""
    removed = sum(remove(Histograms(context), name, theirs) for name in _homes(context))
    return removed, any(context.target[name].find_one(theirs, {"_id": 1}) for name in _homes(context))


def bury(context: Context, leavers: Leavers, events: Sequence[Document]) -> None:
    """Put the tombstone on those of `events` whose user has left."""
    late: dict[Any, list[str]] = {}
    for event in events:
        if event["userId"] in leavers:
            late.setdefault(event["userId"], []).append(event["_id"])
    for user, ids in late.items():  # a repeat finds no event of that user any more
        for part in in_parts(ids):
            for found in _parts(context.target[EVENTS].find({"_id": {"$in": part}, "userId": user})):
                _entomb(context, Traces(user), found, leavers)


def _parts(events: Iterable[Document]) -> Iterator[list[Document]]:
    """Events as they stand, as many at a time as memory has room for: what an app adds to one may be large."""
    return portions(events, lambda event: len(encoded(event)), AT_ONCE, AT_ONCE_SIZE)


def _entomb(context: Context, traces: Traces, events: Sequence[Document], leavers: Leavers) -> None:
    """Put the tombstone on events. One whose id changes is inserted again before it goes, so that none is lost.

    What counts for nobody, or what a validator does not take under a tombstone either, goes.
    """
    ledger = context.target[EVENTS]
    alike: dict[Any, list[str]] = {}
    for event in events:
        if not counts(event):
            retrying(partial(ledger.delete_many, _this(event)))
            continue
        buried = found_in.entombed(traces, context.config, event, leavers.tombstone(event["userId"]), FORGOTTEN)
        changed = {name: value for name, value in buried.items() if value != event.get(name)}
        meta = event.get("meta")
        marked = {**meta, FORGOTTEN: True} if isinstance(meta, Mapping) else None
        if changed.keys() & {"_id", "sourceId"} or buried["meta"] != marked:
            _replace(ledger, event, buried, changed)
        else:
            alike.setdefault(event["userId"], []).append(event["_id"])
    for user, ids in alike.items():
        change = {"$set": {"userId": leavers.tombstone(user), f"meta.{FORGOTTEN}": True}}
        for part in in_parts(ids):
            _change(ledger, {"_id": {"$in": part}, "userId": user}, change)
    if any(len(encoded(event)) > LARGE for event in events):
        gc.collect()  # what a server refuses it tells in full, in errors that hold one another


def _replace(ledger: Collection[Any], event: Document, buried: Document, changed: Document) -> None:
    if "_id" in changed:
        retrying(partial(insert_each, ledger, [buried]))
        retrying(partial(ledger.delete_one, _this(event)))
    else:
        _change(ledger, _this(event), {"$set": changed})


def _change(ledger: Collection[Any], these: Document, change: Document) -> None:
    """Change events, where the validator refuses some one by one; what it refuses alone goes."""
    try:
        retrying(partial(ledger.update_many, these, change))
    except WriteError as error:
        if error.code not in IN_THE_DOCUMENT:
            raise
        found = list(ledger.find(these, {"userId": 1}))
        if len(found) == 1:
            retrying(partial(ledger.delete_many, these))
            return
        for event in found:
            _change(ledger, _this(event), change)


def _this(event: Document) -> Document:
    """The condition for an event; with an `_id` that is not UTF-8, for all such events of the user."""
    name: Any = NO_TEXT if is_lost(event["_id"]) else event["_id"]
    user = event["userId"]
    return {"_id": name, "userId": {"$in": user} if isinstance(user, list) else user}


def _clean(context: Context, traces: Traces) -> Iterator[Piece]:
    """Every other copy of the id that is in a collection of ours."""
    for checkpoint in found_in.state_rows(traces, context.state):
        yield Piece(EVENTS, unit="events", checkpoint=checkpoint)
    rows = context.target[REJECTS]
    named = found_in.rejects(traces, iter(rows.find()))
    if named:
        retrying(partial(rows.delete_many, {"_id": {"$in": named}}))


def _remember(context: Context, user: str) -> Iterator[Piece]:
    secret = key()
    kept = context.state.get(SALT)
    salt = kept.get("salt") or secrets.token_bytes(16)
    wanted = {"salt": salt, **({"keyCheck": key_check(secret, salt)} if secret and "keyCheck" not in kept else {})}
    if not wanted.items() <= kept.items():
        yield Piece(EVENTS, unit="events", checkpoint=Checkpoint(SALT, wanted))
    leavers = Leavers(context.state)
    for old, row in leavers.old_rows().items():
        yield Piece(EVENTS, unit="events", checkpoint=Checkpoint(row, {"tombstone": leavers.at(old)}))
        yield Piece(EVENTS, unit="events", checkpoint=RowsRemoved(("forgotten",), {"_id": old}))
    if user not in Leavers(context.state):
        fields = {"tombstone": _tombstone(context, user), "at": context.clock()}
        fields |= {"again": True} if unknown_leavers.number(context) else {}
        yield Piece(EVENTS, unit="events", checkpoint=Checkpoint(row_of(user, salt), fields))
        if secret is None:
            yield Piece(EVENTS, unit="events", note=GUESSABLE)


def _tombstone(context: Context, user: str) -> Any:
    """An id that says nothing, is nobody's, and is of the same type as the others in the ledger, if there are some."""
    theirs: Document = {"userId": {"$in": id_forms(user)}}
    some = context.target[EVENTS].find_one(theirs) or context.target[EVENTS].find_one({"userId": {"$ne": None}}) or {}
    make = MAKERS[id_type(some.get("userId")) or "string"]
    while True:
        chosen = make(secrets.token_bytes(16))
        used = context.target[EVENTS].find_one({"userId": chosen}, {"_id": 1})
        if not used and not known_users(context.sources, context.config, [chosen]):
            return chosen
