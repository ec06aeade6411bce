"""How a database is read and written: what survives a failover, what is read this instant, what may be odd text.

Nobody has to remember to ask for this. A client of ours is opened without what a URI says of it (`mongo.client`), and
whatever decides a write is handed its databases by `Context`, `State` and `Flag`, which make them so whoever gave them.
"""

from __future__ import annotations

import datetime as dt
import re
import warnings
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from pymongo import ReadPreference
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import make_read_preference, read_pref_mode_from_name
from pymongo.uri_parser import split_options
from pymongo.write_concern import WriteConcern

from lbmigrate.errors import UsageError
from lbmigrate.records import Document

MAJORITY_MS = 30_000
# Options of a URI that say how its user reads and writes, and for how long one command may take. They are meant for an
# app; here they would have a write decided by what a secondary still shows, or taken for done when it can be undone.
NOT_USED = (
    "readPreference", "readPreferenceTags", "maxStalenessSeconds", "readConcernLevel",
    "w", "wtimeoutMS", "wtimeout", "journal", "j", "fsync", "timeoutMS",
)  # fmt: skip


def without_concerns(uri: str) -> tuple[str, list[str]]:
    """A URI without those of its options that are NOT_USED, and these: `readPreference=secondary`, `w=1`."""
    unused = [option for option in options(uri) if option.partition("=")[0].lower() in _NAMES]
    used = [option for option in options(uri) if option not in unused]
    return (f"{uri.rpartition('?')[0]}?{'&'.join(used)}" if unused else uri), unused


def options(uri: str) -> list[str]:
    """The options of a URI, each as it is written."""
    _, mark, query = uri.rpartition("?")
    return [option for option in re.split("[&;]", query) if option] if mark else []


def overruled(uri: str, preference: str = "primary") -> list[str]:
    """Those options of a URI that ask for something else than what is done all the same.

    `preference` is where the app's documents are read: which other members may be asked then, the URI says too.
    """
    heeded = WHICH if preference != "primary" else frozenset()
    unused = [option for option in without_concerns(uri)[1] if option.lower() not in AS_WE_DO]
    return [option for option in unused if option.partition("=")[0].lower() not in heeded]


WHICH = frozenset({"readpreferencetags", "maxstalenessseconds"})
AS_WE_DO = {"readpreference=primary", "readconcernlevel=majority", "w=majority", "journal=true", "j=true"}
_NAMES = frozenset(name.lower() for name in NOT_USED)


def durable(database: Database[Document]) -> Database[Document]:
    """Make every read and write through the result survive a failover: majority concerns, and the primary.

    A standalone server takes them too. The in-memory fake knows no concerns and is handed back as it is.
    """
    if is_fake(database):
        return database
    return database.with_options(
        read_preference=ReadPreference.PRIMARY, write_concern=MAJORITY, read_concern=ReadConcern("majority")
    )


MAJORITY = WriteConcern("majority", wtimeout=MAJORITY_MS)


class Limited(Collection[Document]):
    """A collection of small documents: a read that takes longer than a write may waits for a majority, in vain."""

    def find(self, *args: Any, **kwargs: Any) -> Cursor[Document]:
        return super().find(*args, **{"max_time_ms": MAJORITY_MS, **kwargs})


def limited(database: Database[Document], name: str) -> Collection[Document]:
    """A collection with the concerns of its database, no read of which waits without an end."""
    return database[name] if is_fake(database) else Limited(database, name)


def soon(database: Database[Document]) -> Database[Document]:
    """Like `durable`, for whoever has to know within seconds whether a majority has what is written."""
    return database if is_fake(database) else durable(database).with_options(write_concern=SOON)


SOON = WriteConcern("majority", wtimeout=3_000)


def readable(database: Database[Document], preference: str, uri: str = "") -> Database[Document]:
    """Like `durable`, for reading the app's own collections, from whichever members `preference` names.

    Of these, only such as have the tags that `uri` asks for, and are no further behind than it allows. Raises
    UsageError where no server is asked for by that.
    """
    if is_fake(database) or preference == "primary":
        return durable(database)
    tags, seconds = _which(uri)
    wanted = make_read_preference(read_pref_mode_from_name(preference), tags, seconds)
    return database.with_options(read_preference=wanted, read_concern=ReadConcern("majority"))


def behind(preference: str, uri: str) -> dt.timedelta:
    """How far behind may be what `readable` reads: what was written within that is read by a later pass."""
    return dt.timedelta(seconds=0 if preference == "primary" else max(LEAST_STALENESS, _which(uri)[1]))


def _which(uri: str) -> tuple[list[dict[str, str]] | None, int]:
    """The tags of a URI, and the seconds that a member may be behind; None and -1 where it says neither."""
    asked = [option for option in options(uri) if option.partition("=")[0].lower() in WHICH]
    with warnings.catch_warnings(action="ignore"):
        found = split_options("&".join(asked), warn=True) if asked else {}
    odd = [option for option in asked if option.partition("=")[0] not in found]
    seconds = int(found.get("maxStalenessSeconds", NO_LIMIT))
    if odd or NO_LIMIT < seconds < LEAST_STALENESS:
        told = ", ".join(odd) or f"maxStalenessSeconds={seconds}"
        hint = f"write maxStalenessSeconds={LEAST_STALENESS} or more, readPreferenceTags=NAME:VALUE, or take it out"
        raise UsageError(f"of the URI no driver understands {told}", hint)
    return found.get("readPreferenceTags"), seconds


NO_LIMIT, LEAST_STALENESS = -1, 90  # seconds: drivers refuse fewer


def fresh(database: Database[Document]) -> Database[Document]:
    """For reading what was written this instant: as it stands on the primary, whether or not a majority has it yet."""
    if is_fake(database):
        return database
    return durable(database).with_options(read_concern=ReadConcern("local"))


def lenient(database: Database[Document]) -> Database[Document]:
    """For reading what is only shown: whatever a text or a date holds can be read; all else as the app set it up.

    Dates are UTC and naive, as ours are everywhere, also for an app whose client makes others of them.
    """
    if is_fake(database):
        return database
    codecs = database.codec_options
    if all(getattr(codecs, name) == value for name, value in _LENIENT.items()):  # most are already, and an app waits
        return database
    return database.with_options(codec_options=codecs.with_options(**_LENIENT))


_LENIENT: Document = {
    "datetime_conversion": DatetimeConversion.DATETIME_AUTO,
    "unicode_decode_error_handler": "replace",
    "tz_aware": False,
    "tzinfo": None,
}


def as_stored(database: Database[Document]) -> Database[Document]:
    """Like `lenient`, for asking for what was read: UUIDs of a legacy representation stay the bytes that they are."""
    if is_fake(database) or database.codec_options.uuid_representation == UuidRepresentation.STANDARD:
        return lenient(database)
    how = lenient(database).codec_options.with_options(uuid_representation=UuidRepresentation.UNSPECIFIED)
    return database.with_options(codec_options=how)


def is_fake(database: object) -> bool:
    """Tell the in-memory fake (or any other stand-in) from a database of pymongo."""
    return not isinstance(database, Database | AsyncDatabase)
