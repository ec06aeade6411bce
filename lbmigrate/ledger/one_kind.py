"""The server refuses events whose users are of another type than those of the ledger: its validator says of which.

It is told so when the ledger has enough events to say it, and told that any type will do when there are none any more
and the sources have another. Nobody but an administrator, or a user with the action collMod, may tell it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pymongo.errors import OperationFailure

from lbmigrate.errors import Refused
from lbmigrate.ledger.odd import kinds_in
from lbmigrate.ledger.user_ids import TELLING
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.records import Piece
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS, event_validator, kind_in, present_collections, update_of_validator


def widened(context: Context, kinds: Sequence[str]) -> Iterator[Piece]:
    """Let the server take any type again, where there are no events and the users of the sources are of another.

    Raises Refused where this database user may not say so: no event would be taken.
    """
    kept = _kind(context)
    if not kept or not kinds or kept in kinds or context.target[EVENTS].find_one({}, {"_id": 1}):
        return
    if not _told(context, None):
        told = f"{EVENTS} takes events of users whose ids are {kept} alone, and those of the sources are {kinds[0]}"
        raise Refused(told, f"an administrator types: {update_of_validator(EVENTS)}")
    yield Piece("events", note=f"{EVENTS} takes events of users whose ids are {kinds[0]}")


def narrow(context: Context) -> str:
    """Let the server take events of users of the ledger's type alone, where that is settled and may be told.

    What it takes from now on, as a sentence; empty where that is as before.
    """
    if _kind(context) is not None:
        return ""
    kinds = kinds_in(context.target)
    if len(kinds) == 1 and kinds.total() >= TELLING and _told(context, kind := next(iter(kinds))):
        return f"{EVENTS} takes events of users whose ids are {kind} alone"
    return ""


def _kind(context: Context) -> str | None:
    """The type that the server is told; empty where its validator is not for us to change."""
    if is_fake(context.target):
        return ""
    found: dict[str, Any] = present_collections(context.target).get(EVENTS, {})
    try:
        return kind_in(found.get("validator"))
    except LookupError:
        return ""


def _told(context: Context, kind: str | None) -> bool:
    """Tell the server; whether this database user may."""
    target = context.target
    concern = target.write_concern.document
    try:
        retrying(
            lambda: target.command("collMod", EVENTS, validator=event_validator(kind), writeConcern=concern or {"w": 1})
        )
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return False
    return True
