"""A few documents to look at: as many as asked for, unless they are so large that some megabytes hold fewer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection

from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
MOST_BYTES = 8_000_000
AROUND = 2  # documents that are looked at for each that is wanted, where a filter may let few of them pass


def both_ends(
    collection: Collection[Any], condition: Document, projection: dict[str, int], most: int, *, bounded: bool = False
) -> list[list[Document]]:
    """At most `most` documents that meet a condition from each end of a collection; one list where that has them all.

    With `bounded` a filter that few documents meet costs no more than any other: no more than `AROUND * most` are
    looked at from either end, and so perhaps none is found.
    """
    if bounded and not is_fake(collection.database):
        return [_around(collection, condition, projection, most, way) for way in (1, -1)]
    first, is_cut = _found(collection, condition, projection, most, 1)
    return [first, some(collection, condition, projection, most, -1)] if is_cut or len(first) == most else [first]


def _around(
    collection: Collection[Any], condition: Document, projection: dict[str, int], most: int, way: int
) -> list[Document]:
    near: list[Document] = [{"$sort": {"_id": way}}, {"$limit": AROUND * most}]
    return some_piped(collection, [*near, {"$match": condition}, {"$limit": most}, {"$project": projection}])


def some(
    collection: Collection[Any], condition: Document, projection: Document | dict[str, int], most: int, way: int = 1
) -> list[Document]:
    """At most `most` documents that meet a condition, in the order of `_id`, from its far end with `way` -1."""
    return _found(collection, condition, projection, most, way)[0]


def _found(
    collection: Collection[Any], condition: Document, projection: dict[str, int], most: int, way: int
) -> tuple[list[Document], bool]:
    """The documents, and whether there are more than that many bytes may hold."""
    shown = _lenient(collection)
    if is_fake(collection.database):
        return list(shown.find(condition, projection).sort("_id", way).limit(most)), False
    cursor = shown.find_raw_batches(condition, projection).sort("_id", way).limit(most)
    return _within(cursor, shown)


def some_piped(collection: Collection[Any], stages: Sequence[Document]) -> list[Document]:
    """What these stages, which end in a limit, bring forth."""
    shown = _lenient(collection)
    if is_fake(collection.database):
        return list(shown.aggregate(list(stages)))
    raw = shown.with_options(codec_options=RAW)  # the driver's raw batches begin with an empty one: a command more
    return _within((bytes(document.raw) for document in raw.aggregate(list(stages))), shown)[0]


def _lenient(collection: Collection[Any]) -> Collection[Any]:
    return lenient(collection.database)[collection.name]


def _within(batches: Iterable[bytes], collection: Collection[Any]) -> tuple[list[Document], bool]:
    found: list[Document] = []
    size = 0
    for raw in batches:
        found += bson.decode_all(raw, collection.codec_options)
        size += len(raw)
        if size > MOST_BYTES:
            return found, True
    return found, False
