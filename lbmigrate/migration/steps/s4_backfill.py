"""Step 4: events from every source, chunk by chunk, then the entries of the users whom they touched or who changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from lbmigrate.backfill import backfill, refresh_profiles
from lbmigrate.ledger import rollup
from lbmigrate.ledger.scored_by import remember_rules
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.concerns import durable
from lbmigrate.passes import passes
from lbmigrate.passes.outlook import SourceOutlook, changed
from lbmigrate.records import Piece, RowsRemoved, amount
from lbmigrate.run import throttle
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, MADE_BY_A_MIGRATION, present_collections

NUMBER = 4
NAME = "backfill"
REMOVED_AT_ONCE = 5_000


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
    yield from _boards(context)
    if context.stopping():
        return
    if seen:
        yield Piece(refresh_profiles.SUBJECT, checkpoint=seen)
    for source in context.config.sources:
        closed = passes.close(context, source)
        if closed:
            yield Piece(source.name, checkpoint=closed)
            yield Piece(source.name, checkpoint=passes.spent(context, source))


def _boards(context: Context) -> Iterator[Piece]:
    """Rebuild the boards in Redis that are not there, have lost something, or were not heard of for a while."""
    boards = rollup.boards_of(context)
    for period, count in boards.heal() if boards and not context.stopping() else ():
        yield Piece("boards", note=f"rebuilt the board of {period} in Redis, with {amount(count, 'user')}")


def revert(context: Context) -> Iterator[Piece]:
    if context.keep_data:
        yield Piece("events", note=f"kept {EVENTS} and {ENTRIES}")
        return
    # The bookkeeping goes first: a half-removed ledger whose chunks still count as done would never be filled again.
    yield Piece("events", checkpoint=RowsRemoved(("chunk", "watermark", refresh_profiles.ROW)))
    boards = rollup.boards_of(context)
    if boards and (dropped := boards.drop_all()):
        yield Piece("boards", note=f"removed {amount(dropped, 'board')} from Redis")
    for name, ours in MADE_BY_A_MIGRATION.items():
        yield from _remove(context, name, ours)


def _remove(context: Context, name: str, ours: dict[str, Any]) -> Iterator[Piece]:
    if name not in present_collections(context.target):
        return
    collection = durable(context.target)[name]
    removed = 0
    while not context.stopping():
        ids = [row["_id"] for row in collection.find(ours, {"_id": 1}).limit(REMOVED_AT_ONCE)]
        if not ids:
            break
        context.state.put()  # raises LeaseLost where a successor may have filled it again
        removed += collection.delete_many({"_id": {"$in": ids}, **ours}).deleted_count
        yield Piece(name, removed, None)
    yield Piece(name, removed, removed, note=f"removed {removed:,} documents from {name}")


def pending(context: Context, sources: Sequence[SourceOutlook]) -> Iterator[str]:
    """A source is pending until its first pass is closed, and again when documents changed after its watermark."""
    by_name = {source.name: source for source in context.config.sources}
    for outlook in sources:
        source = by_name[outlook.name]
        if outlook.watermark is None or passes.unfinished(context, source):
            yield f"backfill {outlook.amount} of {outlook.collection} in {amount(outlook.chunks, 'chunk')}"
        elif newer := changed(context, source, outlook.watermark):
            since = f"{outlook.watermark:%Y-%m-%dT%H:%M:%SZ}"
            yield f"backfill {amount(newer, 'document')} of {outlook.collection}, changed since {since}"
    if context.state.last_closed() is not None:
        yield f"roll up emitted chunks into {ENTRIES}"


def preview(context: Context) -> Iterator[str]:
    if context.keep_data:
        yield f"keep {EVENTS} and {ENTRIES}; the next run takes up from there"
        return
    for name, ours in MADE_BY_A_MIGRATION.items():
        collection = context.target[name]
        going, whole = collection.count_documents(ours), collection.count_documents({})
        if going:
            yield f"remove {amount(going, 'document')} from {name}"
        if whole > going:
            yield f"leave {amount(whole - going, 'document')} in {name} that this migration did not make"
    yield from _events_by_run(context)


def _events_by_run(context: Context) -> Iterator[str]:
    emitted: Counter[str] = Counter()
    for chunk in context.state.chunks():
        emitted[chunk.get("run", "?")] += chunk.get("counts", {}).get("emitted", 0)
    for run, events in emitted.most_common():
        begun = context.state.get(f"run:{run}").get("startedAt")
        if events:
            yield f"of these events {events:,} are from run {run}" + (f" of {begun:%Y-%m-%d %H:%M}Z" if begun else "")
    live = context.target[EVENTS].count_documents({"meta.origin": "live"})
    if live:
        yield f"of these events {live:,} were recorded live"
