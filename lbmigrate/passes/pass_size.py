"""How many documents a pass will read: counted where that is quick, else estimated, and kept until its end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pymongo.collection import Collection
from pymongo.errors import ExecutionTimeout

from lbmigrate.config.model import Source
from lbmigrate.passes.chunks import Span
from lbmigrate.passes.passes import Pass
from lbmigrate.records import Checkpoint, Document
from lbmigrate.rules import unwind
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import evenly

COUNTING_MS = 250  # a bar is not worth more of the server's time
WORTH = 500  # documents; fewer are not worth another chunk
LOOKED_AT = 1_000  # documents from which a share is estimated where counting takes longer


@dataclass(frozen=True, slots=True)
class PassSize:
    """How many documents a pass will read, whether that is an estimate, and how many of them a chunk is to have."""

    documents: int
    estimated: bool
    chunk: int


def kept_size(context: Context, source: Source, current: Pass) -> tuple[PassSize, Checkpoint | None]:
    """The size of an open pass, as it was when it was opened; what to remember where it is new."""
    kept, most = context.state.get(current.row).get("pass", {}), context.config.backfill.chunk_size
    if kept.get("number") == current.number and "documents" in kept:
        return PassSize(kept["documents"], kept.get("estimated", True), most), None
    if (few := _few(context, source, current)) is not None:
        found = PassSize(few, True, evenly(few, most, context.hands(), WORTH))
    else:
        found = PassSize(*size(context, source, current.spans, counted=not current.why), most)
    return found, Checkpoint(current.row, {"pass.documents": found.documents, "pass.estimated": found.estimated})


def _few(context: Context, source: Source, current: Pass) -> int | None:
    """How many documents are in the ranges of a pass, where one chunk for each hand has room for them; else None.

    That an index tells by itself, while which of them are in scope only the documents tell: of so few nobody needs to
    know it before they are read.
    """
    most, found = context.config.backfill.chunk_size * context.hands(), 0
    if source.unwind or any(span.extra or span.key == "_id" for span in current.spans):
        return None
    collection = context.sources[source.collection]
    with suppress(ExecutionTimeout):
        for span in current.spans:
            within = {span.key: {"$gte": span.low, "$lte": span.high}}
            found += int(collection.count_documents(within, limit=most + 1, maxTimeMS=COUNTING_MS))
        return found if found <= most else None
    return None


def size(context: Context, source: Source, spans: Sequence[Span], *, counted: bool = True) -> tuple[int, bool]:
    """How many documents a pass will read, and whether that is an estimate: counting must not delay the work.

    Without `counted` it is estimated, where counting is as much work as reading: each time everything is walked again.
    """
    collection = context.sources[source.collection]
    if not counted:
        return _estimate(collection, source), True
    try:
        return sum(_span_size(collection, source, span) for span in spans), False
    except ExecutionTimeout:
        return _estimate(collection, source), True


def _estimate(collection: Collection[Any], source: Source) -> int:
    """From the number of all documents, and the share of the first ones that meet the source's filter."""
    total = int(collection.estimated_document_count())
    stages: list[Document] = [{"$limit": LOOKED_AT}, {"$match": source.where}, {"$count": "matching"}]
    found = list(collection.aggregate(stages))
    return total * found[0]["matching"] // max(1, min(LOOKED_AT, total)) if found else 0


def _span_size(collection: Collection[Any], source: Source, span: Span) -> int:
    within = span.extra or {span.key: span.within()}
    condition: Document = unwind.within(within, source)
    return int(collection.count_documents(condition, maxTimeMS=COUNTING_MS))
