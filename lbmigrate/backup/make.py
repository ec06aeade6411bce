"""Back up what a migration may touch: documents as the server keeps them, streamed to an archive, and who did so when.

Where the deployment can (replica sets from MongoDB 5.0 on), everything is read as of one moment. A server remembers
`minSnapshotHistoryWindowInSeconds`, five minutes by default; what takes longer is read as it is, and the manifest
says so.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import bson
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from lbmigrate.backup import archive, contents
from lbmigrate.backup.archive import Archive
from lbmigrate.backup.manifest import Entry, Manifest
from lbmigrate.backup.record import record, record_part
from lbmigrate.board.histogram import ROW as HISTOGRAM
from lbmigrate.errors import Refused
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Copied, Document, Piece, Work
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.schema.layout import partitions
from lbmigrate.state.operator import operator
from lbmigrate.telling.secrets import hidden, redact

NAME = "backup"
WORK = Work(NAME)
BATCH = 5_000  # documents, or 16 MB where those are more
LENGTH = struct.Struct("<i")
# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
NO_SNAPSHOT = {123, 239}  # no replica set, and a moment too long ago
NOT_HERE = {246}  # a collection that knows nothing of the moment: it is capped, or was made or indexed since


@dataclass(slots=True)
class Moment:
    """What everything is read as of, `session`, while the server has it; `lost` says why something was not."""

    session: ClientSession | None
    begun: str
    lost: str = ""

    def lose(self, error: PyMongoError) -> None:
        """Give the moment up, for one collection or, if no other would fare better, for all. Raises other errors."""
        code = getattr(error, "code", None)
        if self.session is None or not (code in NO_SNAPSHOT | NOT_HERE or isinstance(error, ConfigurationError)):
            raise error
        self.lost = hidden(str(error).partition(", full error")[0])
        if code not in NOT_HERE:
            self.session = None


@dataclass(frozen=True, slots=True)
class Making:
    """A backup under way: what surrounds it, where it goes, and the command that goes on with it after a signal."""

    context: Context
    into: Archive
    moment: Moment
    again: str
    sources: bool

    def only(self, name: str) -> Document:
        """Which documents of a collection: of the flags our own, for the others are the app's, like its sources.

        Histograms stay out: entries of another moment do not go with them, and a run makes them again.
        """
        if name == self.context.state.rows.name:
            return {"kind": {"$ne": HISTOGRAM}}
        flag = self.context.config.flag
        return {"_id": flag.id} if name == flag.collection and not self.sources else {}

    def copy(self, source: Collection[Any], info: Document) -> Generator[Piece, None, Entry]:
        """One collection: options and indexes, then the documents, once more without the moment if that got lost."""
        files = self.into.files(source.database.name, source.name)
        self.into.save_metadata(files[1], metadata(source, info))
        try:
            return (yield from self._entry(source, files, self.moment.session))
        except (OperationFailure, ConfigurationError) as error:
            self.moment.lose(error)
        return (yield from self._entry(source, files, None))

    def _entry(
        self, source: Collection[Any], files: tuple[Path, Path], session: ClientSession | None
    ) -> Generator[Piece, None, Entry]:
        total = source.estimated_document_count()  # of the flags too many, which is but a figure of the progress
        documents = size = 0
        wanted = self.only(source.name)
        with self.into.appearing(files[0]) as raw, archive.zipped(raw) as file:
            for batch in _batches(source, session, wanted):
                self.context.stop.raise_if_asked(self.again)
                file.write(batch)
                count = _count(batch)
                documents, size = documents + count, size + len(batch)
                yield Piece(source.name, documents, max(total, documents), estimated=True, counts=Copied(count))
        yield Piece(source.name, documents, documents)
        sha256, metadata_sha256 = map(contents.digest, files)
        as_of = self.moment.begun if session else None
        return Entry(source.database.name, source.name, documents, size, sha256, metadata_sha256, as_of)


def pieces(
    context: Context, into: Archive, sources: bool, again: str, key: bytes = b"", only: Sequence[str] = ()
) -> Iterator[Piece]:
    """Back up into an archive that is held, going on where an unfinished backup stopped; then put it on record.

    With `only`, these collections alone; it is no backup of the database then, and no run may start because of it.
    `again` is the command that goes on after a signal, `key` seals the manifest. Raises what `Archive.begin` does, and
    LbmigrateError naming the file that cannot be written.
    """
    manifest, notes = _begin(context, into, sources), []
    done = {(entry.database, entry.collection) for entry in manifest.collections}
    with _moment(context) as moment:
        making = Making(context, into, moment, again, sources)
        for database, info in _listed(context, sources, only):
            name = info["name"]
            if (database.name, name) in done:
                yield Piece(name, note=f"{name} is there already")
            elif info.get("type", "collection") != "collection":
                notes.append(f"{name} is a {info['type']}, no plain collection, and is not in the backup")
            else:
                entry = yield from making.copy(database[name], info)
                manifest = replace(manifest, collections=(*manifest.collections, entry))
                into.save(manifest)
    notes += [] if manifest.is_of_one_moment else [_blurred(moment)]
    yield from (Piece(NAME, warning=note) for note in notes)
    yield from _finish(context, into, replace(manifest, notes=tuple(notes)), key, record_part if only else record)


def _begin(context: Context, into: Archive, sources: bool) -> Manifest:
    """The manifest to go on from, with those collections whose files are still as they were written."""
    wanted = Manifest(
        database=context.target.name,
        state_database=context.state.rows.database.name,
        server=redact(context.config.database.uri),
        sources=sources,
        by=operator(),
        begun=_iso(context.clock()),
    )
    found = into.begin(wanted)
    return replace(found, collections=tuple(entry for entry in found.collections if not into.damage(entry)))


def _finish(
    context: Context, into: Archive, manifest: Manifest, key: bytes, put_on_record: Callable[..., None]
) -> Iterator[Piece]:
    at = context.clock()
    digest = into.finish(replace(manifest, finished=_iso(at), consistent=manifest.is_of_one_moment), key)
    try:
        put_on_record(context.state, "lbmigrate", str(into.root.absolute()), at, digest)
    except (PyMongoError, Refused) as error:
        why = hidden(str(error).partition(", full error")[0])
        yield Piece(NAME, warning=f"the backup is whole, but could not be put on record: {why}")


def _blurred(moment: Moment) -> str:
    why = moment.lost or "it was taken in several goes"
    return f"not of one moment ({why}): of what was written meanwhile, some may be in it and some not"


def _listed(context: Context, sources: bool, only: Sequence[str]) -> Iterator[tuple[Database[Any], Document]]:
    """What there is of the collections to back up, with its database, as that lists it."""
    for database, names in [(context.target, only)] if only else _names(context, sources):
        found = database.list_collections(filter={"name": {"$in": names}})
        infos = {info["name"]: dict(info) for info in found}
        yield from ((database, infos[name]) for name in names if name in infos)


def _names(context: Context, sources: bool) -> Iterator[tuple[Database[Any], list[str]]]:
    """The collections to back up, by the database that they live in.

    The state comes first: without a common moment it must not tell of chunks whose events are not in the backup.
    """
    yield context.state.rows.database, [context.state.rows.name]
    ours = [context.config.flag.collection, EVENTS, ENTRIES, REJECTS, *partitions(context.target)]
    read = context.config.collections if sources else ()
    yield context.target, list(dict.fromkeys([*ours, *read]))


@contextmanager
def _moment(context: Context) -> Iterator[Moment]:
    begun = _iso(context.clock(), "milliseconds")
    if is_fake(context.target):
        yield Moment(None, begun, "an in-memory database has no snapshots")
        return
    with context.target.client.start_session(snapshot=True) as session:
        yield Moment(session, begun)


def _batches(source: Collection[Any], session: ClientSession | None, wanted: Document) -> Iterator[bytes]:
    """The documents as BSON, several at a time, end to end."""
    if not is_fake(source.database):
        yield from source.find_raw_batches(wanted, batch_size=BATCH, session=session)
        return
    found = iter(source.find(wanted))
    while some := [bson.encode(each, codec_options=archive.PLAIN) for each in islice(found, BATCH)]:
        yield b"".join(some)


def _count(batch: bytes) -> int:
    """How many documents lie end to end; each begins with its length (https://bsonspec.org/spec.html)."""
    number = at = 0
    while at < len(batch):
        at += LENGTH.unpack_from(batch, at)[0]
        number += 1
    return number


def metadata(source: Collection[Any], info: Document) -> Document:
    """A collection's options and indexes as `mongodump` writes them; `info` is how its database lists it."""
    uuid = info.get("info", {}).get("uuid")
    return {
        "options": info.get("options", {}),
        "indexes": [dict(spec) for spec in source.list_indexes()],
        "uuid": uuid.hex() if uuid else "",
        "collectionName": source.name,
        "type": "collection",
    }


def _iso(moment: dt.datetime, precision: str = "seconds") -> str:
    return moment.isoformat(timespec=precision) + "Z"
