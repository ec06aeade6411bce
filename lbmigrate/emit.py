"""Source documents become score events: read, score, insert, ignore duplicates, account for every one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from lbmigrate import fields, forget, identity, mongo, scoring
from lbmigrate.config import Source
from lbmigrate.context import Context
from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.faults import DUPLICATE_KEY
from lbmigrate.forget import Leavers
from lbmigrate.models import Counts, Document, Reject, Scored
from lbmigrate.schema import COUNTED, EVENTS, REJECTS

IN_THE_DOCUMENT = {2, 22, 52, 56, 57, 121, 10334, 17280}  # its shape, its names, its size; not the server's health
POSITION = "__position"  # where $unwind leaves an element's index
CODECS: CodecOptions[Document] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


class EventRefused(LbmigrateError):
    """The server did not take an event, for a reason that lies in the event."""


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
    for documents in _batches(read(context, source, condition), context.config.backfill.chunk_size):
        total += _emit_batch(context, source, documents, seen, one_type)
    return total


def _batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    ahead = iter(documents)
    while some := list(islice(ahead, size)):
        yield some


def _emit_batch(
    context: Context, source: Source, documents: list[Document], seen: Seen, one_type: OneUserType
) -> Emitted:
    scored = score(context, source, documents)
    inside = _inside(context, scored.events)
    one_type.check(inside, source)
    known = {} if seen is Seen.NEVER else _known(context.target, inside)
    new = [event for event in inside if event["_id"] not in known] if known else inside
    taken = {event["_id"] for event in insert_new(mongo.durable(context.target)[EVENTS], new)}
    added = [event for event in new if event["_id"] not in taken] if taken else new
    keep_rejects(context, source, scored.rejects)
    horizon = context.clock() + context.config.backfill.future
    counts = Counts(
        read=len(documents),
        emitted=len(added),
        duplicates=len(inside) - len(added),
        rejected=len(scored.rejects),
        skipped=len(scored.events) - len(inside),
        approximate=sum("approximate" in event["meta"] for event in added),
        future=sum(event["createdAt"] > horizon for event in added),
    )
    return Emitted(counts, [event["userId"] for event in _touching(inside, known, seen)])


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


def read(context: Context, source: Source, condition: Document) -> Iterable[Document]:
    """The documents that meet a condition and the source's filter, with just the mapped fields."""
    collection = _readable(context)[source.collection].with_options(codec_options=CODECS)
    projection = fields.projection(scoring.paths(source))
    if source.unwind:
        return collection.aggregate(_unwinding(source, condition, projection))
    cursor = collection.find({"$and": [condition, source.where]} if source.where else condition, projection)
    if condition.keys() == {"_id"}:
        cursor = cursor.hint([("_id", 1)])  # else a planner with an index on the filter's field may scan that whole
    return cursor.batch_size(context.config.backfill.chunk_size + 1)


def _readable(context: Context) -> Database[Any]:
    if context.live:  # the app wrote a moment ago, and perhaps not to a majority
        return mongo.fresh(context.sources)
    return mongo.readable(context.sources, context.config.backfill.read_preference)


def _unwinding(source: Source, condition: Document, projection: Document) -> list[Document]:
    """The filter follows the $unwind, so that it speaks of single elements."""
    unwind = {"path": f"${source.unwind}", "includeArrayIndex": POSITION}
    wanted = [{"$match": source.where}] if source.where else []
    return [{"$match": condition}, {"$unwind": unwind}, *wanted, {"$project": {**projection, POSITION: 1}}]


def score(context: Context, source: Source, documents: list[Document]) -> Scored:
    """Turn documents, or unwound elements, into events and rejects."""
    ids = scoring.element_ids(documents, source.unwind, POSITION) if source.unwind else None
    origin = "live" if context.live else "backfill"
    return scoring.score(documents, source, context.config.timezone, origin, ids)


