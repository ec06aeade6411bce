"""What a backfill would read of a source, before it reads anything. Only looks; never writes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from lbmigrate.config.model import Source
from lbmigrate.mongo.client import server_time
from lbmigrate.passes import pass_size, watermark
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.read_plan import ReadPlan, is_indexed, read_plan
from lbmigrate.records import amount
from lbmigrate.run.context import Context


@dataclass(frozen=True, slots=True)
class SourceOutlook:
    """What a backfill would read of a source: documents in scope, chunks, how, and where its watermark stands.

    `anew` is why the watermark does not hold, and so everything is read once more; empty where it does.
    """

    name: str
    collection: str
    documents: int
    estimated: bool
    chunks: int
    way: str
    watermark: dt.datetime | None
    anew: str = ""

    @property
    def amount(self) -> str:
        return ("about " if self.estimated else "") + amount(self.documents, "document")


def outlook(context: Context, source: Source) -> SourceOutlook:
    """What the next pass over a source would read. Counting is given up where it takes long; then it is an estimate."""
    found = read_plan(context, source, server_time(context.sources))
    mark = watermark.mark(context, source)
    documents, estimated = pass_size.size(context, source, found.spans)
    chunks = -(-documents // context.config.backfill.chunk_size)
    way = _way(context, found, mark.value)
    return SourceOutlook(source.name, source.collection, documents, estimated, chunks, way, mark.value, mark.why)


def _way(context: Context, found: ReadPlan, mark: dt.datetime | None) -> str:
    if mark is not None and not found.why:
        return f"what changed since {mark - context.late():%Y-%m-%dT%H:%M:%SZ}"
    here = beginning(context)
    way = f"all from {here.at:%Y-%m-%d} on" if here and mark is None else "everything by _id"
    return f"{way}: {found.why}" if found.why else way


def changed(context: Context, source: Source, since: dt.datetime) -> int:
    """How many documents in scope are newer than the watermark; not asked where that would scan the collection."""
    collection = context.sources[source.collection]
    if source.unwind or not is_indexed(collection, source.cursor):
        return 0
    return collection.count_documents({"$and": [{source.cursor: {"$gt": since}}, source.where]})
