"""Rejects are looked at again: what can be scored by now is, and what is gone or out of scope leaves.

A pass reads what changed. A reject may be right without a change of its document: by another rule, or by a document
of somebody else; and what was deleted no pass reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial

from lbmigrate.backfill import isolate
from lbmigrate.config.model import Source
from lbmigrate.ledger import rejects, rolling, walk
from lbmigrate.ledger.emitted import Emitted
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.client import retrying
from lbmigrate.passes.beginning import within
from lbmigrate.records import Checkpoint, Counts, Document, Piece, Reject
from lbmigrate.rules import unwind
from lbmigrate.run import throttle
from lbmigrate.run.context import Context
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held
from lbmigrate.schema import REJECTS
from lbmigrate.state.statuses import ChunkStatus
from lbmigrate.values.id_text import encoded
from lbmigrate.values.ids import portions

ROW = "rejects"  # keeps the last row that was looked at, where they are many
SUBJECT = "rejects"
MOST = 1_000  # rows that a run looks at; the next one goes on after them
AT_ONCE, AT_ONCE_SIZE = 200, 8_000_000  # rows, and their bytes: somebody else may have put large ones there
FIELDS = dict.fromkeys(("source", "sourceId", "reason"), 1)


def retry(context: Context, wanted: Callable[[str], bool]) -> Iterator[Piece]:
    """Look again at all rejects whose reason is wanted, whenever that is asked for."""
    context = within(replace(context, scope=replace(context.scope, full=True)))
    gate = throttle.gate(context)
    yield from recheck(context, OneUserType(context), gate, wanted)


def _all(_: str) -> bool:
    return True


def recheck(
    context: Context, one_type: OneUserType, gate: Gate, wanted: Callable[[str], bool] = _all
) -> Iterator[Piece]:
    """Look at rejects again, all of them where everything is read again. Leaves them alone in a bounded backfill."""
    if context.scope.bounded or context.scope.share < 1:
        return
    after = None if context.scope.full else context.state.get(ROW).get("after")
    done = 0
    for rows in gate.through(_some(context, after)):
        if isinstance(rows, Held):
            yield rows.on(Piece(SUBJECT, done))
            continue
        meant = [row for row in rows if wanted(str(row.get("reason", "")))]
        emitted = sum(_look(context, source, one_type.of_rejects(), meant) for source in context.config.sources)
        done += len(rows)
        yield _scored(context, done, emitted) if emitted else Piece(SUBJECT, done)
        if done >= MOST and not context.scope.full:
            yield Piece(SUBJECT, done, checkpoint=Checkpoint(ROW, {"after": rows[-1]["_id"]}))
            return
        if context.stopping():
            return
    if after is not None:
        yield Piece(SUBJECT, done, checkpoint=Checkpoint(ROW, {"after": None}))


def _scored(context: Context, done: int, emitted: int) -> Piece:
    """A row like that of a chunk, by which a verdict knows that events were added, and a rollback by whom."""
    counts = Counts(read=emitted, emitted=emitted)
    row = {"source": f":{SUBJECT}", "pass": 0, "span": 0, "number": done, "status": ChunkStatus.ROLLED.value}
    told = {"counts": asdict(counts), "attempts": 1, "run": context.run, "closedAt": context.clock()}
    saved = Checkpoint(f"chunk::{SUBJECT}:{context.run}:0:0:{done}", {**row, **told})
    return Piece(SUBJECT, done, counts=counts, checkpoint=saved)


def _some(context: Context, after: str | None) -> Iterator[list[Document]]:
    """Rows in order, but for those that this very run has added."""
    while True:
        asked: Document = {"run": {"$ne": context.run}, **({"_id": {"$gt": after}} if after is not None else {})}
        found = context.target[REJECTS].find(asked, FIELDS).sort("_id", 1).limit(AT_ONCE)
        rows = next(portions(found, lambda row: len(encoded(row)), AT_ONCE, AT_ONCE_SIZE), [])
        if not rows:
            return
        yield rows
        after = rows[-1]["_id"]


def _look(context: Context, source: Source, one_type: OneUserType, rows: list[Document]) -> int:
    """Score what these rows are about once more, and roll it up before they go; how many events are new."""
    rows = [row for row in rows if row.get("source") == source.name and rejects.can_be_asked_for(row)]
    names = [row["sourceId"] for row in rows]
    if not names:
        return 0
    done = isolate.emit_listed(context, source, one_type, unwind.owners(names) if source.unwind else names)
    for users in walk.selections(done.touched()):
        retrying(partial(rolling.roll_up, context, users))
    _settle(context, source, rows, done)
    return done.counts.emitted


def _settle(context: Context, source: Source, rows: list[Document], done: Emitted) -> None:
    """Remove the rows of what is no reject any more; those with another reason by now are kept with that one."""
    changed = [row for row in rows if done.rejects.get(row["_id"]) != row["reason"]]
    rejects.drop(context, [row["_id"] for row in changed])
    again = [Reject(row["sourceId"], done.rejects[row["_id"]]) for row in changed if row["_id"] in done.rejects]
    rejects.keep(context, source, again)
