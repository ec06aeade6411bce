"""What changed since the last pass and no longer counts, or counts otherwise, is settled with the chunk that reads it.

A first pass, and one that reads everything anew, settles nothing: what other rules are worth, and what is to be taken
back because of them, a reconciliation decides, which asks first.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from pymongo.errors import PyMongoError

from lbmigrate.backfill import isolate
from lbmigrate.backfill.isolate import Outcome
from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger.emit import Seen
from lbmigrate.ledger.settle import Found
from lbmigrate.ledger.undone import action_of, settle_documents
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.client import retrying
from lbmigrate.passes import watermark
from lbmigrate.passes.chunks import Bounds
from lbmigrate.passes.passes import Claimed, Pass
from lbmigrate.passes.read_plan import before, ranges
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.records import Document
from lbmigrate.run.context import Context

ZONES = dt.timedelta(days=1)  # a text may have the time of any zone


def changed_since(context: Context, source: Source, current: Pass) -> dt.datetime | None:
    """From when on a pass settles what changed; None where it settles nothing, or other rules are in force."""
    scope = context.scope
    whole = current.anew or current.everyone or scope.full or scope.bounded or scope.share < 1
    if current.number == 1 or whole or changed_rules(context):
        return None
    mark = watermark.mark(context, source).value
    return before(mark, context.config.backfill.lag) if mark else None


def settle_chunk(
    context: Context, source: Source, one_type: OneUserType, seen: Seen, chunk: Claimed, *, since: dt.datetime
) -> Outcome:
    """Emit a chunk, and settle its documents: those that were read, and all that changed since then."""
    outcome = isolate.emit_chunk(context, source, one_type, seen, chunk)
    if outcome.error is not None:
        return outcome
    wanted, tried = _looked_at(source, outcome.chunk.bounds, since), outcome.attempts - 1

    def attempt() -> Found:
        nonlocal tried
        tried += 1
        return _settled(context, source, one_type, outcome, wanted, tried > 1)

    try:
        found = retrying(attempt, attempts=context.config.backfill.attempts)
    except (LbmigrateError, PyMongoError) as error:
        return replace(outcome, error=error)
    emitted = replace(outcome.emitted, users=[*outcome.emitted.users, *found.users], worth={})
    return replace(outcome, emitted=emitted, held=found.held)


def _settled(
    context: Context, source: Source, one_type: OneUserType, outcome: Outcome, wanted: Document, tried: bool
) -> Found:
    total, action = Found(), action_of(context, source)
    for ids in isolate.ids_within(context, source, wanted):
        total.add(settle_documents(context, action, ids, one_type, outcome.emitted.worth, tried=tried))
    return total


def _looked_at(source: Source, bounds: Bounds, since: dt.datetime) -> Document:
    """The documents of a chunk that meet the filter of their source, or have changed.

    A chunk that is no range of time may have all that was never done: an idle pass leaves those alone.
    """
    if bounds.key == source.cursor or source.unwind or not source.where:
        return bounds.condition()
    changed = [{source.cursor: each} for each in (*ranges(since), {"$gte": before(since, ZONES).date().isoformat()})]
    return {"$and": [bounds.condition(), {"$or": [source.where, *changed]}]}
