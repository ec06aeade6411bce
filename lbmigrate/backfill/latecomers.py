"""Documents that came in while their source was read for the first time, at a place that was read already.

A pass over a whole source goes through its ids, while the app goes on writing. What is inserted behind the ids, or has
a later time than the watermark, is for the next pass. What has a random `_id` and an earlier time no pass reads any
more: to a verification it is a document in scope without an event, like one that was lost. The run that has read the
source so takes it in, and the verification looks at it again: what is wrong with it then is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from lbmigrate.backfill import isolate, recount
from lbmigrate.config.model import Source
from lbmigrate.ledger import rolling, walk
from lbmigrate.ledger.emitted import Emitted
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.client import retrying
from lbmigrate.passes import passes
from lbmigrate.passes.beginning import within
from lbmigrate.records import Checkpoint, Counts, Piece
from lbmigrate.run.context import Context
from lbmigrate.state.statuses import ChunkStatus

SUBJECT = "latecomers"


def read_since(context: Context) -> list[Source]:
    """The sources that were read from end to end since a verification has passed last: those may have latecomers."""
    verdict = context.state.get("verdict")
    passed = verdict["at"] if verdict.get("passed") else None
    read = {s.name: context.state.watermark(s.name).get(passes.WHOLE) for s in context.config.sources}
    return [s for s in context.config.sources if (at := read[s.name]) and (passed is None or at > passed)]


def take(context: Context, missing: Mapping[str, Sequence[Any]]) -> tuple[Piece, list[Any]]:
    """Score these documents, given by their ids and actions, and roll their users up: a piece, and these users."""
    context = within(replace(context, scope=replace(context.scope, full=True)))
    one_type, done = OneUserType(context), Emitted()
    for source in read_since(context):
        if ids := missing.get(source.action):
            done += isolate.emit_listed(context, source, one_type, list(ids))
    users = done.touched()
    for some in walk.selections(users):
        retrying(partial(rolling.roll_up, context, some))
    return Piece(SUBJECT, done.counts.emitted, checkpoint=_row(context, done.counts)), users


def take_others(context: Context) -> Iterator[Piece]:
    """Where a sample has met some there are more: look for them in every range of every source, by number."""
    for piece in recount.pieces(context):
        yield replace(piece, counts=None)


def _row(context: Context, counts: Counts) -> Checkpoint:
    """Like that of a chunk: by it a verdict knows that events were added, and a rollback by which run."""
    number = sum(1 for _ in context.state.chunks(source=f":{SUBJECT}", run=context.run))
    row = {"source": f":{SUBJECT}", "pass": 0, "span": 0, "number": number, "status": ChunkStatus.ROLLED.value}
    told = {"counts": asdict(counts), "attempts": 1, "run": context.run, "closedAt": context.clock()}
    return Checkpoint(f"chunk::{SUBJECT}:{context.run}:0:0:{number}", {**row, **told})
