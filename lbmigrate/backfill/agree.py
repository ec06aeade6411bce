"""Whether a range of a source and the ledger agree by number: what qualifies there, what stands here, what is rejected.

An action stands from its event on until an adjustment takes it back. Where as many stand, or are rejected, as documents
qualify, the range is taken to agree; where one is missing and another was undone, it does so by accident.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bson import Binary, ObjectId

from lbmigrate.config.model import Source
from lbmigrate.ledger import rejects
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.passes.chunks import Bounds
from lbmigrate.records import Document
from lbmigrate.rules import unwind
from lbmigrate.rules.adjustments import stand
from lbmigrate.rules.event import of_action
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENT, EVENTS, REJECTS
from lbmigrate.values.id_text import as_uuid, plain_text


def has_order(value: Any) -> bool:
    """Whether ids of this kind sort as the texts do that events have of them, so that a range of one is one of both."""
    if isinstance(value, Binary):
        return as_uuid(value) is not None
    return isinstance(value, ObjectId | UUID) or type(value) is str


def range_agrees(context: Context, sources: Sequence[Source], bounds: Bounds) -> bool:
    """Whether a range agrees of what these sources score, which are all of one action. Ids of it must have an order."""
    action = sources[0].action
    low, high = f"{action}:{plain_text(bounds.low)}", f"{action}:{plain_text(bounds.high)}"
    condition = bounds.condition()
    documents = _documents(context, sources, condition)
    standing = _standing(context, {"_id": {"$gte": low, "$lt": _end(high, bounds)}})
    return documents == standing + sum(_rejected(context, source, bounds) for source in sources)


def action_agrees(context: Context, sources: Sequence[Source]) -> bool:
    """The same of all that these sources have."""
    documents = _documents(context, sources, {})
    rejected = sum(_count(context, rejects.of_source(source)) for source in sources)
    return documents == _standing(context, of_action(sources[0].action)) + rejected


def _end(high: str, bounds: Bounds) -> str:
    """What the texts are below: where the last id belongs to the range, so do its adjustments and its elements.

    These go on with `#` and with `/`, and the next character after both is `0`.
    """
    return f"{high}0" if bounds.closed else high


def _documents(context: Context, sources: Sequence[Source], condition: Document) -> int:
    """How many documents, or elements of some, qualify: one that does for several sources of a collection counts once.

    Sources of one action are of one collection.
    """
    arrays = [source for source in sources if source.unwind]
    wheres = [source.where for source in sources if not source.unwind]
    whole = [[{"$match": {"$or": wheres}}]] if wheres else []
    ways = [*whole, *map(unwind.elements, arrays)]
    return sum(_number(context, sources[0], condition, stages) for stages in ways)


def _number(context: Context, source: Source, condition: Document, then: list[Document]) -> int:
    stages = [{"$match": condition}, *then, {"$count": "n"}]
    hint: Document = {"hint": {"_id": 1}} if condition.keys() == {"_id"} and not is_fake(context.sources) else {}
    collection = context.readable()[source.collection]
    return sum(row["n"] for row in collection.aggregate(stages, **hint))


def _standing(context: Context, within: Document) -> int:
    """How many actions stand in a range of the ledger."""
    ledger, asked = context.target[EVENTS], {**within, **EVENT}
    if is_fake(context.target):
        return sum(stand(event["meta"].get("reason"), event["points"]) for event in ledger.find(asked))
    sign = {"$cmp": ["$points", 0]}
    grouped = [{"$match": asked}, {"$group": {"_id": {"reason": "$meta.reason", "sign": sign}, "n": {"$sum": 1}}}]
    return sum(stand(row["_id"].get("reason"), row["_id"]["sign"]) * row["n"] for row in ledger.aggregate(grouped))


def _rejected(context: Context, source: Source, bounds: Bounds) -> int:
    low, high = rejects.row_id(source, bounds.low), rejects.row_id(source, bounds.high)
    return _count(context, {"_id": {"$gte": low, "$lt": _end(high, bounds)}})


def _count(context: Context, condition: Document) -> int:
    return context.target[REJECTS].count_documents(condition)
