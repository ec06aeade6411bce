"""Where the documents of a source come from, elements of arrays included, and what they are scored as."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo.database import Database

from lbmigrate.config.model import Source
from lbmigrate.mongo.client import fresh, readable
from lbmigrate.records import Document, Scored
from lbmigrate.rules import scoring, unwind
from lbmigrate.run.context import Context
from lbmigrate.values.paths import projection_of

CODECS: CodecOptions[Document] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


def read(context: Context, source: Source, condition: Document) -> Iterable[Document]:
    """The documents that meet a condition and the source's filter, with just the mapped fields."""
    collection = _readable(context)[source.collection].with_options(codec_options=CODECS)
    projection = projection_of(scoring.paths(source))
    if source.unwind:
        shown = {"$project": {**projection, unwind.POSITION: 1}}
        return collection.aggregate([{"$match": condition}, *unwind.elements(source), shown])
    cursor = collection.find({"$and": [condition, source.where]} if source.where else condition, projection)
    if condition.keys() == {"_id"}:
        cursor = cursor.hint([("_id", 1)])  # else a planner with an index on the filter's field may scan that whole
    return cursor.batch_size(context.config.backfill.chunk_size + 1)


def _readable(context: Context) -> Database[Any]:
    if context.live:  # the app wrote a moment ago, and perhaps not to a majority
        return fresh(context.sources)
    return readable(context.sources, context.config.backfill.read_preference)


def score(context: Context, source: Source, documents: list[Document]) -> Scored:
    """Turn documents, or unwound elements, into events and rejects."""
    ids = unwind.element_ids(documents, source.unwind) if source.unwind else None
    origin = "live" if context.live else "backfill"
    config = context.config
    latest = config.backfill.latest(context.clock())
    return scoring.score(documents, source, config.timezone, origin, ids, latest, config.functions)
