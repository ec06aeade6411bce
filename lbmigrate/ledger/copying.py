"""One period's entries made the same in a second collection, chunk by chunk, while the app goes on with the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bson.int64 import Int64
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from lbmigrate.ledger.revisions import as_read
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.mongo.faults import DUPLICATE_KEY
from lbmigrate.records import Document
from lbmigrate.values.ids import in_parts

CHUNK = 2_000  # entries
FIELDS = {"userId": 1, "rev": 1}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Entries between two ids as each collection has them, by `_id`; `last` is where the next chunk begins."""

    source: dict[str, Document]
    copy: dict[str, Document]
    last: str | None

    @property
    def absent(self) -> list[str]:
        return [name for name in self.source if name not in self.copy]

    @property
    def other(self) -> list[str]:
        """Those of another revision."""
        return [name for name, each in self.source.items() if name in self.copy and not _same(each, self.copy[name])]

    @property
    def gone(self) -> list[str]:
        return [name for name in self.copy if name not in self.source]

    @property
    def differing_users(self) -> list[Any]:
        """The users of all that is not the same in both."""
        of_source = [self.source[name]["userId"] for name in (*self.absent, *self.other)]
        return [*of_source, *(self.copy[name]["userId"] for name in self.gone)]


def _same(one: Document, other: Document) -> bool:
    return bool(one.get("rev") == other.get("rev") and one["userId"] == other["userId"])


def chunks(source: Collection[Any], copy: Collection[Any], period: str, after: str | None = None) -> Iterator[Chunk]:
    """The entries of a period that this toolkit made, in the order of their ids, with what the other collection has."""
    end = f"{period};"  # the character behind the colon
    low: Document = {"$gt": after or f"{period}:"}
    while True:
        rows = retrying(partial(_range, source, period, {**low, "$lt": end}, CHUNK))
        last = max(rows) if len(rows) == CHUNK else None
        beside = retrying(partial(_range, copy, period, {**low, **({"$lte": last} if last else {"$lt": end})}, 0))
        yield Chunk(rows, beside, last)
        if last is None:
            return
        low = {"$gt": last}


def _range(collection: Collection[Any], period: str, ids: Document, most: int) -> dict[str, Document]:
    asked = {"_id": ids, "period": period, "rev": {"$exists": True}}
    found = lenient(collection.database)[collection.name].find(asked, FIELDS).sort("_id", 1).limit(most)
    return {row["_id"]: row for row in found}


def outpace(copy: Collection[Any], chunk: Chunk) -> None:
    """Let no entry of the copy have a lower revision than the source: whoever saw that one takes the next for newer."""
    for name in chunk.other:
        before, after = chunk.copy[name].get("rev"), chunk.source[name].get("rev")
        if isinstance(before, int) and isinstance(after, int) and before < after:
            retrying(partial(copy.update_one, {"_id": name, "rev": before}, {"$set": {"rev": Int64(after)}}))


def bring(source: Collection[Any], copy: Collection[Any], chunk: Chunk) -> int:
    """Copy what is absent or of another revision; how many entries were written. A repeat writes nothing.

    What the copy has more stays: whether that is right is for the ledger to say.
    """
    for part in in_parts(chunk.absent):
        retrying(partial(_insert, source, copy, part))
    for name in chunk.other:
        condition = {"_id": name, "rev": as_read(chunk.copy[name])}
        for entry in _as_they_are(source, [name]):
            retrying(partial(copy.replace_one, condition, entry))
    return len(chunk.absent) + len(chunk.other)


def _insert(source: Collection[Any], copy: Collection[Any], names: Sequence[str]) -> None:
    found = _as_they_are(source, names)
    try:
        if found:
            copy.insert_many(found, ordered=False)
    except BulkWriteError as error:
        if any(failure["code"] != DUPLICATE_KEY for failure in error.details["writeErrors"]):
            raise


def _as_they_are(collection: Collection[Any], names: Sequence[str]) -> list[Any]:
    """Entries bit by bit, whatever somebody else has put into them."""
    raw = collection if is_fake(collection.database) else collection.with_options(DEFAULT_RAW_BSON_OPTIONS)
    return list(raw.find({"_id": {"$in": list(names)}}))
