"""Step 4: events from every source, chunk by chunk, then the entries of the users whom they touched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from typing import Any

from lbmigrate import emit, mongo, passes, rollup
from lbmigrate.chunks import Bounds
from lbmigrate.config import Source
from lbmigrate.context import Context
from lbmigrate.emit import Emitted, OneUserType
from lbmigrate.models import Checkpoint, Document, Forgotten, Piece, RolledUp
from lbmigrate.overlap import overlapped
from lbmigrate.rollup import Rolled
from lbmigrate.schema import ENTRIES, EVENTS, present_collections

NUMBER = 4
NAME = "backfill"
ROW = "step:4"
USERS_IN_MEMORY = 50_000  # beyond this many touched users the roll-up walks the whole ledger instead of a list
REMOVED_AT_ONCE = 5_000
MADE_HERE = {"meta.origin": {"$in": ["backfill", "live"]}}
DERIVED_HERE = {"rev": {"$exists": True}, "events": {"$exists": True}}


def apply(context: Context) -> Iterator[Piece]:
    one_type = OneUserType(context)
    for source in context.config.sources:
        yield from _emit_source(context, source, one_type)
        if context.stopping():
            return
    yield from _roll_up(context)
    if context.stopping():
        return
    for source in context.config.sources:
        closed = passes.close(context, source)
        if closed:
            yield Piece(source.name, checkpoint=closed)


# --- events ------------------------------------------------------------------------------------------------------


def _emit_source(context: Context, source: Source, one_type: OneUserType) -> Iterator[Piece]:
    current, opened = passes.open_pass(context, source)
    if opened:
        yield Piece(source.name, checkpoint=opened, note=_told(source, current))
    total, estimated = passes.size(context, source, current.spans)
    done = context.state.read_in_pass(source.name, current.number)
    todo = takewhile(lambda _: not context.stopping(), passes.todo(context, source, current))
    work = partial(_emit_chunk, context, source, one_type, current.number)
    for emitted in overlapped(work, todo, context.workers):
        done += emitted.counts.read
        yield Piece(
            source.name,
            done,
            max(total, done),
            estimated=estimated,
            counts=emitted.counts,
            checkpoint=emitted.checkpoint(context),
        )


def _told(source: Source, current: passes.Pass) -> str:
    if not current.why:
        return ""
    return f"{source.name}: {current.why}; walking every document by _id"


def _emit_chunk(
    context: Context, source: Source, one_type: OneUserType, number: int, chunk: tuple[str, Bounds, int]
) -> Emitted:
    row, bounds, tried = chunk
    seen_before = tried > 0 or number > 1  # later passes re-read what overlaps the watermark
    return emit.emit(context, source, row, bounds, seen_before, one_type)


# --- entries -----------------------------------------------------------------------------------------------------


def _roll_up(context: Context) -> Iterator[Piece]:
    """Roll up everyone whom emitted chunks touched; a chunk stays `emitted` until all of them are done."""
    until = context.state.last_closed()
    if until is None:
        return
    users = _touched(context)
    if users is None:
        yield from _roll_up_everyone(context, until)
    else:
        yield from _roll_up_listed(context, users)
    if not context.stopping():
        yield Piece("entries", unit="users", checkpoint=RolledUp(until))


def _roll_up_listed(context: Context, users: list[Any]) -> Iterator[Piece]:
    todo = takewhile(lambda _: not context.stopping(), rollup.selections(users))
    done = 0
    for rolled in overlapped(partial(rollup.roll_up, context), todo, context.workers):
        done += rolled.users
        yield Piece("entries", done, len(users), unit="users")


def _roll_up_everyone(context: Context, until: dt.datetime) -> Iterator[Piece]:
    """Walk the ledger in order of its users, remembering up to which user everything is done."""
    kept = context.state.step(NUMBER).get("rolling") or {}
    after = kept.get("after") if kept.get("until") == until else None
    begun: list[Document] = []
    walk = takewhile(lambda _: not context.stopping(), rollup.everyone(mongo.durable(context.target), after))
    done = 0
    for users, rolled in overlapped(partial(_roll_up_some, context), _noted(walk, begun), context.workers):
        begun.remove(users)
        done += rolled.users
        frontier = begun[0].get("$gt", after) if begun else users["$lte"]
        rolling = Checkpoint(ROW, {"rolling": {"until": until, "after": frontier}})
        yield Piece("entries", done, unit="users", checkpoint=rolling)


def _noted(selections: Iterator[Document], begun: list[Document]) -> Iterator[Document]:
    for selection in selections:
        begun.append(selection)
        yield selection


def _roll_up_some(context: Context, users: Document) -> tuple[Document, Rolled]:
    return users, rollup.roll_up(context, users)


def _touched(context: Context) -> list[Any] | None:
    """Every user of an emitted chunk, or None when they are too many to hold."""
    users: dict[Any, None] = {}
    for some in context.state.touched_users():
        users.update(dict.fromkeys(some))
        if len(users) > USERS_IN_MEMORY:
            return None
    return list(users)


# --- the walk back -----------------------------------------------------------------------------------------------


def revert(context: Context) -> Iterator[Piece]:
    if context.keep_data:
        yield Piece("events", note=f"kept {EVENTS} and {ENTRIES}")
        return
    # The bookkeeping goes first: a half-removed ledger whose chunks still count as done would never be filled again.
    yield Piece("events", checkpoint=Forgotten(("chunk", "watermark")))
    yield from _remove(context, ENTRIES, DERIVED_HERE)
    yield from _remove(context, EVENTS, MADE_HERE)


def _remove(context: Context, name: str, ours: dict[str, Any]) -> Iterator[Piece]:
    if name not in present_collections(context.target):
        return
    collection = mongo.durable(context.target)[name]
    removed = 0
    while not context.stopping():
        ids = [row["_id"] for row in collection.find(ours, {"_id": 1}).limit(REMOVED_AT_ONCE)]
        if not ids:
            break
        removed += collection.delete_many({"_id": {"$in": ids}, **ours}).deleted_count
        yield Piece(name, removed, None)
    yield Piece(name, removed, removed, note=f"removed {removed:,} documents from {name}")
