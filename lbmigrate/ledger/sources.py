"""Where the documents of a source come from, elements of arrays included, and what they are scored as."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.database import Database

from lbmigrate.board.lookup import looked_up
from lbmigrate.config.model import Source
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document, Scored
from lbmigrate.rules import unwind
from lbmigrate.rules.event import former_ids
from lbmigrate.rules.mapped import paths
from lbmigrate.rules.user_ref import user_ids
from lbmigrate.run.context import Context
from lbmigrate.values.ids import NotOne, coerce_ids, in_parts, is_document_id, plain_id
from lbmigrate.values.paths import pluck, projection_of

if TYPE_CHECKING:
    from lbmigrate.values.documents import Documents

MANY = 50  # elements of one document, from which on it is worth to have the server pick some
MOST_BYTES = 400_000  # of names in one question: each is asked for in several forms
CODECS: CodecOptions[Document] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


def read(
    context: Context, source: Source, condition: Document, among: Sequence[Document] = ()
) -> Iterator[list[Document]]:
    """The documents that meet a condition and the source's filter, with just the mapped fields, some at a time.

    `among` are stages that unwound elements go through besides.

    A batch has at most a chunk's number of documents, and no more bytes than the server sends at once (16 MB): memory
    does not follow the size of a document, or the number of its elements. Each comes when it is due by the pace of the
    run. Raises BSONError for a batch with a document that cannot be read.
    """
    for some in _read(context, source, condition, among):
        context.pace.take(len(some), context.stop)
        yield some


def _read(context: Context, source: Source, condition: Document, among: Sequence[Document]) -> Iterator[list[Document]]:
    size = context.pace.batch(context.config.backfill.chunk_size)
    if source.unwind:
        collection, projection = _readable(context)[source.collection], projection_of(paths(source))
        shown = {"$project": {**projection, unwind.POSITION: 1}}
        yield from _aggregated(collection, [{"$match": condition}, *unwind.elements(source), *among, shown], size)
        return
    collection, *asked = _asked(context, source, condition)
    cursor, hint = collection.find(*asked), _index_for(condition)
    yield from _in_batches((cursor.hint(hint) if hint else cursor).batch_size(size + 1), size)


def read_raw(context: Context, source: Source, condition: Document) -> Iterator[Documents]:
    """The same as raw BSON, as the server sends it; not of unwound elements."""
    from lbmigrate.ledger import raw_reads  # noqa: PLC0415  numpy: what is read before anything is scored does without

    asked = _asked(context, source, condition)
    return raw_reads.read(*asked, context.config.backfill.chunk_size + 1, _index_for(condition))


def _asked(context: Context, source: Source, condition: Document) -> tuple[Collection[Any], Document, Document]:
    """Where documents are asked for, how, and for which fields."""
    wanted = {"$and": [condition, source.where]} if source.where else condition
    collection = _readable(context)[source.collection].with_options(codec_options=CODECS)
    return collection, wanted, projection_of(paths(source))


def _index_for(condition: Document) -> Document:
    """Else a planner with an index on the filter's field may scan that whole."""
    return {"_id": 1} if condition.keys() == {"_id"} else {}


def _in_batches(cursor: Cursor[Document], size: int) -> Iterator[list[Document]]:
    """At most `size` documents at a time, and no more than one reply of the server: it tells how many came so far."""
    some: list[Document] = []
    for taken, document in enumerate(cursor, 1):
        some.append(document)
        if len(some) == size or taken == getattr(cursor, "retrieved", None):
            yield some
            some = []
    if some:
        yield some


def _aggregated(collection: Collection[Any], stages: list[Document], size: int) -> Iterator[list[Document]]:
    """The same of a pipeline, whose cursor does not tell that."""
    if is_fake(collection.database):
        found = collection.aggregate(stages)
        while some := list(islice(found, size)):
            yield some
        return
    for raw in collection.aggregate_raw_batches(stages, batchSize=size):
        yield bson.decode_all(raw, CODECS)


def _readable(context: Context) -> Database[Any]:
    if context.live:  # the app wrote a moment ago, and perhaps not to a majority
        return context.sources
    return context.readable()


def at_primary(context: Context) -> Context:
    """The same surroundings for what decides a write by the documents that the primary has."""
    backfill = context.config.backfill.model_copy(update={"read_preference": "primary"})
    return replace(context, config=context.config.model_copy(update={"backfill": backfill}))


