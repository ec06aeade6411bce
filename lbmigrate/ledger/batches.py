"""Batches of BSON from a server and to it, in commands of our own.

The driver's `find_raw_batches` and `insert_many` make objects for each document, which takes longer than all else that
is done for one. What is unusual in any way, and every fault, is left to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pymongo
from bson import Int64
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from lbmigrate.mongo.faults import DUPLICATE_KEY, MAJORITY_LATE, TRANSIENT
from lbmigrate.records import Document
from lbmigrate.values.documents import Documents, in_reply, one_after_another
from lbmigrate.values.ids import in_parts

MOST_BYTES = 16_000_000  # of a command of ours: the driver cuts what is larger
MOST_DOCUMENTS = 50_000
CODECS: CodecOptions[Any] = CodecOptions(RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO)


class Ready(RawBSONDocument):
    """A document that is BSON already, for the driver to copy. Whole ones take three times as long to make."""

    __slots__ = ("raw",)  # in place of a property, which the driver would call

    def __init__(self, raw: bytes) -> None:
        self.raw = raw  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        super().__init__(self.raw, CODECS)  # somebody looks into it: an error, a log
        return object.__getattribute__(self, name)


class Reply(RawBSONDocument):
    """A reply whose documents are not decoded. An error that quotes it says what it would say of a dict."""

    def __repr__(self) -> str:
        return repr({**self})


# --- from it -------------------------------------------------------------------------------------------------------


def read(
    collection: Collection[Any], condition: Document, projection: Document, size: int, index: Document | None = None
) -> Iterator[Documents]:
    """Documents that meet a condition, at most `size` at a time, with the concerns and the codecs of the collection.

    A server is told to use `index`, if one is named.
    """
    asked = {"find": collection.name, "filter": condition, "projection": projection, "batchSize": size}
    with collection.database.client.start_session(causal_consistency=False) as session:
        ask = partial(_answer, collection, session)
        try:
            found = ask(asked | ({"hint": index} if index else {})) if _is_plain(collection) else None
        except (BSONError, PyMongoError):
            found = None
        if found is not None:
            end = partial(_end, collection, session)
            yield from _all_of(ask, *found, {"collection": collection.name, "batchSize": size}, end)
            return
    cursor = collection.find_raw_batches(condition, projection, batch_size=size)
    for raw in cursor.hint([*index.items()]) if index else cursor:
        if raw:
            yield one_after_another(raw)


def _is_plain(collection: Collection[Any]) -> bool:
    """Whether each command goes to the same server. The driver remembers where a cursor is; we do not."""
    client = collection.database.client
    somewhere = client.options.load_balanced or collection.read_preference != ReadPreference.PRIMARY
    return not somewhere and not client.is_mongos


def _answer(collection: Collection[Any], session: ClientSession, command: Document) -> tuple[Documents, int]:
    """The documents in the answer to a command, and the number of the cursor, 0 where that has ended."""
    codecs = collection.codec_options.with_options(document_class=Reply)
    concern = {"readConcern": collection.read_concern.document} if "find" in command else {}
    reply = collection.database.command(command | concern, codec_options=codecs, session=session)
    documents, rest = in_reply(bytes(reply["cursor"].raw))
    return documents, rest["id"]


def _all_of(
    ask: Callable[[Document], tuple[Documents, int]],
    some: Documents,
    cursor: int,
    more: Document,
    end: Callable[[int], object],
) -> Iterator[Documents]:
    try:
        while True:
            if len(some):
                yield some
            if not cursor:
                return
            with pymongo.timeout(None):  # a server refuses a limit here; whoever has one looks at it between batches
                some, cursor = ask({"getMore": Int64(cursor), **more})
    except (GeneratorExit, PyMongoError):  # nobody wants the rest, or can have it
        if cursor:
            end(cursor)
        raise


def _end(collection: Collection[Any], session: ClientSession, cursor: int) -> None:
    """Tell the server that nobody reads on: it would keep the cursor for minutes. It may not answer."""
    with suppress(PyMongoError):
        collection.database.command({"killCursors": collection.name, "cursors": [Int64(cursor)]}, session=session)


# --- to it ---------------------------------------------------------------------------------------------------------


def insert(collection: Collection[Any], documents: Sequence[Any]) -> None:
    """Do what `collection.insert_many(documents, ordered=False)` does, and raise what that raises.

    Sent once: what the driver would send again is given to it.
    """
    if not _is_ready(documents):
        collection.insert_many(documents, ordered=False)
        return
    command = {
        "insert": collection.name,
        "documents": documents,
        "ordered": False,
        "writeConcern": collection.write_concern.document,
    }
    try:
        reply = collection.database.command(command, codec_options=collection.codec_options)
    except PyMongoError:
        reply = {}
    late, refused = reply.get("writeConcernError"), reply.get("writeErrors", ())
    passing = any(each["code"] in TRANSIENT for each in refused)
    if not reply or passing or (late and late["code"] not in MAJORITY_LATE):
        _insert_again(collection, documents)
        return
    refused = [{**each, "op": documents[each["index"]]} for each in refused]
    if refused or late:
        raise BulkWriteError({"writeErrors": refused, "writeConcernErrors": [late] if late else []})


def _is_ready(documents: Sequence[Any]) -> bool:
    """Whether these are BSON already, and fit into one command."""
    if type(documents[0]) is not Ready or len(documents) > MOST_DOCUMENTS:
        return False
    return sum(len(each.raw) for each in documents) <= MOST_BYTES


def _insert_again(collection: Collection[Any], documents: Sequence[Ready]) -> None:
    """Insert them after a command of which nobody knows what it did: an insert is idempotent by `_id`.

    What is there as it was sent, byte for byte, is what that command has inserted, and no duplicate.
    """
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        refused = error.details["writeErrors"]
        there = _stored(collection, [each["op"]["_id"] for each in refused if each["code"] == DUPLICATE_KEY])
        left = [each for each in refused if each["op"].raw not in there]
        if left or error.details.get("writeConcernErrors"):
            raise BulkWriteError({**error.details, "writeErrors": left}) from error


def _stored(collection: Collection[Any], ids: Sequence[Any]) -> set[bytes]:
    """These documents, as they are stored."""
    raw = collection.with_options(codec_options=CODECS)
    return {bytes(each.raw) for some in in_parts(ids) for each in raw.find({"_id": {"$in": some}})}
