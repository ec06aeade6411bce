"""Leaving: a user's entries go, the user's events stay in the ledger under a tombstone, and the user stays away.

Who it was is kept nowhere, but for a salted hash by which later documents of the same user are known and left out. This
is the one room that changes events.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from bson import ObjectId

from lbmigrate.board.profiles import known_users
from lbmigrate.errors import UsageError
from lbmigrate.mongo.client import durable, retrying
from lbmigrate.records import Checkpoint, Document, Forgotten, Piece, Work, amount
from lbmigrate.rules.adjustments import FORGOTTEN
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.state import State
from lbmigrate.values.id_text import id_text
from lbmigrate.values.ids import folded_id, id_forms, id_type, in_parts

WORK = Work("forget")
SALT = "forgotten:salt"
AT_ONCE = 5_000  # events


class Leavers:
    """Those who were forgotten until now, whichever form of their ids a document has.

    `fence` is that of the newest run, None while it runs.
    """

    def __init__(self, state: State) -> None:
        self.fence, found = state.forgotten()
        rows = {row["_id"]: row for row in found}
        self._salt: bytes | None = rows.pop(SALT, {}).get("salt")
        self._tombstones = {name: row["tombstone"] for name, row in rows.items()}
        self._names: dict[Any, str] = {}

    def __len__(self) -> int:
        return len(self._tombstones)

    def __contains__(self, user: Any) -> bool:
        return bool(self._tombstones) and self._name(user) in self._tombstones

    def tombstone(self, user: Any) -> Any:
        """Who stands in the ledger in place of a user who was forgotten: an id of the type that the user's id has."""
        return _of_type(self._tombstones[self._name(user)], id_type(user))

    def _name(self, user: Any) -> str:
        if user not in self._names:
            self._names[user] = row_of(user, self._salt or b"")
        return self._names[user]


def row_of(user: Any, salt: bytes) -> str:
    """Name the state's row that keeps a user away; it cannot be read backwards."""
    return f"forgotten:{hashlib.sha256(salt + folded_id(user).encode()).hexdigest()}"


def check(context: Context, user: str) -> None:
    """Raise UsageError when nobody has, or had, this id."""
    theirs = {"userId": {"$in": id_forms(user)}}
    if user in Leavers(context.state) or known_users(context.sources, context.config, [user]):
        return
    if all(context.target[name].find_one(theirs, {"_id": 1}) is None for name in (EVENTS, ENTRIES)):
        raise UsageError(f"nobody has the id {user!r}", hint="lbmigrate top --json shows ids")


def pieces(context: Context, user: str) -> Iterator[Piece]:
    """Forget a user: what keeps the user away goes first, so that killed at any instant it can be called again.

    Whoever records live and did not know of it yet may add an event meanwhile: it ends when nothing is left.
    """
    yield from _remember(context, user)
    leavers = Leavers(context.state)
    database = durable(context.target)
    theirs = {"userId": {"$in": id_forms(user)}}
    entries = events = 0
    while not context.stopping():
        removed = retrying(partial(database[ENTRIES].delete_many, theirs)).deleted_count
        found = list(database[EVENTS].find(theirs, {"userId": 1}).limit(AT_ONCE))
        if not removed and not found:
            note = f"removed {amount(entries, 'document')} from {ENTRIES}, a tombstone is on {amount(events, 'event')}"
            yield Piece(EVENTS, events, events, unit="events", note=note)
            return
        bury(context, leavers, found)
        entries, events = entries + removed, events + len(found)
        yield Piece(EVENTS, events, unit="events", counts=Forgotten(removed, len(found)))


def bury(context: Context, leavers: Leavers, events: Sequence[Document]) -> None:
    """Put the tombstone on those of `events` whose user has left."""
    late: dict[Any, list[str]] = {}
    for event in events:
        if event["userId"] in leavers:
            late.setdefault(event["userId"], []).append(event["_id"])
    ledger = durable(context.target)[EVENTS]
    for user, ids in late.items():
        change = _buried(leavers.tombstone(user))  # a repeat finds no event of that user any more
        for part in in_parts(ids):
            retrying(partial(ledger.update_many, {"_id": {"$in": part}, "userId": user}, change))


def _buried(tombstone: Any) -> Document:
    return {"$set": {"userId": tombstone, f"meta.{FORGOTTEN}": True}}


def _remember(context: Context, user: str) -> Iterator[Piece]:
    salt = context.state.get(SALT).get("salt")
    if salt is None:
        salt = secrets.token_bytes(16)
        yield Piece(EVENTS, unit="events", checkpoint=Checkpoint(SALT, {"salt": salt}))
    if user not in Leavers(context.state):
        fields = {"tombstone": _tombstone(context, user), "at": context.clock()}
        yield Piece(EVENTS, unit="events", checkpoint=Checkpoint(row_of(user, salt), fields))


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


def _of_type(tombstone: Any, kind: str | None) -> Any:
    """The tombstone, or what always stands for it in a ledger whose ids are of another type.

    It was made when the ledger was empty, or before a rollback after which ids are read as another type.
    """
    if kind is None or id_type(tombstone) == kind:
        return tombstone
    return MAKERS[kind](hashlib.sha256(id_text(tombstone).encode()).digest()[:16])


MAKERS: dict[str, Callable[[bytes], Any]] = {
    "objectId": lambda chance: ObjectId(chance[:12]),
    "string": lambda chance: f"forgotten-{chance.hex()}",
    "int": lambda chance: -1 - int.from_bytes(chance) % (2**31 - 1),
    "uuid": lambda chance: uuid.UUID(bytes=chance),
}
