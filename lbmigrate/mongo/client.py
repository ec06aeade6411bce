"""Clients of MongoDB: how they are opened, what they promise, and when to try again."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pymongo
import tenacity
from bson.codec_options import DatetimeConversion
from pymongo import MongoClient, ReadPreference
from pymongo.database import Database
from pymongo.errors import (
    InvalidURI,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import make_read_preference, read_pref_mode_from_name
from pymongo.write_concern import WriteConcern

from lbmigrate.errors import UsageError
from lbmigrate.mongo import embedded
from lbmigrate.mongo.faults import LOCAL, explain, is_transient
from lbmigrate.mongo.write_guard import WriteWatch
from lbmigrate.records import Document

T = TypeVar("T")

DEFAULTS: dict[str, Any] = {"appname": "lbmigrate", "serverSelectionTimeoutMS": 30_000}  # outlasts an election
FIRST_ANSWER = 5.0  # seconds: a server that is not there shows sooner
# One text that is not UTF-8 must not keep a whole batch from being looked at. Where an exact copy matters (sources
# that are scored, bounds of chunks, backups) the codecs are strict.
CODECS: dict[str, Any] = {
    "uuidRepresentation": "standard",
    "tz_aware": False,
    "datetime_conversion": "DATETIME_AUTO",
    "unicode_decode_error_handler": "replace",
}
MAJORITY_MS = 30_000


@contextmanager
def open_client(uri: str, watch: WriteWatch | None = None) -> Iterator[MongoClient[Document]]:
    """Connect to `uri`, where `local:DIR` is the embedded server on DIR, and close the client after the block.

    The server is asked once, so that a missing server or a wrong password shows here and not half-way.
    Raises UsageError if the URI cannot be used, what `explain` says if the server cannot.
    """
    if uri.startswith(LOCAL):
        with embedded.serve(_local_directory(uri)) as address, open_client(address, watch) as client:
            yield client
        return
    with _connect(uri, watch) as client:
        yield client


def _local_directory(uri: str) -> Path:
    directory = uri.removeprefix(LOCAL)
    if not directory:
        raise UsageError("local: names no directory", hint="write local:DIR, for example local:.lbmigrate")
    return Path(directory)


def _connect(uri: str, watch: WriteWatch | None) -> MongoClient[Document]:
    given = uri.lower()
    defaults = {name: value for name, value in DEFAULTS.items() if f"{name.lower()}=" not in given}
    try:
        client: MongoClient[Document] = MongoClient(uri, **defaults, **CODECS, event_listeners=[watch] if watch else [])
    except (PyMongoError, ValueError, TypeError) as error:
        # Without the cause, whose text may quote pieces of a password.
        raise explain(InvalidURI(str(error)), uri) from None
    try:
        with pymongo.timeout(min(FIRST_ANSWER, client.options.server_selection_timeout)):
            client.admin.command("ping")
    except PyMongoError as error:
        client.close()
        raise explain(error, uri) from error
    return client


def retrying(
    call: Callable[[], T], *, attempts: int = 5, seconds: float = 60.0, sleep: Callable[[float], None] = time.sleep
) -> T:
    """Call again after a transient error, waiting longer each time, and raise the last error when either bound is met.

    `call` must be harmless to repeat: an attempt that failed may have been carried out.
    """
    again = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(seconds),
        wait=tenacity.wait_exponential(multiplier=0.2, max=10) + tenacity.wait_random(0, 0.2),
        retry=tenacity.retry_if_exception(is_transient),
        sleep=sleep,
        reraise=True,
    )
    return again(call)


def server_time(database: Database[Document]) -> dt.datetime:
    """Read the server's clock (UTC, naive, milliseconds); of the in-memory fake, which has none, the local clock."""
    try:
        now: dt.datetime = database.command("hello")["localTime"]
    except NotImplementedError:
        now = dt.datetime.now(dt.UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return now.astimezone(dt.UTC).replace(tzinfo=None) if now.tzinfo else now


def durable(database: Database[Document]) -> Database[Document]:
    """Make every read and write through the result survive a failover: majority concerns, and the primary.

    A standalone server takes them too. The in-memory fake knows no concerns and is handed back as it is.
    """
    if is_fake(database):
        return database
    return database.with_options(
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern("majority", wtimeout=MAJORITY_MS),
        read_concern=ReadConcern("majority"),
    )


def readable(database: Database[Document], preference: str) -> Database[Document]:
    """Like `durable`, for reading the app's own collections, from whichever members `preference` names."""
    if is_fake(database) or preference == "primary":
        return durable(database)
    mode = read_pref_mode_from_name(preference)
    return database.with_options(read_preference=make_read_preference(mode, None), read_concern=ReadConcern("majority"))


def fresh(database: Database[Document]) -> Database[Document]:
    """For reading what was written this instant: as it stands on the primary, whether or not a majority has it yet."""
    if is_fake(database):
        return database
    return database.with_options(read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("local"))


def lenient(database: Database[Document]) -> Database[Document]:
    """For reading what is only shown: whatever a text or a date holds can be read; all else as the app set it up."""
    if is_fake(database):
        return database
    how = {"datetime_conversion": DatetimeConversion.DATETIME_AUTO, "unicode_decode_error_handler": "replace"}
    return database.with_options(codec_options=database.codec_options.with_options(**how))


def is_fake(database: object) -> bool:
    """Tell the in-memory fake (or any other stand-in) from a database of pymongo."""
    return not isinstance(database, Database)
