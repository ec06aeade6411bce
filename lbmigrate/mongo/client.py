"""Clients of MongoDB: how they are opened, what they promise, and when to try again."""

from __future__ import annotations

import datetime as dt
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import InvalidURI, PyMongoError
from pymongo.uri_parser import split_options

from lbmigrate.errors import UsageError
from lbmigrate.mongo.concerns import MAJORITY_MS, options, without_concerns
from lbmigrate.mongo.faults import explain, is_transient
from lbmigrate.mongo.write_guard import WriteWatch
from lbmigrate.records import Document
from lbmigrate.telling.secrets import LOCAL

T = TypeVar("T")

DEFAULTS: dict[str, Any] = {"appname": "lbmigrate", "serverSelectionTimeoutMS": 30_000}  # outlasts an election
IN_VAIN = "tried again without success"
FIRST_ANSWER = 5.0  # seconds: a server that is not there shows sooner
# Whatever the URI says: what decides a write is read from the primary, and a write is done when a majority has it.
CONCERNS: dict[str, Any] = {
    "readPreference": "primary", "readConcernLevel": "majority", "w": "majority", "wtimeoutMS": MAJORITY_MS,
}  # fmt: skip
# One text that is not UTF-8 must not keep a whole batch from being looked at. Where an exact copy matters (sources
# that are scored, bounds of chunks, backups) the codecs are strict.
CODECS: dict[str, Any] = {
    "uuidRepresentation": "standard",
    "tz_aware": False,
    "datetime_conversion": "DATETIME_AUTO",
    "unicode_decode_error_handler": "replace",
}


@contextmanager
def open_client(uri: str, watch: WriteWatch | None = None) -> Iterator[MongoClient[Document]]:
    """Connect to `uri`, where `local:DIR` is the embedded server on DIR, and close the client after the block.

    The server is asked once, so that a missing server or a wrong password shows here and not half-way.
    Raises UsageError if the URI cannot be used, what `explain` says if the server cannot.
    """
    if not uri.strip():
        raise UsageError("the URI of the server is empty", "export LBMIGRATE_URI=mongodb://HOST, or give it as --uri")
    if uri.startswith(LOCAL):
        from lbmigrate.mongo import embedded  # noqa: PLC0415  processes, locks and programs: only this server needs them

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
    fixed = CONCERNS | CODECS | {name: value for name, value in DEFAULTS.items() if f"{name.lower()}=" not in given}
    try:
        with warnings.catch_warnings(action="ignore"):  # raw lines on stderr, at every verb: doctor tells what is odd
            client: MongoClient[Document] = MongoClient(
                without_concerns(uri)[0], **fixed, event_listeners=[watch] if watch else []
            )
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


def without_effect(uri: str) -> list[str]:
    """The names of those options of a URI that the driver makes nothing of: unknown ones, and odd values.

    The URI is one that a client was opened with.
    """
    return [] if uri.startswith(LOCAL) else [each.partition("=")[0] for each in options(uri) if _is_odd(each)]


def _is_odd(option: str) -> bool:
    with warnings.catch_warnings(record=True, action="always") as told, suppress(PyMongoError, ValueError, OSError):
        split_options(option, warn=True)
    return bool(told)


def retrying(
    call: Callable[[], T], *, attempts: int = 5, seconds: float = 60.0, sleep: Callable[[float], None] = time.sleep
) -> T:
    """Call again after a transient error, waiting longer each time, and raise the last error when either bound is met.

    `call` must be harmless to repeat: an attempt that failed may have been carried out. An error that was raised in
    vain so often is not tried again by whoever called this, so that bounds do not multiply.
    """
    begun = time.monotonic()
    try:
        return call()
    except PyMongoError as error:
        if not is_worth_another_try(error):
            raise
        first = error
    try:
        return _again(call, first, attempts, seconds - (time.monotonic() - begun), sleep)
    except PyMongoError as error:
        if is_worth_another_try(error):
            error.add_note(IN_VAIN)
        raise


def _again(
    call: Callable[[], T], first: PyMongoError, attempts: int, seconds: float, sleep: Callable[[float], None]
) -> T:
    """The attempts after the one that ended in the error `first`, which counts as one of them."""
    import tenacity  # noqa: PLC0415  with half of asyncio and more: what succeeds at once waits for none of it

    failed = [first]

    def attempt() -> T:
        if failed:
            raise failed.pop()
        return call()

    again = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(attempts) | tenacity.stop_before_delay(max(seconds, 0.0)),
        wait=tenacity.wait_exponential(multiplier=0.2, max=10) + tenacity.wait_random(0, 0.2),
        retry=tenacity.retry_if_exception(is_worth_another_try),
        sleep=sleep,
        reraise=True,
    )
    return again(attempt)


def is_worth_another_try(error: BaseException) -> bool:
    """Whether an error is transient, and nobody has tried again in vain yet."""
    return is_transient(error) and IN_VAIN not in getattr(error, "__notes__", ())


def server_time(database: Database[Document]) -> dt.datetime:
    """Read the server's clock (UTC, naive, milliseconds); of the in-memory fake, which has none, the local clock."""
    try:
        now: dt.datetime = retrying(lambda: database.command("hello"))["localTime"]
    except NotImplementedError:
        now = dt.datetime.now(dt.UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return now.astimezone(dt.UTC).replace(tzinfo=None) if now.tzinfo else now
