"""A few documents to look at: as many as asked for, unless they are so large that some megabytes hold fewer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import bson
from pymongo.collection import Collection

from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.records import Document

MOST_BYTES = 8_000_000


def some(
    collection: Collection[Any], condition: Document, projection: Document | dict[str, int], most: int, way: int = 1
) -> list[Document]:
    """At most `most` documents that meet a condition, in the order of `_id`, from its far end with `way` -1."""
    shown = _lenient(collection)
    if is_fake(collection.database):
        return list(shown.find(condition, projection).sort("_id", way).limit(most))
    cursor = shown.find_raw_batches(condition, projection).sort("_id", way).limit(most)
    return _within(cursor, shown)


def some_piped(collection: Collection[Any], stages: Sequence[Document]) -> list[Document]:
    """What these stages, which end in a limit, bring forth."""
    shown = _lenient(collection)
    if is_fake(collection.database):
        return list(shown.aggregate(list(stages)))
    return _within(shown.aggregate_raw_batches(list(stages)), shown)


def _lenient(collection: Collection[Any]) -> Collection[Any]:
    return lenient(collection.database)[collection.name]


def _within(batches: Iterable[bytes], collection: Collection[Any]) -> list[Document]:
    found: list[Document] = []
    size = 0
    for raw in batches:
        found += bson.decode_all(raw, collection.codec_options)
        size += len(raw)
        if size > MOST_BYTES:
            break
    return found
