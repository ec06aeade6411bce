"""Batches of BSON, and changes, to a server in commands of our own; what comes from it: `raw_reads`.

The driver's `find_raw_batches` and `insert_many` make objects for each document, which takes longer than all else that
is done for one. What is unusual in any way, and every fault, is left to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, PyMongoError

from lbmigrate.ledger.revisions import Update
from lbmigrate.mongo.faults import DUPLICATE_KEY, MAJORITY_LATE, TRANSIENT
from lbmigrate.mongo.shards import is_in_a_set
from lbmigrate.records import Document
from lbmigrate.values.ids import in_parts

MOST_BYTES = 16_000_000  # of a command of ours: the driver cuts what is larger
MOST_DOCUMENTS = 50_000
MOST_UPDATES = 1_000  # of a command; entries have some kilobytes at most, so it stays below what a server takes
UNTOLD = 0  # in place of a term, where the server told none
CODECS: CodecOptions[Any] = CodecOptions(RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_AUTO)


class Ready(RawBSONDocument):
    """A document that is BSON already, for the driver to copy. Whole ones take three times as long to make."""

    __slots__ = ("raw",)  # in place of a property, which the driver would call

    def __init__(self, raw: bytes) -> None:
        self.raw = raw  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        if name == "raw":  # a copy that is being made has none yet
            raise AttributeError(name)
        super().__init__(self.raw, CODECS)  # somebody looks into it: an error, a log
        return object.__getattribute__(self, name)


Terms = list[int]
_terms: ContextVar[Terms | None] = ContextVar("terms", default=None)


@contextmanager
def once() -> Iterator[Terms]:
    """Within the block this thread's commands of ours are sent once, and what fails is raised, with no second try.

    (But for what a server has refused before it did anything, because it is overloaded: the driver sends that again.)

    Yields under which election, by its number, each of them has written.
    """
    found: Terms = []
    token = _terms.set(found)
    try:
        yield found
    finally:
        _terms.reset(token)


def insert(collection: Collection[Any], documents: Sequence[Any]) -> None:
    """Do what `collection.insert_many(documents, ordered=False)` does, and raise what that raises.

    Sent once: what the driver would send again is given to it.
    """
    if not _is_ready(documents):
        collection.insert_many(documents, ordered=False)
    elif _answer(collection, "insert", "documents", documents) is None:
        _insert_again(collection, documents)


def insert_one(collection: Collection[Any], document: Document) -> None:
    """Insert a document of a size that fits, within `once`. After a fault nobody knows whether it is there."""
    _answer(collection, "insert", "documents", [document])


def change(collection: Collection[Any], updates: Sequence[Update]) -> int:
    """Make changes of one document each; how many changed something. Raises what the driver's `bulk_write` does.

    A server remembers each change that the driver may send again, which is a quarter of its work; not so of these.
    After a fault the driver sends them again. None may change again what it has changed (`revisions`), so what was
    changed before the fault is not among those that are told.
    A router sends a change that it need not remember to all shards, also to one that has handed the document on.
    """
    if not isinstance(collection, Collection) or not is_in_a_set(collection.database):
        return _by_the_driver(collection, updates)
    parts = (updates[first : first + MOST_UPDATES] for first in range(0, len(updates), MOST_UPDATES))
    return sum(_changed(collection, part) for part in parts)


def _changed(collection: Collection[Any], updates: Sequence[Update]) -> int:
    reply = _answer(collection, "update", "updates", [{"q": which, "u": how} for which, how in updates])
    return _by_the_driver(collection, updates) if reply is None else int(reply["nModified"])


def _by_the_driver(collection: Collection[Any], updates: Sequence[Update]) -> int:
    return collection.bulk_write([UpdateOne(*each) for each in updates], ordered=False).modified_count


def _answer(collection: Collection[Any], verb: str, name: str, parts: Sequence[Any]) -> Document | None:
    """What a server says to a command of ours; None where the driver is to send the same again."""
    command = {verb: collection.name, name: parts, "ordered": False, "writeConcern": collection.write_concern.document}
    terms = _terms.get()
    try:
        reply: Document = collection.database.command(command, codec_options=collection.codec_options)
    except PyMongoError:
        if terms is None:
            return None
        raise
    late, refused = reply.get("writeConcernError"), reply.get("writeErrors", ())
    passing = any(each["code"] in TRANSIENT for each in refused) or (late and late["code"] not in MAJORITY_LATE)
    if passing and terms is None:
        return None
    if refused or late:
        told = [{**each, "op": parts[each["index"]]} for each in refused]
        raise BulkWriteError({"writeErrors": told, "writeConcernErrors": [late] if late else []})
    if terms is not None:
        terms.append(_term(reply))
    return reply


def _term(reply: Document) -> int:
    at = reply.get("opTime")
    return int(at.get("t", UNTOLD)) if isinstance(at, Mapping) else UNTOLD


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
