"""A chunk of source documents becomes score events: read, score, insert, ignore duplicates, account for every one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from lbmigrate import fields, identity, mongo, scoring
from lbmigrate.chunks import Bounds
from lbmigrate.config import Source
from lbmigrate.context import Context
from lbmigrate.errors import LbmigrateError, Refused
from lbmigrate.models import Checkpoint, Counts, Document, Reject, Scored
from lbmigrate.schema import EVENTS, REJECTS

DUPLICATE_KEY = 11000
POSITION = "__position"  # where $unwind leaves an element's index


@dataclass(frozen=True, slots=True)
class Emitted:
    """What came of a chunk: its counts, whose entries may have changed, and how long it took."""

    row: str
    counts: Counts
    users: list[Any]
    seconds: float

    def checkpoint(self, context: Context) -> Checkpoint:
        closed = {
            "status": "emitted",
            "counts": asdict(self.counts),
            "users": self.users,
            "seconds": round(self.seconds, 3),
            "closedAt": context.clock(),
        }
        return Checkpoint(self.row, closed)


def emit(
    context: Context, source: Source, row: str, bounds: Bounds, seen_before: bool, one_type: OneUserType
) -> Emitted:
    """Score one chunk. `seen_before`: its events may be in the ledger already, so it asks before it inserts."""
    began = time.monotonic()
    documents = read(context.sources, source, bounds)
    scored = score(context, source, documents)
    inside = [event for event in scored.events if context.scope.covers(event["createdAt"])]
    one_type.check(inside, source)
    new, known = _split_known(context.target, inside) if seen_before else (inside, [])
    added = insert(mongo.durable(context.target)[EVENTS], new)
    _keep_rejects(context, source, scored.rejects)
    counts = Counts(
        read=len(documents),
        emitted=added,
        duplicates=len(inside) - added,
        rejected=len(scored.rejects),
        skipped=len(scored.events) - len(inside),
        approximate=sum("approximate" in event["meta"] for event in new),
    )
    # A chunk that was tried before may have died between insert and checkpoint: its known events count as touched.
    users = list({event["userId"] for event in (inside if known else new)})
    return Emitted(row, counts, users, time.monotonic() - began)


def read(database: Database[Any], source: Source, bounds: Bounds) -> list[Document]:
    """The chunk's documents that meet the source's filter, with just the mapped fields."""
    options: CodecOptions[Document] = CodecOptions(
        uuid_representation=UuidRepresentation.STANDARD, datetime_conversion=DatetimeConversion.DATETIME_AUTO
    )
    collection = mongo.durable(database)[source.collection].with_options(codec_options=options)
    projection = fields.projection(scoring.paths(source))
    if source.unwind:
        return list(collection.aggregate(_unwinding(source, bounds, projection)))
    parts = [part for part in (bounds.condition(), bounds.extra, source.where) if part]
    cursor = collection.find({"$and": parts}, projection)
    if bounds.key == "_id" and not bounds.extra:
        cursor = cursor.hint([("_id", 1)])  # else a planner with an index on the filter's field may scan that whole
    return list(cursor)


def _unwinding(source: Source, bounds: Bounds, projection: Document) -> list[Document]:
    """The filter follows the $unwind, so that it speaks of single elements."""
    within = {"$and": [part for part in (bounds.condition(), bounds.extra) if part]}
    unwind = {"path": f"${source.unwind}", "includeArrayIndex": POSITION}
    wanted = [{"$match": source.where}] if source.where else []
    return [{"$match": within}, {"$unwind": unwind}, *wanted, {"$project": {**projection, POSITION: 1}}]


def score(context: Context, source: Source, documents: list[Document]) -> Scored:
    """Turn documents, or unwound elements, into events and rejects."""
    ids = scoring.element_ids(documents, source.unwind, POSITION) if source.unwind else None
    return scoring.score(documents, source, context.config.timezone, source_ids=ids)


def _split_known(database: Database[Any], events: list[Document]) -> tuple[list[Document], list[Document]]:
    """Events that the ledger lacks, and those that it has. Asking costs a third of inserting in vain."""
    wanted = {"_id": {"$in": [event["_id"] for event in events]}}
    known = {row["_id"] for row in mongo.durable(database)[EVENTS].find(wanted, {"_id": 1})} if events else set()
    return [e for e in events if e["_id"] not in known], [e for e in events if e["_id"] in known]


def insert(events: Collection[Any], documents: Sequence[Document]) -> int:
    """Insert events and tell how many were new. Idempotent: the `_id` names the action, so a repeat is a no-op."""
    if not documents:
        return 0
    try:
        events.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        failures = error.details["writeErrors"]
        for failure in failures:
            if failure["code"] != DUPLICATE_KEY:
                raise LbmigrateError(
                    f"{events.name} refused event {failure['op']['_id']!r}: {failure['errmsg']}", hint="lbmigrate plan"
                ) from error
        return len(documents) - len(failures)
    return len(documents)


def _keep_rejects(context: Context, source: Source, rejects: Sequence[Reject]) -> None:
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
    written; what the sample missed is refused when its chunk is scored, before that chunk is written.
    """

    def __init__(self, context: Context) -> None:
        self._places: dict[str, str] = {}
        first = context.target[EVENTS].find_one({}, {"userId": 1})
        if first:
            self._places[identity.type_name(first["userId"]) or "unknown"] = f"{EVENTS}.userId"
        for source in context.config.sources:
            self._see(_sampled_types(context, source), source)

    def check(self, events: Sequence[Document], source: Source) -> None:
        """Raise Refused, with the mend, when the users of these events are not of the known type."""
        examples = {type(event["userId"]): event["userId"] for event in events}
        self._see({identity.type_name(user) or "unknown" for user in examples.values()}, source)

    def _see(self, kinds: set[str], source: Source) -> None:
        for kind in sorted(kinds):
            self._places.setdefault(kind, f"{source.collection}.{source.user.path}")
        if len(self._places) > 1:
            told = ", ".join(f"{place} holds {kind}" for kind, place in self._places.items())
            raise Refused(
                f"user ids are of {len(self._places)} types: {told}",
                hint="make them one with `user: {path: …, as: string}` (or `as: objectId`) in each of those sources",
            )


def _sampled_types(context: Context, source: Source, size: int = 500) -> set[str]:
    """The types of user ids, as scoring would coerce them, at both ends of a source."""
    collection = context.sources[source.collection]
    found: set[str] = set()
    for way in (1, -1):
        rows = list(collection.find(source.where, fields.projection([source.user.path])).sort("_id", way).limit(size))
        for value in fields.pluck(rows, [source.user.path])[source.user.path]:
            name = identity.type_name(identity.coerce(value, source.user.coerce))
            found |= {name} if name else set()
    return found
