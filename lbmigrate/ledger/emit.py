"""Source documents become score events: read, score, insert, ignore duplicates, account for every one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lbmigrate.config.model import Source
from lbmigrate.ledger import forget
from lbmigrate.ledger.events import insert_new, keep_rejects, known
from lbmigrate.ledger.forget import Leavers
from lbmigrate.ledger.sources import read, score
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.client import durable
from lbmigrate.records import Counts, Document
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS


@dataclass(frozen=True, slots=True)
class Emitted:
    """What came of some documents: their counts, and whose entries may have changed, a user for each event."""

    counts: Counts = Counts()
    users: list[Any] = field(default_factory=list)

    def __add__(self, other: Emitted) -> Emitted:
        return Emitted(self.counts + other.counts, self.users + other.users)


class Seen(Enum):
    """Whether the events of some documents may be in the ledger already, and why."""

    NEVER = "never"  # a first pass: nothing but live writes can have been faster
    OVERLAP = "overlap"  # a later pass re-reads the time before its watermark
    RETRY = "retry"  # an attempt that was not checkpointed may have inserted any of them


def emit(context: Context, source: Source, condition: Document, seen: Seen, one_type: OneUserType) -> Emitted:
    """Score the documents that meet `condition`, a bounded number at a time."""
    total = Emitted()
    for documents in read(context, source, condition):
        total += _emit_batch(context, source, documents, seen, one_type)
    return total


def _emit_batch(
    context: Context, source: Source, documents: list[Document], seen: Seen, one_type: OneUserType
) -> Emitted:
    scored = score(context, source, documents)
    fitting, strangers = one_type.sorted_out(scored.events, source)
    inside = _inside(context, fitting)
    before = {} if seen is Seen.NEVER else known(context.target, inside)
    new = [event for event in inside if event["_id"] not in before] if before else inside
    taken = {event["_id"] for event in insert_new(durable(context.target)[EVENTS], new)}
    added = [event for event in new if event["_id"] not in taken] if taken else new
    rejects = [*scored.rejects, *strangers]
    keep_rejects(context, source, rejects)
    horizon = context.clock() + context.config.backfill.future
    counts = Counts(
        read=len(documents),
        emitted=len(added),
        duplicates=len(inside) - len(added),
        rejected=len(rejects),
        skipped=len(fitting) - len(inside),
        approximate=sum("approximate" in event["meta"] for event in added),
        future=sum(event["createdAt"] > horizon for event in added),
    )
    return Emitted(counts, [event["userId"] for event in _touching(inside, before, seen)])


def _inside(context: Context, events: list[Document]) -> list[Document]:
    """The events that were asked for, of users who are still there."""
    leavers = Leavers(context.state)
    if not leavers and not context.scope.bounded:
        return events
    forget.bury(context, leavers, events)
    return [e for e in events if context.scope.covers(e["createdAt"]) and e["userId"] not in leavers]


def _touching(events: list[Document], known: dict[str, Any], seen: Seen) -> list[Document]:
    """The events whose users must be rolled up.

    Whoever inserted a known one may have died before its users were: the attempt before this one, or live code.
    """
    if seen is Seen.RETRY:
        return events
    return [event for event in events if known.get(event["_id"], "live") == "live"]
