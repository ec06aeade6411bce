"""Clients of MongoDB, what their errors mean, and when to try again."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote_plus

import pymongo
import tenacity
from pymongo import MongoClient, ReadPreference
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    InvalidURI,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import make_read_preference, read_pref_mode_from_name
from pymongo.write_concern import WriteConcern

from lbmigrate import embedded
from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.models import Document

T = TypeVar("T")

LOCAL = "local:"
DEFAULTS: dict[str, Any] = {"appname": "lbmigrate", "serverSelectionTimeoutMS": 30_000}  # outlasts an election
FIRST_ANSWER = 5.0  # seconds: a server that is not there shows sooner
CODECS: dict[str, Any] = {"uuidRepresentation": "standard", "tz_aware": False, "datetime_conversion": "DATETIME_AUTO"}
MAJORITY_MS = 30_000

# A URI in good shape. Anything else (a password with a bare `@`, `/` or `?` in it) is not shown at all.
SHAPE = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)?(?P<user>[^@/?#]*@)?(?P<host>[^@?#]*)(?P<query>\?[^@#]*)?")
SECRET = re.compile(r"([^=?&;]*(?:password|token|secret|authMechanismProperties)[^=?&;]*)=([^&;]*)", re.IGNORECASE)
SHORTEST_SECRET = 3

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
AUTHENTICATION_FAILED, TOO_LARGE = 18, 10334
MAJORITY_LATE = {64, 100}
MOVED = {91, 189, 10107, 11600, 11602, 13435, 13436}
UNREACHABLE = {6, 7, 89, 262, 9001}
READ_CUT_SHORT = {43, 112, 175, 237}
TRANSIENT = MOVED | UNREACHABLE | READ_CUT_SHORT | MAJORITY_LATE

# Commands that change nothing; what is not listed counts as a write.
READS = frozenset({
    "aggregate", "buildInfo", "collStats", "connectionStatus", "count", "dbStats", "distinct", "endSessions", "explain",
    "find", "getMore", "getParameter", "hello", "hostInfo", "isMaster", "killCursors", "listCollections",
    "listDatabases", "listIndexes", "ping", "replSetGetConfig", "replSetGetStatus", "rolesInfo", "saslContinue",
    "saslStart", "serverStatus", "usersInfo", "abortTransaction", "commitTransaction",
})  # fmt: skip

AGAIN = "run the same command again: it resumes where it stopped"
MEANINGS: tuple[tuple[set[int], type[LbmigrateError], str, str], ...] = (
    ({AUTHENTICATION_FAILED}, LbmigrateError, "rejected the user name or the password",
     "check both, and authSource, in MONGODB_URI or --uri"),
    ({13}, Refused, "misses a right",
     "log in (mongodb://USER:PASSWORD@HOST) as a user with read on the sources and readWrite on what lbmigrate makes"),
    ({50}, LbmigrateError, "ended a query that took too long", f"wait for a quieter hour, then {AGAIN}"),
    (MAJORITY_LATE, LbmigrateError, "did not get a write to a majority", f"check rs.status(), then {AGAIN}"),
    (MOVED, LbmigrateError, "is not the primary", f"name the replica set in the URI (?replicaSet=NAME), then {AGAIN}"),
    ({371}, Refused, "blocks writes", "db.adminCommand({setUserWriteBlockMode: 1, global: false}) lets them in again"),
    ({TOO_LARGE}, LbmigrateError, "takes no document this large", "keep long fields out of a source's `meta`"),
    ({14031}, LbmigrateError, "has no disk space left", f"free some on the server, then {AGAIN}"),
)  # fmt: skip


class WriteWatch(CommandListener):
    """Notes every command that would change something, so that a run which must not write can prove it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        """Take note of a write; an aggregation writes when it has $out or $merge."""
        stages = event.command.get("pipeline", ()) if event.command_name == "aggregate" else ()
        if event.command_name not in READS or any({"$out", "$merge"} & stage.keys() for stage in stages):
            self.seen.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to note."""

    def check(self) -> None:
        """Raise Refused if anything was written."""
        if self.seen:
            raise Refused(f"a dry run sent {self.seen[0]!r} to the server; it was stopped", hint="report this as a bug")


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


def redact(uri: str) -> str:
    """Rewrite a URI (of MongoDB or Redis) so that it can be shown: no user, no password, no secret option."""
    if uri.startswith(LOCAL):
        return uri
    shape = SHAPE.fullmatch(uri)
    if shape is None:
        scheme = re.match(r"mongodb(\+srv)?://|rediss?://", uri)
        return f"{scheme[0] if scheme else ''}***"
    user = "***@" if shape["user"] else ""
    query = SECRET.sub(r"\1=***", shape["query"] or "")
    return f"{shape['scheme'] or ''}{user}{shape['host']}{query}"


def _scrub(text: str, uri: str) -> str:
    """Hide in `text` what `redact` hides in `uri`; secrets of one or two letters would only riddle the text."""
    if uri.startswith(LOCAL):
        return text
    shape = SHAPE.fullmatch(uri)
    if shape is None:
        return "its parts cannot be told apart"
    user = (shape["user"] or "").removesuffix("@")
    raw = [user, user.partition(":")[2], *(secret for _, secret in SECRET.findall(shape["query"] or ""))]
    for secret in sorted({*raw, *map(unquote_plus, raw)}, key=len, reverse=True):
        text = text.replace(secret, "***") if len(secret) >= SHORTEST_SECRET else text
    return text


def explain(error: Exception, uri: str) -> LbmigrateError:
    """Say what an error of pymongo means to an operator, and what to do next. Never quotes a password of `uri`."""
    if isinstance(error, LbmigrateError):
        return error
    server, reason = redact(uri), _scrub(_reason(error), uri)
    if isinstance(error, ConfigurationError):
        hint = "mongodb://HOST:PORT or local:DIR in MONGODB_URI or --uri; a password needs @ : / ? as %40 %3A %2F %3F"
        return UsageError(f"{server} cannot be used as a MongoDB URI: {reason}", hint)
    for codes, kind, meaning, hint in MEANINGS:
        if codes & _codes(error):
            return kind(f"MongoDB at {server} {meaning}: {reason}", hint)
    if isinstance(error, ServerSelectionTimeoutError):
        hint = "check that it runs and what MONGODB_URI or --uri says, or use local:DIR for the embedded server"
        return LbmigrateError(f"MongoDB at {server} cannot be reached: {reason}", hint)
    if isinstance(error, ConnectionFailure):
        return LbmigrateError(f"MongoDB at {server} broke the connection: {reason}", AGAIN)
    return LbmigrateError(f"MongoDB at {server} failed: {reason}", "lbmigrate doctor")


def _reason(error: Exception) -> str:
    """Quote the server's own words, without the documents and the topology that pymongo adds."""
    text = next((row["errmsg"] for row in _rows(error) if "errmsg" in row), str(error))
    text = text.partition(", full error:")[0].partition(", Timeout:")[0]
    return re.sub(r"(to execute command \{ [^,}]*).*", r"\1 }", text, flags=re.DOTALL)


