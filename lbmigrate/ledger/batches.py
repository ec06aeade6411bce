"""Batches of BSON to a server, in commands of our own; those from it: `raw_reads`.

The driver's `find_raw_batches` and `insert_many` make objects for each document, which takes longer than all else that
is done for one. What is unusual in any way, and every fault, is left to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from lbmigrate.ledger.revisions import Update
from lbmigrate.mongo.faults import DUPLICATE_KEY, MAJORITY_LATE, TRANSIENT
from lbmigrate.records import Document
from lbmigrate.values.ids import in_parts

MOST_BYTES = 16_000_000  # of a command of ours: the driver cuts what is larger
MOST_DOCUMENTS, MOST_UPDATES = 50_000, 10_000
UNTOLD = 0  # in place of a term, by a server that tells none
CODECS: CodecOptions[Any] = CodecOptions(RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO)


class Ready(RawBSONDocument):
    """A document that is BSON already, for the driver to copy. Whole ones take three times as long to make."""

    __slots__ = ("raw",)  # in place of a property, which the driver would call

    def __init__(self, raw: bytes) -> None:
        self.raw = raw  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        super().__init__(self.raw, CODECS)  # somebody looks into it: an error, a log
        return object.__getattribute__(self, name)


Terms = list[int | None]
_terms: ContextVar[Terms | None] = ContextVar("terms", default=None)


@contextmanager
def terms() -> Iterator[Terms]:
    """Under which election, by its number, each write of this thread was made; None of one that the driver made.

    The driver does not hand on what a server says of that.
    """
    found: Terms = []
    token = _terms.set(found)
    try:
        yield found
    finally:
        _terms.reset(token)


def _note(reply: Mapping[str, Any] | None) -> None:
    if (noted := _terms.get()) is not None:
        at = reply.get("opTime") if reply else None
        told = at.get("t", UNTOLD) if isinstance(at, Mapping) else UNTOLD
        noted.append(told if reply else None)


def insert(collection: Collection[Any], documents: Sequence[Any]) -> None:
    """Do what `collection.insert_many(documents, ordered=False)` does, and raise what that raises.

    Sent once: what the driver would send again is given to it.
    """
    ready = _ready(collection, documents)
    if ready is None:
        _note(None)
        collection.insert_many(documents, ordered=False)
    elif _answer(collection, "insert", "documents", ready) is None:
        _insert_again(collection, ready)


def change(collection: Collection[Any], updates: Sequence[Update]) -> int:
    """Make changes of one document each; how many changed something. Raises what the driver's `bulk_write` does.

    A server remembers each change that the driver may send again, which is a quarter of its work; not so of these.
    After a fault the driver sends them. None may change again what it has changed (`revisions`): it is not told then.
    """
    if isinstance(collection, Collection) and len(updates) <= MOST_UPDATES:
        reply = _answer(collection, "update", "updates", [{"q": which, "u": how} for which, how in updates])
        if reply is not None:
            return int(reply["nModified"])
    _note(None)
    return collection.bulk_write([UpdateOne(*each) for each in updates], ordered=False).modified_count


def _answer(collection: Collection[Any], verb: str, name: str, parts: Sequence[Any]) -> Document | None:
    """What a server says to a command of ours; None where the same is to be sent again by the driver."""
    command = {verb: collection.name, name: parts, "ordered": False, "writeConcern": collection.write_concern.document}
    try:
        reply: Document = collection.database.command(command, codec_options=collection.codec_options)
    except (PyMongoError, InvalidDocument):
        return None
    late, refused = reply.get("writeConcernError"), reply.get("writeErrors", ())
    if any(each["code"] in TRANSIENT for each in refused) or (late and late["code"] not in MAJORITY_LATE):
        return None
    if refused or late:
        told = [{**each, "op": parts[each["index"]]} for each in refused]
        raise BulkWriteError({"writeErrors": told, "writeConcernErrors": [late] if late else []})
    _note(reply)
    return reply


def _ready(collection: Collection[Any], documents: Sequence[Any]) -> Sequence[Ready] | None:
    """The documents as BSON, if all of them fit into one command."""
    if not isinstance(collection, Collection) or len(documents) > MOST_DOCUMENTS:
        return None
    how = collection.codec_options
    ready = [each if type(each) is Ready else Ready(bson.encode(each, codec_options=how)) for each in documents]
    return ready if sum(len(each.raw) for each in ready) <= MOST_BYTES else None


def _insert_again(collection: Collection[Any], documents: Sequence[Ready]) -> None:
    """Insert them after a command of which nobody knows what it did: an insert is idempotent by `_id`.

    What is there as it was sent, byte for byte, is what that command has inserted, and no duplicate.
    """
    _note(None)
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
