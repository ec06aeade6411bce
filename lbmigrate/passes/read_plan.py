"""What a pass reads: all of a source, what changed since its watermark, or what was asked for.

Where no index orders a source in time, the plan says why and walks everything: it never guesses.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from bson import json_util
from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from lbmigrate.board.lookup import naming
from lbmigrate.config.model import Source
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.mongo.faults import NOT_ON_A_VIEW
from lbmigrate.passes import watermark
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.chunks import NO_RANGE, UNORDERED, Span
from lbmigrate.passes.ends import came_behind, end, ends, ends_of
from lbmigrate.passes.watermark import Mark
from lbmigrate.records import Document
from lbmigrate.rules import unwind
from lbmigrate.run.context import Context, Scope
from lbmigrate.values.bounds import above, below
from lbmigrate.values.brackets import TYPES
from lbmigrate.values.coerce import MILLISECONDS_FROM
from lbmigrate.values.ids import parse_id


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A pass before it is cut: its spans, the watermark it will leave, and, where it must walk everything, why.

    A `whole` one reads a source from end to end, or from where the board begins: for the first time, or once more
    because that was asked for or because other rules are in force. `ends` are those of the ids (`passes.ends`).
    """

    spans: tuple[Span, ...]
    watermark: dt.datetime | None
    why: str = ""
    whole: bool = False
    ends: list[Any] | None = None


def read_plan(context: Context, source: Source, started: dt.datetime) -> ReadPlan:
    """What the next pass over a source reads. `started` is the server's time now; nothing is written."""
    collection = context.sources[source.collection]
    mark = Mark(None) if context.scope.full else watermark.mark(context, source)
    seekable = is_indexed(collection, source.cursor) and not unwind.orders_nothing(source)
    following = newest(collection, source.cursor, started) if seekable else started
    if context.scope.user is not None:
        return ReadPlan((_of_user(context, context.scope.user, source),), following)
    if context.scope.bounded:
        return ReadPlan(*_between(collection, source, context.scope))
    if mark.value is None:
        spans, latest = _whole(context, collection, source)
        return ReadPlan(spans, following, mark.why, whole=True, ends=latest)
    if not seekable:
        reason = "is inside the unwound array" if unwind.orders_nothing(source) else "has no index"
        told = f"{source.collection}.{source.cursor} {reason}"
        spans = everything(collection)
        return ReadPlan(spans, following, told, ends=ends_of(collection, spans))
    latest = ends(collection)  # before the spans: what comes in between is in these, and behind the ends
    since = before(mark.value, context.late())
    late = came_behind(context, source, [{source.cursor: each} for each in ranges(since)])
    return ReadPlan((*_since(collection, source.cursor, since), *late), following, ends=latest)


def before(mark: dt.datetime, lag: dt.timedelta) -> dt.datetime:
    """`mark` less `lag`, and no earlier than there are datetimes: some apps write the year 1 for never."""
    return mark - min(lag, mark - dt.datetime.min)


def is_indexed(collection: Collection[Any], key: str) -> bool:
    """Whether some full index starts with `key`, so that a range of it is a seek and not a scan."""
    ordered = ((key, 1), (key, -1))  # a hashed index has no ranges
    return key == "_id" or any(
        tuple(spec["key"][0]) in ordered
        and not {"sparse", "partialFilterExpression", "hidden"} & spec.keys()
        and not _is_multikey(collection, name, key)
        for name, spec in _indexes(collection).items()
    )


def _indexes(collection: Collection[Any]) -> Mapping[str, Any]:
    try:
        return collection.index_information()
    except OperationFailure as error:
        if error.code != NOT_ON_A_VIEW:
            raise
        return {}


