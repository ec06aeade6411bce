"""Step 4: events from every source, chunk by chunk, then the entries of the users whom they touched or who changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lbmigrate.backfill import backfill, noting, recheck, refresh_profiles, strays, touched
from lbmigrate.board.histogram import ROW as HISTOGRAM
from lbmigrate.config.model import Source
from lbmigrate.ledger import binding, boards_anew, bound, dropped, moving, newcomers, one_kind, zone_count
from lbmigrate.ledger.begin_anew import begin_anew
from lbmigrate.ledger.binding import Loss
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.make_histograms import Making
from lbmigrate.ledger.partitions import open_ahead
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.passes import beginning, likely, passes
from lbmigrate.passes.outlook import SourceOutlook, changed
from lbmigrate.passes.scored_by import entries_in_force, mixed_rules, remember_rules
from lbmigrate.records import Checkpoint, Counts, Piece, RowsRemoved, Together, amount
from lbmigrate.run import throttle
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, MADE_BY_A_MIGRATION, present_collections
from lbmigrate.schema.layout import partitions
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.ids import in_parts, portions, room

NUMBER = 4
NAME = "backfill"
REMOVED_AT_ONCE = 5_000


def apply(context: Context) -> Iterator[Piece]:
    found = binding.apart(context)
    if found and not (found.loss is Loss.SOME_ENTRIES or (found.in_place and context.scope.full)):
        raise found.refused()  # what everything is read again for, or computed again, is settled here
    Histograms(context).forget_others()
    if found:
        yield from begin_anew(context, found)
        yield Piece("entries", checkpoint=bound.bound(context))
    settled = beginning.settled(context)
    context = settled.context
    one_type = OneUserType(context)
    yield from one_kind.widened(context, one_type.kinds)
    if settled.checkpoint or settled.told:
        yield Piece("rules", checkpoint=settled.checkpoint, note=settled.told)
    if rules := remember_rules(context) or mixed_rules(context):
        yield Piece("rules", checkpoint=rules)
    seen = refresh_profiles.reached(context)  # before entries are made: who changes from now on is for the next run
    opening = seen and refresh_profiles.opening(context, seen)
    if opening:
        yield Piece(refresh_profiles.SUBJECT, checkpoint=opening)
    context = replace(context, additions=noting.additions(context))
    gate = throttle.gate(context)
    for reason in gate.unreadable():
        yield Piece("throttle", warning=f"{reason}; the run does not wait for it")
    yield from _emitted(context, one_type, gate)
    if context.stopping():
        return
    yield from moving.astray(context)
    if made := open_ahead(context):
        yield Piece("collections", note=f"made {', '.join(made)}")
    newest = newcomers.reached(context)  # before entries are made: who comes after it is for the next run
    yield from zone_count.following(context, _entered(context, one_type, gate))
    yield from _histograms(context)
    yield from _boards(context)
    if not context.stopping():
        yield from _closed(context, seen, newest)


def _closed(context: Context, seen: Checkpoint | None, newest: Checkpoint | None) -> Iterator[Piece]:
    """What is remembered when all of it is in the entries."""
    settled = entries_in_force(context) if _is_of_everyone(context) else None
    closed = [(source, mark) for source in context.config.sources if (mark := passes.close(context, source))]
    spent = [passes.spent(context, source) for source, _ in closed]
    marks = [m for m in (seen, newest, settled, *(mark for _, mark in closed), bound.after(context)) if m]
    if marks:
        yield Piece("entries", unit="users", checkpoint=Together((*marks, *spent)))


def _is_of_everyone(context: Context) -> bool:
    """Whether the entries of everyone are rebuilt."""
    return context.scope.full and not context.scope.bounded and context.scope.share == 1


def _emitted(context: Context, one_type: OneUserType, gate: throttle.Gate) -> Iterator[Piece]:
    """The events of every source; with a warning where there was nothing to read, which is mostly a mistake."""
    inside = 0
    for source in context.config.sources:
        for piece in backfill.emit_source(context, source, one_type, gate):
            counts = piece.counts
            inside += counts.read - counts.skipped if isinstance(counts, Counts) else 0
            yield piece
        if context.stopping():
            return
        if told := _nothing_met(context, source):
            yield Piece(source.name, warning=told)
    if context.scope.bounded and not inside:
        yield Piece("bounds", warning=f"no document is within {context.scope}: what that names may be a mistake")


def _nothing_met(context: Context, source: Source) -> str:
    """That a source was read from end to end and not one document met its filter; empty where some did."""
    kept = context.state.watermark(source.name).get("pass", {})
    whole = bool(kept.get("full")) and not context.scope.bounded and context.scope.share == 1
    if not whole or kept.get("done") or context.state.read_in_pass(source.name, kept["number"]):
        return ""
    why = likely.reason(context, source)
    return f"{source.name}: no document of {source.collection} meets {hidden(str(source.where))}" + (why and f": {why}")


def _entered(context: Context, one_type: OneUserType, gate: throttle.Gate) -> Iterator[Piece]:
    """The entries of everybody who was touched, who was a stray or a reject, or who changed."""
    yield from touched.roll_up(context, gate, partial(newcomers.users, context))
    yield from strays.roll_up(context)
    if _is_of_everyone(context):
        yield from dropped.remove(context)
    yield from recheck.recheck(context, one_type, gate)
    yield from refresh_profiles.refresh(context, gate)


def _histograms(context: Context) -> Iterator[Piece]:
    """Make the histograms that ranks are read from where there are none, and settle what has moved since."""
    if context.stopping():
        return
    making = Making(context)
    for period, count in making.heal():
        yield Piece("ranks", note=f"ranks of {period} come from a histogram of {amount(count, 'entry')}")
    if looked := making.looked():
        yield Piece("ranks", checkpoint=looked)


def _boards(context: Context) -> Iterator[Piece]:
    """Rebuild the boards in Redis that are not there, have lost something, or were not heard of for a while."""
    boards = boards_anew.boards_of(context)
    for came in boards_anew.healed(context, boards) if boards and not context.stopping() else ():
        if isinstance(came, Piece):
            yield came
            continue
        period, count = came
        yield Piece("boards", note=f"rebuilt the board of {period} in Redis, with {amount(count, 'user')}")


def revert(context: Context) -> Iterator[Piece]:
    if context.keep_data:
        yield Piece("events", note=f"kept {EVENTS} and {ENTRIES}")
        return
    # The bookkeeping goes first: a half-removed ledger whose chunks still count as done would never be filled again.
    kinds = ("chunk", "watermark", refresh_profiles.ROW, newcomers.ROW, zone_count.ROW, HISTOGRAM)
    yield Piece("events", checkpoint=RowsRemoved(kinds))
    yield Piece("events", checkpoint=bound.taken_back(context))
    boards = boards_anew.boards_of(context)
    if boards and (dropped := boards.drop_all()):
        yield Piece("boards", note=f"removed {amount(dropped, 'board')} from Redis")
    for name, ours in _ours(context):
        yield from _remove(context, name, ours)


def _ours(context: Context) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each collection with what a migration has put there."""
    for name, ours in MADE_BY_A_MIGRATION.items():
        yield from ((each, ours) for each in ([name, *partitions(context.target)] if name == ENTRIES else [name]))


