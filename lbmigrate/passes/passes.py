"""One walk over a source: opened with frozen spans, planned chunk by chunk, resumed where it stopped, then closed.

The pass in progress is kept on the source's watermark row; a bounded backfill has a row of its own beside it, so that
it neither moves the watermark nor disturbs an unfinished ordinary pass.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from lbmigrate.config.model import Source
from lbmigrate.mongo.client import server_time
from lbmigrate.passes import chunks, parts, watermark
from lbmigrate.passes.chunks import Bounds, Size, Span
from lbmigrate.passes.ends import ENDS
from lbmigrate.passes.read_plan import ReadPlan, read_plan
from lbmigrate.records import Checkpoint, Document, RowsRemoved
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.state.shapes import OPEN
from lbmigrate.state.statuses import ChunkStatus

FRESH = "freshAt"  # on a watermark row: when the last pass that came to its end had begun, so all before it is read
WHOLE = "wholeAt"  # on a watermark row: when the last pass that read everything and came to its end had begun
PASSES_KEPT = 50  # with all their chunks


@dataclass(frozen=True, slots=True)
class Pass:
    """An open pass: where it is kept, its number among the source's passes, and what it walks.

    After `everyone` the whole ledger is rolled up; other passes tell which users they touched. One that is `anew` reads
    once more all that was read before, as asked for or under other rules: chunks that others left open are none of its
    own.
    """

    row: str
    number: int
    spans: tuple[Span, ...]
    fresh: bool
    why: str = ""
    everyone: bool = False
    anew: bool = False

    def chunk_row(self, source: Source, span: int, number: int) -> str:
        return f"chunk:{source.name}:{self.number}:{span}:{number}"


def row_of(context: Context, source: Source) -> str:
    """Name the state's row that keeps the pass."""
    return f"watermark:{source.name}" + (":bounded" if context.scope.bounded else "")


def unfinished(context: Context, source: Source) -> Document:
    """The pass that was opened with the same scope and not closed, or an empty document.

    A full one that a limit has stopped is gone on with by an ordinary backfill too: started over at every `--full` and
    given up at every other, it would never end.
    """
    kept, scope = _kept(context, row_of(context, source)), context.scope.row()
    scopes = [scope] if context.scope.bounded else [scope, {**scope, "full": True}]
    return kept if kept and not kept["done"] and kept["scope"] in scopes else {}


def open_pass(context: Context, source: Source) -> tuple[Pass, Checkpoint | None]:
    """The unfinished pass, or a new one with what must be remembered before its first chunk.

    One that was begun by other rules is started over: half of a source by one rule and half by another is nothing.
    """
    row = row_of(context, source)
    kept = unfinished(context, source)
    outdated = watermark.outdated(context, source, kept) if kept else ""
    if kept and not outdated:
        spans = tuple(map(Span.from_row, kept["spans"]))
        everyone, anew = kept.get("everyone", False), kept.get("anew", False)
        return Pass(row, kept["number"], spans, fresh=False, everyone=everyone, anew=anew), None
    return _new_pass(context, source, row, outdated)


def _new_pass(context: Context, source: Source, row: str, outdated: str) -> tuple[Pass, Checkpoint]:
    began = server_time(context.sources)
    outline = read_plan(context, source, began)
    spans = _in_parts(context, source, outline)
    number = _last_number(context, source) + 1
    changed = not context.scope.bounded and bool(outdated or watermark.mark(context, source).why)
    anew = changed or (outline.whole and context.scope.full)
    everyone = changed or (outline.whole and (_is_lost(context, source) or _concerns_everyone(context, source)))
    why = outline.why or outdated
    opened = {
        "number": number,
        "scope": context.scope.row(),
        "full": context.scope.full or outline.whole,
        "spans": [span.row() for span in spans],
        "done": False,
        "next": outline.watermark,
        "why": why,
        "everyone": everyone,
        "began": began,
        "anew": anew,
        **({} if outline.ends is None else {ENDS: outline.ends}),
        **watermark.rules_of(context, source),
    }
    return Pass(row, number, spans, True, why, everyone, anew), Checkpoint(row, {"pass": opened})


def _in_parts(context: Context, source: Source, outline: ReadPlan) -> tuple[Span, ...]:
    """What a pass reads, in parts where shards are to take turns: what changed since the last one is little."""
    if context.scope.share < 1 or not (outline.whole or outline.why or context.scope.bounded):
        return outline.spans
    return parts.in_parts(context.sources[source.collection], outline.spans, context.config.backfill.chunk_size)


def _concerns_everyone(context: Context, source: Source) -> bool:
    """Whether the whole ledger is to be rolled up: what it has may be of users whom no document names any more.

    That is so when a full pass rebuilds the entries, and when nothing is remembered, for a rollback may have been
    stopped. Else it is done where it costs little beside what a walk over the source brings.
    """
    if context.scope.full or all(context.state.watermark(s.name).get("value") is None for s in context.config.sources):
        return True
    events = context.target[EVENTS].estimated_document_count()
    return bool(events <= context.sources[source.collection].estimated_document_count())


def _last_number(context: Context, source: Source) -> int:
    rows = [f"watermark:{source.name}{suffix}" for suffix in ("", ":bounded")]
    kept = max(int(_kept(context, row).get("number", 0)) for row in rows)
    return kept or context.state.last_pass(source.name)  # the rows may have been deleted, or may be damaged


