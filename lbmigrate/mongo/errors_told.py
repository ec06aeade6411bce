"""Errors as documents, for work in another process: what they mean, and whether to try again, stays the same."""

from __future__ import annotations

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from lbmigrate import errors
from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.faults import codes, is_transient, reason
from lbmigrate.records import Document
from lbmigrate.telling.secrets import hidden

OURS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and name != "Stopped"}
AGAIN = "RetryableWriteError"  # the server's label for what may well succeed another time


def as_document(error: Exception) -> Document:
    """An error as it may be sent. One that is neither ours nor the driver's comes with its class in its words."""
    notes = list(getattr(error, "__notes__", ()))
    if isinstance(error, LbmigrateError):
        kind = next(each.__name__ for each in type(error).__mro__ if OURS.get(each.__name__) is each)
        said = {"words": error.message, "hint": error.hint, "details": list(error.details)}
        return {"kind": kind, "notes": notes, **said}
    if not isinstance(error, PyMongoError):
        return {"kind": "LbmigrateError", "words": hidden(f"a worker failed: {error!r}"), "notes": notes}
    of_driver = {"words": hidden(reason(error)), "codes": sorted(codes(error)), "again": is_transient(error)}
    lost, unseen = isinstance(error, ConnectionFailure), isinstance(error, ServerSelectionTimeoutError)
    return {"kind": "driver", "lost": lost, "unseen": unseen, "notes": notes, **of_driver}


def as_error(row: Document) -> LbmigrateError | PyMongoError:
    """The error that a document tells of."""
    found = _of_driver(row) if row["kind"] == "driver" else _ours(row)
    for note in row["notes"]:
        found.add_note(note)
    return found


def _ours(row: Document) -> LbmigrateError:
    made: LbmigrateError = OURS[row["kind"]](row["words"], hint=row.get("hint", ""))
    made.details = tuple(row.get("details", ()))
    return made


def _of_driver(row: Document) -> PyMongoError:
    if row["lost"]:
        return (ServerSelectionTimeoutError if row["unseen"] else ConnectionFailure)(row["words"])
    if row["codes"]:
        return OperationFailure(row["words"], row["codes"][0], {"errorLabels": [AGAIN] if row["again"] else []})
    return PyMongoError(row["words"])
