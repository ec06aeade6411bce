"""Bring a backup back: collections with their options, their documents bit by bit, and their indexes.

Nothing is written before every file is known to be whole and every collection is known to be free. Each collection is
filled under a name of ours and takes its own name when all are filled, so that a restore that fails leaves nothing, and
one that is killed nothing half done in the app's way; the next one sweeps up.

The flag lives among flags of the app's own. Only our document comes back, in the place of the one that is there; the
others stay as they are. The whole collection comes back only with the app's sources, and where no flag is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError

from lbmigrate.backup import PREFIX
from lbmigrate.backup.allowed import Shape, refuse_strangers, shape
from lbmigrate.backup.archive import PLAIN, UNREADABLE, Archive
from lbmigrate.backup.manifest import Entry, Manifest
from lbmigrate.errors import Refused
from lbmigrate.mongo import indexes
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Copied, Document, Piece, Work
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS, base_of

WORK = Work("restore")
MOST = 8 << 20  # bytes sent at once
INVALID = 121  # DocumentValidationFailure


@dataclass(slots=True)
class Restoring:
    """A backup on its way back: what surrounds it, where it comes from, and the command that tries again.

    `proven` says that it is known to be as it was made; `named` are the collections that have their names already.
    """

    context: Context
    source: Archive
    manifest: Manifest
    again: str
    proven: bool = False
    shapes: dict[Entry, Shape] = field(default_factory=dict)
    left: set[Entry] = field(default_factory=set)  # collections that stay: only our document is put into them
    flag: Document = field(default_factory=dict)
    flag_before: Document | None = None
    first_flag: bool = False  # whether the collection of flags is made by putting ours into it
    named: list[Entry] = field(default_factory=list)

    def home(self, entry: Entry) -> Database[Any]:
        """Where a collection goes: the app's database, or that of the state if it was in another."""
        of_the_app = entry.database == self.manifest.database
        return self.context.target if of_the_app else self.context.state.rows.database

    def prepare(self) -> None:
        """Decide what comes back of each collection. Raises Refused, also when a collection is not free."""
        ours = {EVENTS, ENTRIES, REJECTS, self.context.state.rows.name}
        for entry in self.manifest.collections:
            self.shapes[entry] = shape(entry, self._metadata(entry), base_of(entry.collection) in ours, self.proven)
            if entry.collection == self.context.config.flag.collection and self._is_shared(entry):
                self.left.add(entry)
                self.flag, self.flag_before = self._flag(entry), self._present_flag(entry)
                self.first_flag = not self.home(entry).list_collection_names(filter={"name": entry.collection})
        self.refuse_filled()

    def _metadata(self, entry: Entry) -> Any:
        try:
            return self.source.metadata(entry)
        except (*UNREADABLE, ValueError, TypeError) as error:
            what = f"the options of {entry.collection} in the backup cannot be read: {error}"
            raise Refused(what, "take another backup: lbmigrate backup") from error

    def _is_shared(self, entry: Entry) -> bool:
        """Whether there are flags already, or the backup is not one of the app's own collections."""
        return not self.manifest.sources or self.home(entry)[entry.collection].find_one({}, {"_id": 1}) is not None

    def _flag(self, entry: Entry) -> Document:
        """Our own document of the flag's collection; an empty one where the backup has none."""
        found = (bson.decode(each.raw, PLAIN) for each in self.source.documents(entry))
        ours = (document for document in found if document.get("_id") == self.context.config.flag.id)
        return next(ours, {})

    def _present_flag(self, entry: Entry) -> Document | None:
        return self.home(entry)[entry.collection].find_one({"_id": self.context.config.flag.id})

    def is_left(self, entry: Entry) -> bool:
        """Whether a collection stays, and only a document of ours is put into it."""
        return entry in self.left

    def filled(self) -> list[tuple[str, str]]:
        """The collections that hold documents already, each with its database."""
        homes = [(self.home(each), each.collection) for each in self.manifest.collections if not self.is_left(each)]
        return [(home.name, name) for home, name in homes if home[name].find_one({}, {"_id": 1})]

    def refuse_filled(self) -> None:
        """Raise Refused when a collection is not free."""
        found = self.filled()
        if found:
            names = {database: [name for home, name in found if home == database] for database, _ in found}
            where = ", and in ".join(f"{database}: {', '.join(held)}" for database, held in names.items())
            raise Refused(f"there are documents already in {where}; nothing was restored", self._way(*found[0]))

    def _way(self, database: str, collection: str) -> str:
        """How to make room, or to keep what is there. A state in a database of its own is not moved by --database."""
        drop = f"drop what is not wanted, as db.getSiblingDB({database!r}).getCollection({collection!r}).drop() does"
        apart = self.context.state.rows.database.name != self.context.target.name
        other = "name another state.database in the configuration, then: " if apart else ""
        return f"{drop}; or: {other}lbmigrate backup restore {self.source.root} --database NAME"

    def fill(self, entry: Entry) -> Iterator[Piece]:
        """Make one collection under its passing name."""
        if self.is_left(entry):
            yield Piece(entry.collection, note=f"of {entry.collection} only our own flag comes back; others stay")
            return
        home, found = self.home(entry), self.shapes[entry]
        name = PREFIX + entry.collection
        home.drop_collection(name)
        home.create_collection(name, **found.options)
        for sentence in found.left_out:
            why = "left out, for it may remove or refuse documents, and a changed backup could say so"
            yield Piece(entry.collection, warning=f"{sentence}: {why}")
        done = 0
        for batch in _batches(self.source.documents(entry)):
            self.context.stop.raise_if_asked(self.again)
            _insert(home[name], batch)
            done += len(batch)
            yield Piece(entry.collection, done, entry.documents, counts=Copied(len(batch)))
        _index(home[name], found)
        yield Piece(entry.collection, entry.documents, entry.documents)

    def name(self, entry: Entry) -> None:
        """Give a filled collection its own name; an empty one that has it goes."""
        home = self.home(entry)
        if not self.is_left(entry):
            taken = entry.collection in home.list_collection_names(filter={"name": entry.collection})
            home[PREFIX + entry.collection].rename(entry.collection, dropTarget=taken)
        elif self.flag:
            home[entry.collection].replace_one({"_id": self.flag["_id"]}, self.flag, upsert=True)
        self.named.append(entry)

    def take_back(self) -> None:
        """Remove what a restore that failed has made, but for what others have added to meanwhile."""
        for entry in self.manifest.collections:
            home = self.home(entry)
            with suppress(PyMongoError):  # what ended the restore is what has to be told
                if self.is_left(entry):
                    self._take_flag_back(home[entry.collection], entry in self.named)
                elif entry not in self.named:
                    home.drop_collection(PREFIX + entry.collection)
                elif home[entry.collection].count_documents({}) == entry.documents:
                    home.drop_collection(entry.collection)

    def _take_flag_back(self, flags: Collection[Any], named: bool) -> None:
        if not named or not self.flag:
            return
        if self.flag_before is None:
            flags.delete_one(self.flag)
            if self.first_flag and flags.find_one({}, {"_id": 1}) is None:
                flags.drop()
        else:
            flags.replace_one(self.flag, self.flag_before)


