"""Where the documents of a source come from, elements of arrays included, and what they are scored as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from pymongo.database import Database

from lbmigrate.config.model import Source
from lbmigrate.mongo.concerns import fresh, is_fake, readable
from lbmigrate.records import Document, Scored
from lbmigrate.rules import scoring, unwind
from lbmigrate.rules.event import former_ids
from lbmigrate.run.context import Context
from lbmigrate.values.ids import in_parts, is_document_id, plain_id
from lbmigrate.values.paths import projection_of

CODECS: CodecOptions[Document] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


def read(context: Context, source: Source, condition: Document) -> Iterator[list[Document]]:
    """The documents that meet a condition and the source's filter, with just the mapped fields, some at a time.

    A batch has at most a chunk's number of documents, and no more bytes than the server sends at once (16 MB): memory
    does not follow the size of a document, or the number of its elements. Raises BSONError for a batch with a document
    that cannot be read.
    """
    size = context.config.backfill.chunk_size
    found = _found(context, source, condition, size)
    if is_fake(context.sources):
        while some := list(islice(found, size)):
            yield some
        return
    for raw in found:
        documents = bson.decode_all(raw, CODECS)
        yield from (documents[start : start + size] for start in range(0, len(documents), size))


def _found(context: Context, source: Source, condition: Document, size: int) -> Iterator[Any]:
    """Documents of the fake, raw batches of a server."""
    collection = _readable(context)[source.collection]
    fake = is_fake(context.sources)
    projection = projection_of(scoring.paths(source))
    if source.unwind:
        shown = {"$project": {**projection, unwind.POSITION: 1}}
        stages = [{"$match": condition}, *unwind.elements(source), shown]
        return collection.aggregate(stages) if fake else collection.aggregate_raw_batches(stages, batchSize=size)
    wanted = {"$and": [condition, source.where]} if source.where else condition
    cursor = (collection.find if fake else collection.find_raw_batches)(wanted, projection)
    if condition.keys() == {"_id"}:
        cursor = cursor.hint([("_id", 1)])  # else a planner with an index on the filter's field may scan that whole
    return cursor.batch_size(size + 1)


def _readable(context: Context) -> Database[Any]:
    if context.live:  # the app wrote a moment ago, and perhaps not to a majority
        return fresh(context.sources)
    return readable(context.sources, context.config.backfill.read_preference)


def score(context: Context, source: Source, documents: list[Document]) -> Scored:
    """Turn documents, or unwound elements, into events and rejects."""
    ids, former = _names(source, documents)
    origin = "live" if context.live else "backfill"
    config = context.config
    latest = config.backfill.latest(context.clock())
    scored = scoring.score(documents, source, config.timezone, origin, ids, latest, config.functions)
    return replace(scored, former=former)


def _names(source: Source, documents: list[Document]) -> tuple[list[str] | None, dict[str, str]]:
    """Source ids of elements, None for whole documents; and for an event's id how an earlier version wrote it."""
    if source.unwind is None:
        return None, former_ids(source.action, [document.get("_id") for document in documents])
    ids = unwind.element_ids(documents, source.unwind)
    return ids.now, {f"{source.action}:{now}": f"{source.action}:{old}" for now, old in ids.former.items()}


def named(context: Context, source: Source, names: Sequence[Any]) -> Scored:
    """What the documents that these source ids name are scored as now; nothing for those that are gone or out of scope.

    Where the source unwinds, all elements of those documents. A document that cannot be read has no event, like one
    that cannot be scored.
    """
    ids = unwind.owners(names) if source.unwind else [plain_id(name) for name in names if is_document_id(name)]
    found = Scored([], [])
    for part in in_parts(ids):
        found = _together(found, _scored(context, source, part))
    return found


def _scored(context: Context, source: Source, ids: list[Any]) -> Scored:
    try:
        found = Scored([], [])
        for some in read(context, source, {"_id": {"$in": ids}}):
            found = _together(found, score(context, source, some))
        return found
    except BSONError:
        if len(ids) == 1:
            return Scored([], [])
    half = len(ids) // 2
    return _together(_scored(context, source, ids[:half]), _scored(context, source, ids[half:]))


def _together(one: Scored, other: Scored) -> Scored:
    return Scored(one.events + other.events, one.rejects + other.rejects, one.former | other.former)