def _is_lost(context: Context, source: Source) -> bool:
    """Whether nobody knows any more what the passes before have read."""
    return bool(_kept(context, f"watermark:{source.name}").get("lost"))


def _kept(context: Context, row: str) -> Document:
    """The pass that a row keeps, or an empty document."""
    kept: Document = context.state.get(row).get("pass", {})
    return kept


def close(context: Context, source: Source) -> Checkpoint | None:
    """What to remember when every chunk of a pass is in the entries: it is done, and the watermark moves."""
    row = row_of(context, source)
    kept = _kept(context, row)
    if not kept or kept["done"]:
        return None
    moved = {} if context.scope.bounded else {"value": kept["next"], **watermark.rules_of(context, source)}
    if moved:
        moved[ENDS] = kept.get(ENDS)
    if moved and "began" in kept:
        moved[FRESH] = kept["began"]
    if moved and "began" in kept and (kept.get("full") or kept.get("why")):
        moved[WHOLE] = kept["began"]
    return Checkpoint(row, {"pass.done": True, **moved})


def fresh_at(row: Document) -> dt.datetime | None:
    """Up to when all that changed was read and is in the entries, by a watermark's row; None where nothing is.

    An earlier version kept the watermark alone, which is no later.
    """
    kept = row.get("pass", {})
    if row.get("value") is None:
        return None
    found: dt.datetime = row.get(FRESH) or (kept.get("began") if kept.get("done") else None) or row["value"]
    return found


def spent(context: Context, source: Source) -> RowsRemoved:
    """The chunks of long closed passes that added nothing and went well: cron would pile them up for ever.

    After a full pass, or one by new rules, also those that others left open: what they hold was read, or is void.
    """
    last = _last_number(context, source)
    anew = _kept(context, row_of(context, source)).get("anew", False)
    added_nothing = {"status": ChunkStatus.ROLLED.value, "attempts": 1, "counts.emitted": 0, "counts.rejected": 0}
    useless: list[Document] = [{"pass": {"$lte": last - PASSES_KEPT}, **added_nothing}]
    useless += [{"pass": {"$lt": last}, "status": {"$in": sorted(OPEN)}}] if context.scope.full or anew else []
    return RowsRemoved(("chunk",), {"source": source.name, "$or": useless})


@dataclass(frozen=True, slots=True)
class Claimed:
    """A chunk that this run has taken on: its row, its bounds, and how often it was tried before."""

    row: str
    bounds: Bounds
    tried: int


def todo(context: Context, source: Source, current: Pass, size: Size) -> Iterator[Claimed]:
    """Every chunk still to emit, claimed: those left open by another run, then new ones as they are planned."""
    for row in list(context.state.chunks(source=source.name, **_open(context, current))):
        again = {"status": ChunkStatus(row["status"]).to(ChunkStatus.CLAIMED)}
        yield _claim(context, row["_id"], Bounds.from_row(row), row.get("attempts", 1), again)
    lanes = parts.lanes(current.spans)
    yield from parts.in_turns(_lane(context, source, current, places, size) for places in lanes)


def _lane(context: Context, source: Source, current: Pass, places: Sequence[int], size: Size) -> Iterator[Claimed]:
    for place in places:
        yield from _plan(context, source, current, place, current.spans[place], size)


def _open(context: Context, current: Pass) -> Document:
    """What chunks have that were begun and not closed, those of passes that were given up among them.

    Their events may be in the ledger and not in the entries, and pass for settled ones. A full pass, or one by new
    rules, reads them all again by itself, and a bounded one may be asked for less than they hold.
    """
    own = {"pass": current.number} if context.scope.bounded or context.scope.full or current.anew else {}
    return {"status": {"$in": sorted(OPEN)}, **own}


def _plan(context: Context, source: Source, current: Pass, place: int, span: Span, size: Size) -> Iterator[Claimed]:
    """Cut what is not cut yet. A chunk's bounds are in the state before the chunk is handed out."""
    last = {} if current.fresh else context.state.last_chunk(source.name, current.number, place)
    number = last.get("number", -1)
    collection = context.readable()[source.collection]
    for bounds in chunks.cut(collection, span, size, Bounds.from_row(last) if last else None):
        number += 1
        if ceil((number + 1) * context.scope.share) == ceil(number * context.scope.share):
            continue  # a sample: the first chunk and every n-th after it
        described = {"source": source.name, "pass": current.number, "span": place, "number": number, **bounds.row()}
        described["status"] = ChunkStatus.CLAIMED.value
        yield _claim(context, current.chunk_row(source, place, number), bounds, 0, described)


def claimed_again(context: Context, chunk: Claimed) -> Claimed:
    """The same chunk for somebody else: whoever had it is gone."""
    return _claim(context, chunk.row, chunk.bounds, chunk.tried + 1, {})


def _claim(context: Context, row: str, bounds: Bounds, tried: int, described: Document) -> Claimed:
    claimed = {"attempts": tried + 1, "run": context.run, "claimedAt": context.clock()}
    context.state.put(Checkpoint(row, {**described, **claimed}))
    return Claimed(row, bounds, tried)
