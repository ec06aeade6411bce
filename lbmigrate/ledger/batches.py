"""Batches of BSON to a server, in commands of our own; those from it: `raw_reads`.

The driver's `find_raw_batches` and `insert_many` make objects for each document, which takes longer than all else that
is done for one. What is unusual in any way, and every fault, is left to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from lbmigrate.mongo.faults import DUPLICATE_KEY, MAJORITY_LATE, TRANSIENT
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
