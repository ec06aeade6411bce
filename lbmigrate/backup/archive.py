"""A backup as files, in the layout of `mongodump --gzip`, with a manifest by which it is known again.

    DIR/<database>/<collection>.bson.gz            the documents one after the other, as the server keeps them
    DIR/<database>/<collection>.metadata.json.gz   options and indexes, canonical Extended JSON
    DIR/manifest.json                              what there is and its digests; `unfinished.json` until all is there
    DIR/manifest.hmac                              its HMAC-SHA256 in hexadecimal, where a key was given

A file appears when it is complete and on the disk, so that what an interrupted backup leaves is good or gone. What is
in a backup is personal, so nobody but its owner may read it, and nothing is written through a link of somebody else.
Layout: https://www.mongodb.com/docs/database-tools/mongodump/#output-format
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import hmac
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from bson import CodecOptions, json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.errors import InvalidBSON
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument

from lbmigrate.backup.contents import LARGEST, SMALLEST, digest, regular, unpacked
from lbmigrate.backup.manifest import Entry, Manifest
from lbmigrate.errors import LbmigrateError, Locked, Refused
from lbmigrate.files import private
from lbmigrate.records import Document, amount
from lbmigrate.values.json_stream import CANONICAL

MANIFEST, SEAL, UNFINISHED, PART = "manifest.json", "manifest.hmac", "unfinished.json", ".part"
AS_THEY_ARE = "-_.~$&+=@"  # characters that mongodump does not escape in a file's name
PLAIN: CodecOptions[Document] = CodecOptions(
    uuid_representation=UuidRepresentation.STANDARD, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
UNREADABLE = (OSError, EOFError, zlib.error, InvalidBSON)


class Archive:
    """A directory that holds one backup, or is to hold one."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self, database: str, collection: str) -> tuple[Path, Path]:
        """Where a collection's documents are, and where its metadata."""
        stem = quote(collection, safe=AS_THEY_ARE)
        return self.root / database / f"{stem}.bson.gz", self.root / database / f"{stem}.metadata.json.gz"

    # --- writing -----------------------------------------------------------------------------------------------

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else writes here during the block. Raises Locked when somebody does.

        Raises Refused when another user owns the directory, can change it, or made a link on the way to it.
        """
        with self._writing(self.root):
            root = private.resolved(self.root)
            private.make_directory(root)
            if (root / UNFINISHED).exists() or not any(root.iterdir()):
                private.tighten(root)  # anything else is no directory of ours, and refused when a backup begins
            directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self._lock(directory)
            yield
        finally:
            os.close(directory)

    def _lock(self, directory: int) -> None:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "wait for it, or choose another directory: lbmigrate backup --out DIR"
            raise Locked(f"another backup is being written to {self.root}", hint) from error
        except OSError:
            pass  # some network file systems lock no directories

    def begin(self, wanted: Manifest) -> Manifest:
        """The manifest to go on from: `wanted` in an empty directory, else that of an unfinished backup of the same.

        Raises Refused when the directory holds anything else.
        """
        hint = "choose another directory: lbmigrate backup --out DIR"
        if (self.root / MANIFEST).exists():
            raise Refused(f"{self.root} holds a finished backup, which stays as it is", hint)
        if (self.root / UNFINISHED).exists():
            found = self._read(UNFINISHED)
            if found.subject != wanted.subject:
                raise Refused(f"{self.root} holds the beginning of another backup: {found.words}", hint)
            return found
        if any(path.suffix != PART for path in self.root.iterdir()):
            raise Refused(f"{self.root} holds something that is no backup of lbmigrate", hint)
        self.save(wanted)
        return wanted

    def save(self, manifest: Manifest) -> None:
        """Keep what is known of an unfinished backup."""
        with self.appearing(self.root / UNFINISHED) as file:
            file.write(manifest.text().encode())

    def finish(self, manifest: Manifest, key: bytes = b"") -> str:
        """Declare the backup complete, sealed with `key` if there is one; the manifest's digest."""
        self.save(manifest)
        if key:
            with self.appearing(self.root / SEAL) as file:
                file.write(_seal(manifest.text().encode(), key).encode())
        with self._writing(self.root / MANIFEST):
            (self.root / UNFINISHED).replace(self.root / MANIFEST)
        return digest(self.root / MANIFEST)

    def save_metadata(self, path: Path, metadata: Document) -> None:
        """Write a collection's options and indexes."""
        text = json_util.dumps(metadata, json_options=CANONICAL)
        with self.appearing(path) as raw, zipped(raw) as file:
            file.write(text.encode())

    @contextmanager
    def appearing(self, path: Path) -> Iterator[BinaryIO]:
        """A file that is there, and on the disk, when the block ends well; otherwise nothing is left of it.

        Raises LbmigrateError naming the file when the disk takes no more.
        """
        part = path.with_name(path.name + PART)
        with self._writing(path):
            if path.parent != self.root:
                private.make_directory(path.parent)
            try:
                with private.new_file(part) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except private.Exposed as error:
            raise Refused(str(error.strerror), error.remedy) from error
        except OSError as error:
            hint = f"make room there, then: lbmigrate backup --out {self.root} (what is finished is not done again)"
            raise LbmigrateError(f"{path} cannot be written: {error.strerror}", hint) from error

    # --- reading -----------------------------------------------------------------------------------------------

    def manifest(self, digest: str = "", key: bytes = b"") -> Manifest:
        """What the backup holds. Raises Refused when there is no backup here, or no whole one.

        With a `digest` or a `key`, also when its manifest is not the one that had it, or was sealed with it.
        """
        if (self.root / MANIFEST).is_file():
            return self._read(MANIFEST, digest, key)
        if (self.root / UNFINISHED).is_file():
            raise Refused(f"the backup in {self.root} is unfinished", f"lbmigrate backup --out {self.root}")
        raise Refused(f"there is no backup in {self.root}: it has no {MANIFEST}", "ls backups")

    def _read(self, name: str, digest: str = "", key: bytes = b"") -> Manifest:
        try:
            data = (self.root / name).read_bytes()  # once: what is checked is what is used
            self._refuse_other(data, digest, key)
            return Manifest.of(data.decode())
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            hint = "take another backup: lbmigrate backup"
            raise Refused(f"{self.root / name} is no manifest that can be read: {error}", hint) from error

    def _refuse_other(self, data: bytes, digest: str, key: bytes) -> None:
        found = hashlib.sha256(data).hexdigest()
        if digest and not hmac.compare_digest(found.encode(), digest.strip().lower().encode()):
            what = f"{self.root / MANIFEST} has the SHA-256 {found}, which is not the one of --digest"
            raise Refused(what, "somebody changed it, or it is another backup: restore one that fits")
        if not key:
            return
        if not (self.root / SEAL).is_file():
            hint = "restore one that has it; this one can be used without the key if you trust where it was kept"
            raise Refused(f"{self.root} has no {SEAL}: it was made without a key", hint)
        if not hmac.compare_digest(_seal(data, key).encode(), (self.root / SEAL).read_bytes().strip()):
            what = f"{self.root / MANIFEST} was not sealed with this key"
            raise Refused(what, "somebody changed it, or it was made with another key: restore one that fits")

    def metadata(self, entry: Entry) -> Document:
        """A collection's options and indexes as they were."""
        _, path = self.files(entry.database, entry.collection)
        found: Document = json_util.loads(unpacked(path), json_options=CANONICAL)
        return found

    def documents(self, entry: Entry) -> Iterator[RawBSONDocument]:
        """A collection's documents in the order in which they were read."""
        with regular(self.files(entry.database, entry.collection)[0]) as raw, gzip.open(raw) as file:
            while head := file.read(4):
                size = int.from_bytes(head, "little")
                if not SMALLEST <= size <= LARGEST:
                    raise InvalidBSON(f"it says of a document that it has {amount(size, 'byte')}")
                yield RawBSONDocument(head + file.read(size - len(head)), DEFAULT_RAW_BSON_OPTIONS)

    def check(self, manifest: Manifest) -> None:
        """Read every file from end to end. Raises Refused naming those that are not as they were written."""
        found = [sentence for entry in manifest.collections if (sentence := self.damage(entry))]
        if found:
            raise Refused("this backup is damaged: " + "; ".join(found), "take another backup: lbmigrate backup")

    def damage(self, entry: Entry) -> str:
        """What is wrong with a collection's files; empty when nothing is."""
        written = (entry.sha256, entry.metadata_sha256)
        for path, known in zip(self.files(entry.database, entry.collection), written, strict=True):
            try:
                if digest(path) != known:
                    return f"{path} is not what was written (its SHA-256 differs)"
                if not path.name.endswith(".bson.gz"):
                    unpacked(path)
                elif (count := sum(1 for _ in self.documents(entry))) != entry.documents:
                    return f"{path} holds {amount(count, 'document')}, not {entry.documents:,}"
            except UNREADABLE as error:
                return f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        return ""


def _seal(data: bytes, key: bytes) -> str:
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def zipped(file: BinaryIO) -> gzip.GzipFile:
    """A gzip stream to `file`, without a name and a time in it: equal contents make equal bytes.

    Where the extra `isal` is installed it packs: a tenth of the processor time, files a sixth larger, read by any gzip.
    """
    try:
        from isal.igzip import IGzipFile  # noqa: PLC0415  an extra, and only who writes a backup needs it
    except ImportError:
        return gzip.GzipFile("", "wb", 6, file, mtime=0)
    packed: gzip.GzipFile = IGzipFile("", "wb", 2, file, mtime=0)
    return packed