def score(context: Context, source: Source, documents: list[Document]) -> Scored:
    """Turn documents, or unwound elements, into events and rejects."""
    from lbmigrate.rules import scoring  # noqa: PLC0415  as above

    ids, former = _names(source, documents)
    origin = "live" if context.live else "backfill"
    config = context.config
    latest = config.backfill.latest(context.clock())
    users = _whom(context, source, documents) if source.user.lookup else None
    scored = scoring.score(documents, source, config.timezone, origin, ids, latest, config.functions, users)
    return replace(scored, former=former)


def _names(source: Source, documents: list[Document]) -> tuple[list[str] | None, dict[str, str]]:
    """Source ids of elements, None for whole documents; and for an event's id how an earlier version wrote it."""
    if source.unwind is None:
        return None, former_ids(source.action, [document.get("_id") for document in documents])
    ids = unwind.element_ids(documents, source.unwind)
    return ids.now, {f"{source.action}:{now}": f"{source.action}:{old}" for now, old in ids.former.items()}


def users_of(context: Context, source: Source, documents: Sequence[Document]) -> list[Any]:
    """The id of the user whom each document names; None for what names nobody."""
    if not source.user.lookup:
        return user_ids(pluck(documents, [source.user.path])[source.user.path], source.user)
    return [None if isinstance(each, NotOne) else each for each in _whom(context, source, documents)]


def _whom(context: Context, source: Source, documents: Sequence[Document]) -> list[Any]:
    """The ids of users who are looked up; for a text that does not name just one user, how many it names."""
    column = pluck(documents, [source.user.path])[source.user.path]
    found = looked_up(context.sources, context.config, source.user, column)
    ids = iter(coerce_ids([each for each in found if not isinstance(each, NotOne)], source.user.coerce))
    return [each if isinstance(each, NotOne) else next(ids) for each in found]


def named(context: Context, source: Source, names: Sequence[Any]) -> Scored:
    """What the documents or elements that these source ids name are scored as now; nothing for what is gone.

    A document that cannot be read has no event, like one that cannot be scored.
    """
    if source.unwind:
        return _named_elements(context, source, {name for name in names if type(name) is str})
    ids = [plain_id(name) for name in names if is_document_id(name)]
    return _in_parts(ids, lambda part: _scored(context, source, part))


def _named_elements(context: Context, source: Source, names: set[str]) -> Scored:
    """Of documents with many elements the server picks those that may be meant; where one is missing, all are read."""
    found = Scored([], [])
    owners = unwind.owners(names)
    if len(names) > MANY * len(owners):
        for some in in_parts(list(names), most_bytes=MOST_BYTES):
            picked = partial(_scored, context, source, names=set(some), among=[unwind.among(some, source)])
            found = _together(found, _in_parts(owners, picked))
        names = names - {name for event in found.events for name in _called(event, found.former)}
        owners = unwind.owners(names)
    return _together(found, _in_parts(owners, partial(_scored, context, source, names=names)))


def _in_parts(ids: list[Any], score_some: Callable[[list[Any]], Scored]) -> Scored:
    found = Scored([], [])
    for part in in_parts(ids):
        found = _together(found, score_some(part))
    return found


def _scored(
    context: Context,
    source: Source,
    ids: list[Any],
    names: Container[str] | None = None,
    among: Sequence[Document] = (),
) -> Scored:
    """What these documents are scored as; with `names` only the elements that have one of them."""
    try:
        found = Scored([], [])
        for some in read(context, source, {"_id": {"$in": ids}}, among):
            scored = score(context, source, some)
            if names is not None:
                kept = [e for e in scored.events if any(name in names for name in _called(e, scored.former))]
                scored = replace(scored, events=kept, rejects=[])
            found = _together(found, scored)
        return found
    except BSONError:
        if len(ids) == 1:
            return Scored([], [])
    half = len(ids) // 2
    halves = [_scored(context, source, part, names, among) for part in (ids[:half], ids[half:])]
    return _together(*halves)


def _called(event: Document, former: Mapping[str, str]) -> list[str]:
    """The names that an element has and had."""
    old = former.get(event["_id"])
    return [event["sourceId"], *([old.partition(":")[2]] if old else [])]


def _together(one: Scored, other: Scored) -> Scored:
    return Scored(one.events + other.events, one.rejects + other.rejects, one.former | other.former)
