"""The surroundings of a worker: a client of its own, and the fence of the run that it works for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError

from lbmigrate.config.model import Config
from lbmigrate.mongo.client import open_client
from lbmigrate.records import Document
from lbmigrate.run.connection import connection
from lbmigrate.run.context import Context
from lbmigrate.run.garbage import collecting_seldom
from lbmigrate.run.jobs import LEFT
from lbmigrate.values import formula

LARGEST = 12_000_000  # bytes; a row, by which some answers go, has room for 16 MB
CODECS: CodecOptions[Document] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)


def packed(document: Document) -> bytes:
    """A task, or what came of it, on its way between two processes."""
    return bson.encode(document, codec_options=CODECS)


def answered(found: Document) -> bytes:
    """What came of a task, on its way to the run; what cannot be told so, or is too much for a row, is left to it."""
    try:
        body = packed(found)
    except (BSONError, OverflowError, UnicodeError):  # whole numbers that no long holds, above all
        return packed({LEFT: True})
    return body if len(body) <= LARGEST else packed({LEFT: True})


def unpacked(data: bytes) -> Document:
    """The same at its other end."""
    return bson.decode(data, CODECS)


@contextmanager
def at_work(config: Config, run: str, fence: int, **chosen: Any) -> Iterator[Context]:
    """What a task is carried out with; `chosen` are further fields of Context.

    Every write is preceded by a look at the lock (`State.forgotten`): one that has a higher fence ends the task. What
    rules are computed by is imported before there is a task, which would be to blame for it.
    """
    for source in config.sources:
        if formula.is_function(str(source.points)):
            formula.load_function(str(source.points), config.functions)
    with open_client(config.database.uri) as client, collecting_seldom(), formula.single_threaded():
        found = connection(client, config)
        found.state.fence = fence
        yield found.context(run=run, workers=1, **chosen)