def _remove(context: Context, name: str, ours: dict[str, Any]) -> Iterator[Piece]:
    if name not in present_collections(context.target, name):
        return
    collection = context.target[name]
    removed = 0
    while not context.stopping():
        found = (row["_id"] for row in collection.find(ours, {"_id": 1}).limit(REMOVED_AT_ONCE))
        ids = next(portions(found, room), [])
        if not ids:
            break
        context.state.put()  # raises LeaseLost where a successor may have filled it again
        for some in in_parts(ids):
            removed += collection.delete_many({"_id": {"$in": some}, **ours}).deleted_count
        yield Piece(name, removed, None)
    yield Piece(name, removed, removed, note=f"removed {amount(removed, 'document')} from {name}")


def pending(context: Context, sources: Sequence[SourceOutlook]) -> Iterator[str]:
    """A source is pending until its first pass is closed, and again when documents changed after its watermark."""
    by_name = {source.name: source for source in context.config.sources}
    for outlook in sources:
        source = by_name[outlook.name]
        if outlook.watermark is None or passes.unfinished(context, source):
            why = f": {outlook.anew}" if outlook.anew else ""
            if passes.unfinished(context, source).get("scope", {}).get("full"):
                why = ", as `backfill --full` has begun to"
            yield f"backfill {outlook.amount} of {outlook.collection} in {amount(outlook.chunks, 'chunk')}{why}"
        elif newer := changed(context, source, outlook.watermark):
            since = f"{outlook.watermark:%Y-%m-%dT%H:%M:%SZ}"
            yield f"backfill {amount(newer, 'document')} of {outlook.collection}, changed since {since}"
    found = binding.apart(context)
    if found and found.loss is Loss.SOME_ENTRIES:
        yield f"compute all {ENTRIES} again: {found.sentence}"
    if context.state.last_closed() is not None:
        yield f"roll up emitted chunks into {ENTRIES}"


def preview(context: Context) -> Iterator[str]:
    if context.keep_data:
        yield f"keep {EVENTS} and {ENTRIES}; the next run takes up from there"
        return
    for name, ours in _ours(context):
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