def _rows(error: Exception) -> list[Document]:
    details = getattr(error, "details", None) if isinstance(error, BulkWriteError) else None
    return [row for kind in ("writeErrors", "writeConcernErrors") for row in (details or {}).get(kind, ())]


def _codes(error: BaseException) -> set[int]:
    if isinstance(error, BulkWriteError):
        return {row["code"] for row in _rows(error) if "code" in row}
    if isinstance(error, DocumentTooLarge):
        return {TOO_LARGE}
    if "bad auth" in str(error):  # Atlas gives the same code to everything
        return {AUTHENTICATION_FAILED}
    details = getattr(error, "details", None)
    code = getattr(error, "code", None) or (details.get("code") if isinstance(details, dict) else None)
    return {code} if isinstance(code, int) else set()


def is_transient(error: BaseException) -> bool:
    """Tell whether doing the same thing again may well succeed: the network, a failover, a majority that is late."""
    if isinstance(error, ConnectionFailure | WTimeoutError):
        return True
    if not isinstance(error, PyMongoError):
        return False
    labels = ("RetryableWriteError", "TransientTransactionError")
    return any(map(error.has_error_label, labels)) or bool(_codes(error) & TRANSIENT)


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


def is_fake(database: object) -> bool:
    """Tell the in-memory fake (or any other stand-in) from a database of pymongo."""
    return not isinstance(database, Database)
