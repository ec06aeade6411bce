"""How a database is read and written: what survives a failover, what is read this instant, what may be odd text."""

from __future__ import annotations

from bson.codec_options import DatetimeConversion
from pymongo import ReadPreference
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import make_read_preference, read_pref_mode_from_name
from pymongo.write_concern import WriteConcern

from lbmigrate.records import Document

MAJORITY_MS = 30_000


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
    return not isinstance(database, Database | AsyncDatabase)