def _is_multikey(collection: Collection[Any], index: str, key: str) -> bool:
    """Whether some document has an array there: then it stands in the index several times, and no value orders it."""
    if is_fake(collection.database):
        places = accumulate(key.split("."), "{}.{}".format)
        return collection.find_one({"$or": [{place: {"$type": "array"}} for place in places]}) is not None
    plan = collection.find({}).hint(index).limit(1).explain()["queryPlanner"]["winningPlan"]
    return '"isMultiKey": true' in json_util.dumps(plan)


def _of_user(context: Context, user: str, source: Source) -> Span:
    return Span("_id", extra=naming(context.sources, context.config, source.user, parse_id(user)))


def _whole(context: Context, collection: Collection[Any], source: Source) -> tuple[tuple[Span, ...], list[Any]]:
    """All of a source with the ends of its ids; what was before the board begins is spared where an index allows it."""
    if here := beginning(context):
        latest = ends(collection)
        return _between(collection, source, Scope(since=here.at))[0], latest
    spans = everything(collection)
    return spans, ends_of(collection, spans)


def _between(collection: Collection[Any], source: Source, scope: Scope) -> tuple[tuple[Span, ...], None, str]:
    """A bounded backfill seeks on the time of the action; only where it falls back on other fields must it walk."""
    key = source.at[0]
    if len(source.at) > 1 or not source.moments[0].is_plain or source.unwind or not is_indexed(collection, key):
        return everything(collection), None, f"{source.collection}: no one indexed field holds the time"
    since = scope.since or dt.datetime(1, 1, 1)
    return _since(collection, key, since), None, ""


def everything(collection: Collection[Any]) -> tuple[Span, ...]:
    """The whole collection in `_id` order, one span for each type of `_id` in it.

    Null is a type of one; so are NaN, and what no bound can have.
    """
    apart = [{"_id": kind} for kind in (None, math.nan, *UNORDERED) if collection.find_one({"_id": kind}, {"_id": 1})]
    spans = [span for name in TYPES for span in bracket(collection, "_id", {"_id": {"$type": name}})]
    return (*(Span("_id", extra=each) for each in apart), *spans)


def bracket(collection: Collection[Any], key: str, condition: Document) -> list[Span]:
    """From the first to the last value of `key` that meets the condition: one span, or none."""
    first = end(collection, key, condition, 1)
    last = None if first is None else end(collection, key, condition, -1)
    return [] if last is None else [Span(key, below(first), above(last))]


def _since(collection: Collection[Any], key: str, since: dt.datetime) -> tuple[Span, ...]:
    """Dates from `since` on, epoch numbers from it on, and every document whose key tells no order in time."""
    spans = [span for wanted in ranges(since) for span in bracket(collection, key, {key: wanted})]
    # An array counts by its elements; only the empty one must be asked for, and `$type: array` no index can answer.
    timeless: list[Document] = [{key: None}, {key: []}, {key: math.nan}]
    timeless += [{key: {"$type": ["regex", *NO_RANGE["$type"]]}}]
    timeless += [{key: {"$type": name}} for name in TYPES if name not in ("date", "number")]
    if not collection.find_one({"$or": timeless}, {"_id": 1}):  # asked together first: mostly there are none
        return tuple(spans)
    return tuple(spans) + tuple(
        Span("_id", extra=condition) for condition in timeless if collection.find_one(condition, {"_id": 1})
    )


def ranges(since: dt.datetime) -> list[Document]:
    """What a field is asked for that tells a time from `since` on: as a date, in epoch seconds or milliseconds."""
    seconds = since.replace(tzinfo=dt.UTC).timestamp()
    later = {"$gte": max(seconds * 1000, MILLISECONDS_FROM)}
    return [{"$gte": since}, {"$gte": seconds, "$lt": MILLISECONDS_FROM}, later]


def newest(collection: Collection[Any], key: str, started: dt.datetime) -> dt.datetime:
    """The newest date in the cursor field, but never one ahead of the server's clock."""
    last = above(end(collection, key, {key: {"$type": "date"}}, -1))
    return min(started, last) if isinstance(last, dt.datetime) else started
