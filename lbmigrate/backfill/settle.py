"""What changed since the last pass and no longer counts, or counts otherwise, is settled with the chunk that reads it.

A first pass, and one that reads everything again, settles nothing: what other rules are worth, and what is to be taken
back because of them, a reconciliation decides, which asks first.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from pymongo.errors import PyMongoError

from lbmigrate.backfill import isolate
from lbmigrate.backfill.isolate import Outcome
from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger.budget import Budget
from lbmigrate.ledger.emitted import Seen
from lbmigrate.ledger.settle import Found
from lbmigrate.ledger.undone import action_of, settle_documents
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.client import retrying
from lbmigrate.passes import watermark
from lbmigrate.passes.chunks import Bounds
from lbmigrate.passes.passes import Claimed, Pass
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.run.context import Context
from lbmigrate.values.brackets import is_nan


def settles(context: Context, source: Source, current: Pass) -> bool:
    """Whether a pass looks at what changed, by the rules that the ledger was scored by."""
    scope = context.scope
    whole = current.anew or current.everyone or scope.full or scope.bounded or scope.share < 1
    if current.number == 1 or whole or changed_rules(context):
        return False
    return watermark.mark(context, source).value is not None


def settle_chunk(
    budget: Budget, context: Context, source: Source, one_type: OneUserType, seen: Seen, chunk: Claimed
) -> Outcome:
    """Emit a chunk, and settle its documents, also those that do not meet the filter of their source.

    What is beyond the `budget` of the pass is left to a reconciliation.
    """
    outcome = isolate.emit_chunk(context, source, one_type, seen, chunk)
    if outcome.error is not None or _tells_nothing(source, chunk.bounds):
        return replace(outcome, emitted=replace(outcome.emitted, worth={}, there={}))
    tried = outcome.attempts - 1
    there = outcome.emitted.there
    settle = partial(
        settle_documents, context, action_of(context, source), one_type=one_type, budget=budget, there=there
    )

    def attempt() -> Found:
        nonlocal tried
        total, worth = Found(), outcome.emitted.worth
        tried += 1
        for ids in isolate.ids_within(context, source, outcome.chunk.bounds.condition()):
            total.add(settle(ids, worth=worth, tried=tried > 1))
        return total

    try:
        found = retrying(attempt, attempts=context.config.backfill.attempts)
    except (LbmigrateError, PyMongoError) as error:
        return replace(outcome, error=error)
    counts = replace(outcome.emitted.counts, adjusted=found.adjusted)
    emitted = replace(outcome.emitted, counts=counts, users=[*outcome.emitted.users, *found.users], worth={}, there={})
    return replace(outcome, emitted=emitted, held=found.held)


def _tells_nothing(source: Source, bounds: Bounds) -> bool:
    """Whether the documents of a chunk have nothing that grows when they change.

    Of these there are as many as were never done, and each pass has them: it would ask the ledger for all of them.
    """
    wanted = bounds.extra.get("$and", [bounds.extra])[0]
    value = wanted.get(source.cursor)
    return source.cursor in wanted and (value is None or value == [] or is_nan(value))
