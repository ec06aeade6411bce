"""What the driver's errors mean to an operator, and which of them pass by themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.records import Document
from lbmigrate.telling.secrets import redact, scrub

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
AUTHENTICATION_FAILED, UNAUTHORIZED, DUPLICATE_KEY, TOO_LARGE, NOT_ON_A_VIEW = 18, 13, 11000, 10334, 166
IMMUTABLE = 66  # a field that no update may change, as `_id` is
MAJORITY_LATE = {64, 100}
# Named by that file's categories, as of MongoDB 8: what may well succeed when it is done again.
MOVED = {91, 189, 333, 10058, 10107, 11600, 11602, 13435, 13436}  # NotPrimaryError, ShutdownError
UNREACHABLE = {6, 7, 89, 202, 317, 384, 9001}  # NetworkError
RETRIABLE = {134, 262, 358, 402, 406, 407, 412, 453, 462, 50915, 91331, 10045600}  # the rest of RetriableError
INTERRUPTED = {
    24,
    279,
    281,
    282,
    290,
    355,
    11601,
    46841,
}  # Interruption, but for 50, which is a limit that was asked for
READ_CUT_SHORT = {43, 175, 237, 314}  # CursorInvalidatedError, but for 96, which says nothing
OVERLOADED = {433, 449, 450, 16500}  # SystemOverloadedError, and what Cosmos DB says of too many requests
STALE = {63, 150, 249, 13388}  # StaleShardVersionError: the router looks again
# In no category: LockBusy, LockFailed, WriteConflict, ConflictingOperationInProgress, FailedToSatisfyReadPreference,
# DatabaseDropPending, ElectionInProgress, RetryChangeStream, SnapshotUnavailable, IndexBuildAborted,
# IndexBuildAlreadyInProgress, TemporarilyUnavailable, and two BackgroundOperationInProgress.
IN_THE_WAY = {46, 107, 112, 117, 133, 215, 216, 234, 246, 276, 285, 365, 12586, 12587}
TRANSIENT = (
    MAJORITY_LATE | MOVED | UNREACHABLE | RETRIABLE | INTERRUPTED | READ_CUT_SHORT | OVERLOADED | STALE | IN_THE_WAY
)

AGAIN = "run the same command again: it resumes where it stopped"
OF_A_SET = "No replica set members"  # what the driver says where the set of the URI is not there
OTHER_SET = (
    "check that it runs; if the server is no replica set, or its set has another name, "
    "leave replicaSet= out of the URI or correct it"
)
MEANINGS: tuple[tuple[set[int], type[LbmigrateError], str, str], ...] = (
    ({AUTHENTICATION_FAILED}, LbmigrateError, "rejected the user name or the password",
     "check both, and authSource, in MONGODB_URI or --uri"),
    ({UNAUTHORIZED}, Refused, "misses a right",
     "log in (mongodb://USER:PASSWORD@HOST) as a user with read on the sources and readWrite on what lbmigrate makes"),
    ({50}, LbmigrateError, "ended a query that took too long", f"wait for a quieter hour, then {AGAIN}"),
    (MAJORITY_LATE, LbmigrateError, "did not get a write to a majority", f"check rs.status(), then {AGAIN}"),
    (MOVED, LbmigrateError, "is not the primary", f"name the replica set in the URI (?replicaSet=NAME), then {AGAIN}"),
    ({371}, Refused, "blocks writes", "db.adminCommand({setUserWriteBlockMode: 1, global: false}) lets them in again"),
    ({TOO_LARGE}, LbmigrateError, "takes no document this large", "keep long fields out of a source's `meta`"),
    ({14031}, LbmigrateError, "has no disk space left", f"free some on the server, then {AGAIN}"),
    ({DUPLICATE_KEY}, LbmigrateError, "has a unique index that refuses what is no duplicate",
     f"drop that index, or name another collection (flag, state.database) in the config, then {AGAIN}"),
)  # fmt: skip


def explain(error: Exception, uri: str) -> LbmigrateError:
    """Say what an error of pymongo means to an operator, and what to do next. Never quotes a password of `uri`."""
    if isinstance(error, LbmigrateError):
        return error
    server, said = redact(uri), scrub(reason(error), uri)
    if isinstance(error, ConfigurationError):
        hint = "mongodb://HOST:PORT or local:DIR in MONGODB_URI or --uri; a password needs @ : / ? as %40 %3A %2F %3F"
        return UsageError(f"{server} cannot be used as a MongoDB URI: {said}", hint)
    for numbers, kind, meaning, hint in MEANINGS:
        if numbers & codes(error):
            return kind(f"MongoDB at {server} {meaning}: {said}", hint)
    if isinstance(error, ServerSelectionTimeoutError):
        usual = "check that it runs and what MONGODB_URI or --uri says, or use local:DIR for the embedded server"
        return LbmigrateError(
            f"MongoDB at {server} cannot be reached: {said}", OTHER_SET if OF_A_SET in said else usual
        )
    if isinstance(error, ConnectionFailure):
        return LbmigrateError(f"MongoDB at {server} broke the connection: {said}", AGAIN)
    return LbmigrateError(f"MongoDB at {server} failed: {said}", AGAIN if is_transient(error) else "lbmigrate doctor")


def other_unique_index(failure: Mapping[str, Any]) -> str:
    """The unique index that a duplicate-key error of a write is about; empty where that is the one of `_id`.

    Only that one says that the very document is there already.
    """
    pattern = failure.get("keyPattern")
    if failure.get("code") != DUPLICATE_KEY or not pattern or set(pattern) == {"_id"}:
        return ""
    found = re.search(r" index: (\S+) dup key", str(failure.get("errmsg", "")))
    return found[1] if found else ", ".join(pattern)


def reason(error: Exception) -> str:
    """Quote the server's own words, without the documents and the topology that pymongo adds."""
    text = next((row["errmsg"] for row in _rows(error) if "errmsg" in row), str(error))
    text = text.partition(", full error:")[0].partition(", Timeout:")[0]
    text = text.replace("No servers found yet", "no answer before the time was over")
    return re.sub(r"(to execute command \{ [^,}]*).*", r"\1 }", text, flags=re.DOTALL)


def _rows(error: Exception) -> list[Document]:
    """What a server says of each write, and before that why it cannot say that they will last."""
    details = getattr(error, "details", None) if isinstance(error, BulkWriteError) else None
    return [row for kind in ("writeConcernErrors", "writeErrors") for row in (details or {}).get(kind, ())]


def codes(error: BaseException) -> set[int]:
    """The numbers by which the server says what went wrong; none where it said nothing."""
    if isinstance(error, BulkWriteError):
        return {row["code"] for row in _rows(error) if "code" in row}
    if isinstance(error, DocumentTooLarge):
        return {TOO_LARGE}
    if "bad auth" in str(error):  # Atlas gives the same code to everything
        return {AUTHENTICATION_FAILED}
    details = getattr(error, "details", None)
    code = getattr(error, "code", None) or (details.get("code") if isinstance(details, Mapping) else None)
    return {code} if isinstance(code, int) else set()


def is_transient(error: BaseException) -> bool:
    """Tell whether doing the same thing again may well succeed: the network, a failover, a majority that is late.

    The server's own labels say so, or the code.
    """
    if isinstance(error, ConnectionFailure | WTimeoutError):
        return True
    if not isinstance(error, PyMongoError):
        return False
    labels = ("RetryableWriteError", "TransientTransactionError")
    return any(map(error.has_error_label, labels)) or bool(codes(error) & TRANSIENT)