def check(context: Context, source: Archive, renamed: bool, digest: str = "", key: bytes = b"") -> Manifest:
    """What is to be restored.

    Raises Refused when it is not whole, is not the one with the `digest` or sealed with the `key`, holds what this
    configuration would not put into one, or is of another database and that is not `renamed`.
    """
    manifest = source.manifest(digest, key)
    if manifest.database != context.target.name and not renamed:
        said = f"{source.root} is a backup of {manifest.database}, and the database here is {context.target.name}"
        raise Refused(said, f"lbmigrate backup restore {source.root} --database {context.target.name}")
    refuse_strangers(context, manifest)
    source.check(manifest)
    return manifest


def places(context: Context, manifest: Manifest) -> list[tuple[str, str]]:
    """Where a backup's collections go: database and collection."""
    home = context.state.rows.database.name
    return [
        (context.target.name if entry.database == manifest.database else home, entry.collection)
        for entry in manifest.collections
    ]


def pieces(context: Context, source: Archive, manifest: Manifest, again: str, proven: bool = False) -> Iterator[Piece]:
    """Restore what `check` found whole. `again` is the command that tries again after a signal.

    Raises Refused, and writes nothing, when a collection holds documents already. Whatever ends it early, it leaves
    nothing.
    """
    restoring = Restoring(context, source, manifest, again, proven)
    restoring.prepare()
    try:
        for entry in manifest.collections:
            yield from restoring.fill(entry)
        restoring.refuse_filled()
        for entry in reversed(manifest.collections):  # the state last, for it tells of the others
            restoring.name(entry)
    except BaseException:
        restoring.take_back()
        raise


def _batches(documents: Iterator[RawBSONDocument]) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        if size > MOST:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.raw)
    if batch:
        yield batch


def _insert(collection: Collection[Any], batch: list[RawBSONDocument]) -> None:
    if is_fake(collection.database):
        collection.insert_many([bson.decode(each.raw, PLAIN) for each in batch])
        return
    try:
        collection.insert_many(batch)
    except BulkWriteError as error:
        first = error.details["writeErrors"][0]
        if first["code"] != INVALID:
            raise
        # It is older than the validator. To pass that by is a right of its own, so only where it is needed.
        collection.insert_many(batch[first["index"] :], bypass_document_validation=True)


def _index(collection: Collection[Any], found: Shape) -> None:
    """Make the indexes as they were listed, but for the one that every collection has from the start."""
    specs = [spec for spec in found.indexes if spec["name"] != "_id_" and not spec.get("clustered")]
    # One that is listed without a collation has none, whatever the collection has.
    simple: Document = {"collation": {"locale": "simple"}} if "collation" in found.options else {}
    if specs:
        indexes.build(collection.database, collection.name, [{**simple, **spec} for spec in specs])
