"""Source documents become score events: read, score, insert, ignore duplicates, account for every one."""

from __future__ import annotations

from typing import Any

import bson

from lbmigrate.config.model import Source
from lbmigrate.ledger import by_shape, forget, rejects
from lbmigrate.ledger.by_shape import Finished
from lbmigrate.ledger.emitted import Emitted, Seen
from lbmigrate.ledger.enter import enter, enter_finished
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.looked_at import LookedAt
from lbmigrate.ledger.repeats import Repeats
from lbmigrate.ledger.sources import CODECS, read, read_raw, score
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.records import Counts, Document, Reject
from lbmigrate.rules import unwind
from lbmigrate.run.context import Context
from lbmigrate.values.documents import Documents
from lbmigrate.values.ids import id_type


def emit(
    context: Context,
    source: Source,
    condition: Document,
    seen: Seen,
    one_type: OneUserType,
    looked: LookedAt | None = None,
) -> Emitted:
    """Score the documents that meet `condition`, a bounded number at a time.

    On a first pass those of one shape go together (`by_shape`); what comes of it is the same. `looked`
    looks at events before they are inserted. Where a run keeps what it adds, that is in what is returned.
    """
    total, repeats = Emitted(), Repeats(context, source)
    if seen is Seen.NEVER and by_shape.applies(context, source):
        for batch in read_raw(context, source, condition):
            total += _emit_raw(context, source, batch, one_type, repeats)
        return total
    kept = context.additions if seen is Seen.OVERLAP else None
    if kept:
        looked = LookedAt(context, kept.has_room)
    for documents in read(context, source, condition):
        total += _emit_batch(context, source, documents, seen, one_type, repeats, looked)
    return total + Emitted(added=looked.added()) if kept and looked else total


def _emit_batch(
    context: Context,
    source: Source,
    documents: list[Document],
    seen: Seen,
    one_type: OneUserType,
    repeats: Repeats,
    looked: LookedAt | None = None,
) -> Emitted:
    scored = score(context, source, documents)
    events, repeated = repeats.sorted_out(documents, scored.events)
    fitting, strangers = one_type.sorted_out(events, source)
    inside = _inside(context, fitting)
    look = seen is not Seen.NEVER
    entered = enter(context, source, inside, scored.former, look, *([looked.look] if looked else []))
    touching = _touching(inside, entered.known, seen)
    if looked:
        looked.take(touching, entered.new)
    added, rejected = entered.new, [*scored.rejects, *repeated, *strangers, *entered.rejects]
    kept = rejects.keep(context, source, _of_those_there(context, source, rejected))
    if seen is not Seen.NEVER or context.live:  # else they are looked at when the pass has ended
        rejects.drop_scored(context, source, inside, kept)
    horizon = context.clock() + context.config.backfill.future
    counts = Counts(
        read=len(documents),
        emitted=len(added),
        duplicates=len(inside) - len(added) - len(entered.rejects),
        rejected=len(rejected),
        skipped=len(fitting) - len(inside),
        approximate=sum("approximate" in event["meta"] for event in added),
        future=sum(event["createdAt"] > horizon for event in added),
    )
    users = [event["userId"] for event in touching]
    worth = {event["_id"]: event for event in inside} if look or context.live else {}
    there = {**entered.rows, **{event["_id"]: event for event in added}} if look else {}
    return Emitted(counts, users, entered.refused, kept, worth, there=there)


def _emit_raw(context: Context, source: Source, batch: Documents, one_type: OneUserType, repeats: Repeats) -> Emitted:
    """Emit a batch of raw BSON on a first pass: what cannot go together first, since it may not be readable."""
    made = by_shape.finished(context, source, batch)
    if made is None or not made.stands_apart(source.action, one_type, repeats):
        documents = bson.decode_all(batch.all(), CODECS)
        context.pace.take(len(documents), context.stop)
        return _emit_batch(context, source, documents, Seen.NEVER, one_type, repeats)
    context.pace.take(made.length, context.stop)
    rest = _emit_batch(context, source, made.rest, Seen.NEVER, one_type, repeats) if made.rest else Emitted()
    if made.last is not None:
        repeats.go_on(made.last)
    return rest + _emit_finished(context, source, made)


def _emit_finished(context: Context, source: Source, made: Finished) -> Emitted:
    entered = enter_finished(context, source, made.events())
    kept = rejects.keep(context, source, _of_those_there(context, source, entered.rejects))
    horizon = context.clock() + context.config.backfill.future
    approximate, future = made.told(entered.new, horizon)
    counts = Counts(
        read=len(made),
        emitted=len(entered.new),
        duplicates=len(made) - len(entered.new) - len(entered.rejects),
        rejected=len(entered.rejects),
        approximate=approximate,
        future=future,
    )
    return Emitted(counts, isolated=entered.refused, rejects=kept, columns=[part.users for part in made.parts])


def _inside(context: Context, events: list[Document]) -> list[Document]:
    """The events that were asked for, of users who are still there."""
    leavers = Leavers(context.state)
    if not leavers and context.scope.takes_all:
        return events
    forget.bury(context, leavers, events)
    return [e for e in events if context.scope.covers(e["createdAt"]) and e["userId"] not in leavers]


def _of_those_there(context: Context, source: Source, rejected: list[Reject]) -> list[Reject]:
    """The rejects that do not name, by their ids, somebody who has left."""
    leavers = Leavers(context.state) if rejected else ()
    if not leavers:
        return rejected
    named = (
        (reject, unwind.owners([str(reject.source_id)]) if source.unwind else [reject.source_id]) for reject in rejected
    )
    return [reject for reject, ids in named if not any(id_type(each) and each in leavers for each in ids)]


def _touching(events: list[Document], known: dict[str, Any], seen: Seen) -> list[Document]:
    """The events whose users must be rolled up.

    Whoever inserted a known one may have died before its users were: the attempt before this one, or live code. What
    does not say where it comes from is an app's.
    """
    if seen is not Seen.OVERLAP:
        return events
    return [event for event in events if known.get(event["_id"]) != "backfill"]
