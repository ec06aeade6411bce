"""Batches of BSON from a server, in commands of our own: as in `batches`, which has those to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pymongo
from bson import Int64
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from lbmigrate.records import Document
from lbmigrate.values.documents import Documents, in_reply, one_after_another


class Reply(RawBSONDocument):
    """A reply whose documents are not decoded. An error that quotes it says what it would say of a dict."""

    def __repr__(self) -> str:
        return repr({**self})


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
