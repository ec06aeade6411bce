"""What a backfill would read of a source, before it reads anything. Only looks; never writes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from lbmigrate.config.model import Source
from lbmigrate.mongo.client import server_time
from lbmigrate.passes import passes
from lbmigrate.passes.read_plan import is_indexed, read_plan
from lbmigrate.records import amount
from lbmigrate.run.context import Context


@dataclass(frozen=True, slots=True)
class SourceOutlook:
    """What a backfill would read of a source: documents in scope, chunks, how, and where its watermark stands."""

    name: str
    collection: str
    documents: int
    estimated: bool
    chunks: int
    way: str
    watermark: dt.datetime | None

    @property
    def amount(self) -> str:
        return ("about " if self.estimated else "") + amount(self.documents, "document")


def outlook(context: Context, source: Source) -> SourceOutlook:
    """What the next pass over a source would read. Counting is given up where it takes long; then it is an estimate."""
    found = read_plan(context, source, server_time(context.sources))
    watermark = context.state.watermark(source.name).get("value")
    documents, estimated = passes.size(context, source, found.spans)
    size = context.config.backfill.chunk_size
    way = f"everything by _id: {found.why}" if found.why else "everything by _id"
    if watermark is not None and not found.why:
        way = f"what changed since {watermark - context.config.backfill.lag:%Y-%m-%dT%H:%M:%SZ}"
    return SourceOutlook(source.name, source.collection, documents, estimated, -(-documents // size), way, watermark)


def changed(context: Context, source: Source, watermark: dt.datetime) -> int:
    """How many documents in scope are newer than the watermark; not asked where that would scan the collection."""
    collection = context.sources[source.collection]
    if source.unwind or not is_indexed(collection, source.cursor):
        return 0
    return collection.count_documents({"$and": [{source.cursor: {"$gt": watermark}}, source.where]})
