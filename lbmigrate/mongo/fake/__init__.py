"""The in-memory database: for rehearsals (`run --dry-run`) and for tests, never for data that matters."""

from __future__ import annotations

from typing import cast

from pymongo import MongoClient

from lbmigrate.errors import UsageError
from lbmigrate.records import Document


def client() -> MongoClient[Document]:
    """A client of a new, empty in-memory server, safe to share between threads.

    Closing it forgets everything. Raises UsageError where the library behind it is not installed.
    """
    try:
        from lbmigrate.mongo.fake import memory  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        hint = "pip install 'lbmigrate[dryrun]'"
        raise UsageError("the in-memory database is not installed", hint) from error
    return cast(MongoClient[Document], memory.Client())