def _known(database: Database[Any], events: list[Document]) -> dict[str, Any]:
    """The events that the ledger has, each with its origin. Asking costs a third of inserting in vain."""
    if not events:
        return {}
    wanted = {"_id": {"$in": [event["_id"] for event in events]}}
    rows = mongo.durable(database)[EVENTS].find(wanted, {"meta.origin": 1})
    return {row["_id"]: row.get("meta", {}).get("origin") for row in rows}


def insert(events: Collection[Any], documents: Sequence[Document]) -> int:
    """Insert events and tell how many were new. Idempotent: the `_id` names the action, so a repeat is a no-op."""
    return len(documents) - len(insert_new(events, documents))


def insert_new(events: Collection[Any], documents: Sequence[Document]) -> list[Document]:
    """Insert events, and hand back those whose `_id` was there already."""
    if not documents:
        return []
    try:
        events.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        failures = error.details["writeErrors"]
        for failure in failures:
            if failure["code"] in IN_THE_DOCUMENT:
                raise EventRefused(
                    f"{events.name} refused {failure['op']['_id']!r}: {failure['errmsg']}", hint="lbmigrate plan"
                ) from error
            if failure["code"] != DUPLICATE_KEY:
                raise
        if error.details.get("writeConcernErrors"):
            raise  # it may yet be undone: whoever called tries again
        return [documents[failure["index"]] for failure in failures]
    return []


def keep_rejects(context: Context, source: Source, rejects: Sequence[Reject]) -> None:
    """One row for each rejected document; the same rejection again changes nothing."""
    now = context.clock()
    rows = [
        {
            "_id": f"{source.name}:{identity.text(reject.source_id)}",
            "source": source.name,
            "collection": source.collection,
            "sourceId": reject.source_id,
            "reason": reject.reason,
            "run": context.run,
            "createdAt": now,
        }
        for reject in rejects
    ]
    insert(context.target[REJECTS], rows)


class OneUserType:
    """Sees to it that all events name users by ids of one type; else the same user would get two entries.

    Starts from what the ledger and both ends of every source hold, so that a mixture is refused before anything is
    written; what the `sample` (documents from either end) missed is refused when its chunk is scored, before that chunk
    is written.
    """

    def __init__(self, context: Context, sample: int = 500) -> None:
        self._places: dict[str, str] = {}
        first = context.target[EVENTS].find_one({"userId": {"$ne": None}, **COUNTED}, {"userId": 1})
        if first:
            self._places[identity.type_name(first["userId"]) or "unknown"] = f"{EVENTS}.userId"
        for source in context.config.sources:
            self._see(_sampled_types(context, source, sample), source)

    @property
    def kinds(self) -> list[str]:
        """The types seen so far: one, or none."""
        return list(self._places)

    def check(self, events: Sequence[Document], source: Source) -> None:
        """Raise Refused, with the mend, when the users of these events are not of the known type."""
        examples = {type(event["userId"]): event["userId"] for event in events}
        self._see({identity.type_name(user) or "unknown" for user in examples.values()}, source)

    def _see(self, kinds: set[str], source: Source) -> None:
        new = sorted(kinds - self._places.keys())
        for kind in new:
            self._places.setdefault(kind, f"{source.collection}.{source.user.path}")
        if len(self._places) > 1:
            told = ", ".join(f"{place} holds {kind}" for kind, place in self._places.items())
            count = len(self._places)
            for kind in new:  # one odd user must not spoil those who come after
                self._places.pop(kind, None)
            raise Refused(
                f"user ids are of {count} types: {told}",
                hint="make them one with `user: {path: …, as: string}` (or `as: objectId`) in each of those sources",
            )


def _sampled_types(context: Context, source: Source, size: int) -> set[str]:
    """The types of user ids, as scoring would coerce them, at both ends of a source."""
    collection = context.sources[source.collection]
    found: set[str] = set()
    for way in (1, -1):
        rows = list(collection.find(source.where, fields.projection([source.user.path])).sort("_id", way).limit(size))
        for value in fields.pluck(rows, [source.user.path])[source.user.path]:
            name = identity.type_name(identity.coerce(value, source.user.coerce))
            found |= {name} if name else set()
    return found
