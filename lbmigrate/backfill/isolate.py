"""A chunk that cannot be emitted: tried again after passing faults, then halved until the bad documents stand alone.

A document that cannot be read, scored or stored becomes a reject with the reason; the rest of its chunk is emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from bson.errors import BSONError
from pymongo.errors import DocumentTooLarge, PyMongoError

from lbmigrate.config.model import Source
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger import rejects
from lbmigrate.ledger.emitted import Emitted, Seen
from lbmigrate.ledger.events import EventRefused
from lbmigrate.ledger.sources import CODECS
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import lenient
from lbmigrate.passes.chunks import Bounds
from lbmigrate.passes.passes import Claimed
from lbmigrate.records import Counts, Document, Reject
from lbmigrate.rules import unwind
from lbmigrate.run.context import Context
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.ids import ONE_REPLY, in_parts, portions, room
from lbmigrate.values.limits import NO_TEXT, is_lost

if TYPE_CHECKING:
    from lbmigrate.ledger.looked_at import LookedAt

IN_THE_DOCUMENTS = (BSONError, DocumentTooLarge, EventRefused, OverflowError)
REASON_LENGTH = 300
ALL = 1_000_000  # ids; of ordinary ones a chunk has far fewer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claimed chunk: emitted, after `salvaged` or not, or the error that stopped it.

    `attempts` are all that were ever made at it or a part of it. `held` are actions that were not taken back.
    """

    chunk: Claimed
    seconds: float
    emitted: Emitted = field(default_factory=Emitted)
    salvaged: bool = False
    attempts: int = 1
    error: LbmigrateError | PyMongoError | None = None
    held: int = 0


def emit_chunk(context: Context, source: Source, one_type: OneUserType, seen: Seen, chunk: Claimed) -> Outcome:
    """Emit a chunk whatever it takes. Never raises what a checkpoint of its siblings should survive."""
    began = context.pace.clock()
    attempt = _Attempts(context, source, one_type, seen, chunk.tried)
    condition = chunk.bounds.condition()
    try:
        try:
            emitted, salvaged = attempt(condition), False
        except IN_THE_DOCUMENTS:
            emitted, salvaged = _salvaged(context, source, attempt, chunk.bounds), True
        return Outcome(chunk, context.pace.clock() - began, emitted, salvaged, attempt.tried)
    except (LbmigrateError, PyMongoError) as error:
        return Outcome(chunk, context.pace.clock() - began, attempts=attempt.tried, error=error)


def emit_listed(
    context: Context, source: Source, one_type: OneUserType, ids: list[Any], looked: LookedAt | None = None
) -> Emitted:
    """Emit these documents whatever it takes, as if somebody had tried before. Raises what is no document's fault."""
    return _in_parts(context, source, _Attempts(context, source, one_type, Seen.RETRY, 0, looked), ids)


@dataclass(slots=True)
class _Attempts:
    """Emits a condition, again after a passing fault; from the second attempt on any event may be there already."""

    context: Context
    source: Source
    one_type: OneUserType
    seen: Seen
    tried: int
    looked: LookedAt | None = None

    def __call__(self, condition: Document) -> Emitted:
        return retrying(lambda: self._once(condition), attempts=self.context.config.backfill.attempts)

    def _once(self, condition: Document) -> Emitted:
        from lbmigrate.ledger import emit  # noqa: PLC0415  all that scores: a run with nothing to read does without

        seen = Seen.RETRY if self.tried else self.seen
        self.tried += 1
        return emit.emit(self.context, self.source, condition, seen, self.one_type, self.looked)


def _salvaged(context: Context, source: Source, attempt: Callable[[Document], Emitted], bounds: Bounds) -> Emitted:
    """Emit a chunk by its ids, as many at a time as memory has room for; nearly always they are all read at once."""

    def begun() -> tuple[list[Any], Iterator[list[Any]]]:
        rest = _ids(context, source, bounds.condition())
        return next(rest, []), rest

    total = Emitted()
    first, rest = retrying(begun)
    for ids in chain([first], rest):  # where the rest cannot be read, the chunk has failed and is taken on again
        total += _in_parts(context, source, attempt, [name for name in ids if not is_lost(name)])
        if bounds.unordered == NO_TEXT:
            total += _lost(context, source, [name for name in ids if is_lost(name)])
    return total


def ids_within(context: Context, source: Source, condition: Document) -> Iterator[list[Any]]:
    """The ids that can be told of all documents that meet a condition, whatever the filter of the source is."""
    collection = lenient(context.sources.with_options(codec_options=CODECS))[source.collection]
    found = collection.find(condition, {"_id": 1}, batch_size=ONE_REPLY)
    rows = (row["_id"] for row in found if "_id" in row)
    return portions((name for name in rows if not is_lost(name)), room, most=ALL)


def _ids(context: Context, source: Source, condition: Document) -> Iterator[list[Any]]:
    collection = lenient(context.sources.with_options(codec_options=CODECS))[source.collection]
    rows = collection.find(unwind.within(condition, source), {"_id": 1})
    return portions((row["_id"] for row in rows), room, most=ALL)


def _in_parts(context: Context, source: Source, attempt: Callable[[Document], Emitted], ids: list[Any]) -> Emitted:
    return sum((_halved(context, source, attempt, part) for part in in_parts(ids)), Emitted())


def _halved(context: Context, source: Source, attempt: Callable[[Document], Emitted], ids: list[Any]) -> Emitted:
    try:
        return attempt({"_id": {"$in": ids}}) if ids else Emitted()
    except IN_THE_DOCUMENTS as error:
        if len(ids) == 1:
            return _rejected(context, source, ids[0], error)
    middle = len(ids) // 2
    return _halved(context, source, attempt, ids[:middle]) + _halved(context, source, attempt, ids[middle:])


def _lost(context: Context, source: Source, names: list[str]) -> Emitted:
    """Documents whose ids are not UTF-8: nobody can ask for them, and no event could name them."""
    kept = rejects.keep(context, source, [Reject(name, "its _id is not UTF-8 text") for name in names])
    return Emitted(Counts(read=len(names), rejected=len(names)), isolated=len(names), rejects=kept)


def _rejected(context: Context, source: Source, source_id: Any, error: Exception) -> Emitted:
    reason = hidden(f"{type(error).__name__}: {error}")[:REASON_LENGTH]
    kept = rejects.keep(context, source, [Reject(source_id, reason)])
    return Emitted(Counts(read=1, rejected=1), isolated=1, rejects=kept)
