"""Bring a backup back: collections with their options, their documents bit by bit, and their indexes.

Nothing is written before every file is known to be whole and every collection is known to be free. Each collection is
filled under a name of ours and takes its own name when all are filled, so that a restore that is killed leaves
nothing half done in the app's way; the next one sweeps up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from lbmigrate.backup.archive import PLAIN, Archive
from lbmigrate.backup.manifest import Entry, Manifest
from lbmigrate.errors import Refused
from lbmigrate.mongo.client import durable, is_fake
from lbmigrate.records import Copied, Document, Piece, Work
from lbmigrate.run.context import Context

WORK = Work("restore")
PREFIX = "lbmigrate_restore."  # of collections that are being filled
MOST = 8 << 20  # bytes sent at once
INVALID = 121  # DocumentValidationFailure


@dataclass(frozen=True, slots=True)
class Restoring:
    """A backup on its way back: what surrounds it, where it comes from, and the command that tries again."""

    context: Context
    source: Archive
    manifest: Manifest
    again: str

    def home(self, entry: Entry) -> Database[Any]:
        """Where a collection goes: the app's database, or that of the state if it was in another."""
        of_the_app = entry.database == self.manifest.database
        return durable(self.context.target if of_the_app else self.context.state.rows.database)

    def filled(self) -> list[str]:
        """The collections that hold documents already."""
        homes = [(self.home(entry), entry.collection) for entry in self.manifest.collections]
        return [name for home, name in homes if home[name].find_one({}, {"_id": 1})]

    def refuse_filled(self) -> None:
        """Raise Refused when a collection is not free."""
        found = self.filled()
        if found:
            where = f"{', '.join(found)} in {self.context.target.name}"
            hint = f"drop what is not wanted, or: lbmigrate backup restore {self.source.root} --database NAME"
            raise Refused(f"there are documents already in {where}; nothing was restored", hint)

    def fill(self, entry: Entry) -> Iterator[Piece]:
        """Make one collection under its passing name."""
        home, found = self.home(entry), self.source.metadata(entry)
        name = PREFIX + entry.collection
        home.drop_collection(name)
        home.create_collection(name, **found["options"])
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
        taken = entry.collection in home.list_collection_names(filter={"name": entry.collection})
        home[PREFIX + entry.collection].rename(entry.collection, dropTarget=taken)


def check(context: Context, source: Archive, renamed: bool) -> Manifest:
    """What is to be restored. Raises Refused when it is not whole, or of another database and that is not `renamed`."""
    manifest = source.manifest()
    if manifest.database != context.target.name and not renamed:
        said = f"{source.root} is a backup of {manifest.database}, and the database here is {context.target.name}"
        raise Refused(said, f"lbmigrate backup restore {source.root} --database {context.target.name}")
    source.check(manifest)
    return manifest


def places(context: Context, manifest: Manifest) -> list[tuple[str, str]]:
    """Where a backup's collections go: database and collection."""
    home = context.state.rows.database.name
    return [
        (context.target.name if entry.database == manifest.database else home, entry.collection)
        for entry in manifest.collections
    ]


def pieces(context: Context, source: Archive, manifest: Manifest, again: str) -> Iterator[Piece]:
    """Restore what `check` found whole. `again` is the command that tries again after a signal.

    Raises Refused, and writes nothing, when a collection holds documents already.
    """
    restoring = Restoring(context, source, manifest, again)
    restoring.refuse_filled()
    for entry in manifest.collections:
        yield from restoring.fill(entry)
    restoring.refuse_filled()
    for entry in reversed(manifest.collections):  # the state last, for it tells of the others
        restoring.name(entry)


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


def _index(collection: Collection[Any], found: Document) -> None:
    """Make the indexes as they were listed, but for the one that every collection has from the start."""
    specs = [spec for spec in found["indexes"] if spec["name"] != "_id_" and not spec.get("clustered")]
    if is_fake(collection.database):
        for spec in specs:
            options = {key: value for key, value in spec.items() if key not in ("key", "v")}
            collection.create_index(list(spec["key"].items()), **options)
    elif specs:
        # One that is listed without a collation has none, whatever the collection has.
        simple: Document = {"collation": {"locale": "simple"}} if "collation" in found["options"] else {}
        wanted = [{**simple, **spec} for spec in specs]
        collection.database.command({"createIndexes": collection.name, "indexes": wanted})
