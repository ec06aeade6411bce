"""Step 4: events from every source, chunk by chunk, then the entries of the users whom they touched or who changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbmigrate.backfill import backfill, refresh_profiles
from lbmigrate.ledger.scored_by import remember_rules
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.client import durable
from lbmigrate.passes import passes
from lbmigrate.records import Forgotten, Piece
from lbmigrate.run import throttle
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, present_collections

NUMBER = 4
NAME = "backfill"
REMOVED_AT_ONCE = 5_000
MADE_HERE = {"meta.origin": {"$in": ["backfill", "live"]}}
DERIVED_HERE = {"rev": {"$exists": True}, "events": {"$exists": True}}


def apply(context: Context) -> Iterator[Piece]:
    one_type = OneUserType(context)
    rules = remember_rules(context)
    if rules:
        yield Piece("rules", checkpoint=rules)
    seen = refresh_profiles.reached(context)  # before entries are made: who changes from now on is for the next run
    opening = seen and refresh_profiles.opening(context, seen)
    if opening:
        yield Piece(refresh_profiles.SUBJECT, checkpoint=opening)
    gate = throttle.gate(context)
    for reason in gate.unreadable():
        yield Piece("throttle", warning=f"{reason}; the run does not wait for it")
    for source in context.config.sources:
        yield from backfill.emit_source(context, source, one_type, gate)
        if context.stopping():
            return
    yield from backfill.roll_up(context, gate)
    yield from refresh_profiles.refresh(context, gate)
    if context.stopping():
        return
    if seen:
        yield Piece(refresh_profiles.SUBJECT, checkpoint=seen)
    for source in context.config.sources:
        closed = passes.close(context, source)
        if closed:
            yield Piece(source.name, checkpoint=closed)
            yield Piece(source.name, checkpoint=passes.spent(context, source))


def revert(context: Context) -> Iterator[Piece]:
    if context.keep_data:
        yield Piece("events", note=f"kept {EVENTS} and {ENTRIES}")
        return
    # The bookkeeping goes first: a half-removed ledger whose chunks still count as done would never be filled again.
    yield Piece("events", checkpoint=Forgotten(("chunk", "watermark", refresh_profiles.ROW)))
    yield from _remove(context, ENTRIES, DERIVED_HERE)
    yield from _remove(context, EVENTS, MADE_HERE)


def _remove(context: Context, name: str, ours: dict[str, Any]) -> Iterator[Piece]:
    if name not in present_collections(context.target):
        return
    collection = durable(context.target)[name]
    removed = 0
    while not context.stopping():
        ids = [row["_id"] for row in collection.find(ours, {"_id": 1}).limit(REMOVED_AT_ONCE)]
        if not ids:
            break
        removed += collection.delete_many({"_id": {"$in": ids}, **ours}).deleted_count
        yield Piece(name, removed, None)
    yield Piece(name, removed, removed, note=f"removed {removed:,} documents from {name}")
