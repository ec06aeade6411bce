"""Collections as files: MongoDB Extended JSON v2, one document a line or one array, plain or gzipped.

Reads what `mongoexport` writes as well as our own files, relaxed or canonical. Everything streams: a file may be larger
than memory. Dates are naive UTC, UUIDs standard (binary subtype 4).
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

import bson
from bson import CodecOptions, json_util
from bson.binary import UuidRepresentation
from bson.errors import BSONError
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DocumentTooLarge

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.files import private
from lbmigrate.records import Document
from lbmigrate.values import json_stream
from lbmigrate.values.ids import same_id
from lbmigrate.values.json_stream import CANONICAL, RELAXED, Read

SUFFIXES = (".ndjson", ".ndjson.gz", ".json", ".json.gz")
OR_ELSE = f"(or {', '.join(SUFFIXES[1:])})"
UNSTORABLE = (BSONError, OverflowError, UnicodeError, RecursionError, DocumentTooLarge)
DUPLICATE_KEY = 11000
FIX = "correct or remove that line, or export the file again"
_CODECS: CodecOptions[Document] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError)


def collections(directory: Path) -> dict[str, Path]:
    """The collections that `directory` holds, by name in order: `tasks.ndjson.gz` is `tasks`.

    Raises UsageError if there is nothing to read, or if two files claim one collection.
    """
    hint = f"put one file per collection there, named like tasks.ndjson.gz ({', '.join(SUFFIXES)})"
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory", hint)
    try:
        paths = sorted(path for path in directory.iterdir() if path.name.endswith(SUFFIXES) and path.is_file())
    except OSError as error:
        raise UsageError(f"{directory} cannot be read: {error.strerror}", "check its permissions") from error
    if not paths:
        raise UsageError(f"{directory} holds no collection", hint)
    found: dict[str, Path] = {}
    for path in paths:
        first = found.setdefault(_name(path), path)
        if first != path:
            raise UsageError(f"{first} and {path} are both collection {_name(path)!r}", "remove or rename one of them")
    return found


def read(path: Path) -> Iterator[Document]:
    """The documents of a file, in its order. Raises UsageError naming `file:line` where the text is broken."""
    return (each.document for each in _read(path))


def _read(path: Path) -> Iterator[Read]:
    try:
        with _open(path) as file:
            text = json_stream.Text(path, file)
            yield from json_stream.lines(text) if ".ndjson" in path.suffixes else json_stream.values(text)
    except UNREADABLE as error:
        raise UsageError(f"{path} cannot be read: {error}", "check the file, or export it again") from error


def write(path: Path, documents: Iterable[Document], *, canonical: bool = False) -> int:
    """Write `documents` in the order given, one a line, and return how many they were.

    Canonical keeps int32, int64 and double apart; relaxed is easier on the eye. The file appears when it is complete:
    an interrupted write leaves at most `<path>.part`. Equal documents make equal bytes. Nobody but its owner can read
    it, and nothing is written through a link. Raises LbmigrateError naming what cannot be written.
    """
    options = CANONICAL if canonical else RELAXED
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        with private.new_file(part) as raw, _compressed(path, raw) as binary, io.TextIOWrapper(binary, "utf-8") as file:
            for document in documents:
                file.write(json_util.dumps(document, json_options=options, ensure_ascii=False) + "\n")
                count += 1
        part.replace(path)
    except OSError as error:
        raise LbmigrateError(f"{path} cannot be written: {error.strerror}", "check the directory") from error
    return count


def load(directory: Path, database: Database[Document], wanted: Collection[str], batch: int = 10_000) -> dict[str, int]:
    """Insert the files of the `wanted` collections and return how many documents each had; other files are left alone.

    Raises UsageError when a wanted collection has no file, and for a document that cannot be stored, with its line.
    """
    found = collections(directory)
    absent = [name for name in wanted if name not in found]
    if absent:
        raise UsageError(f"{directory} has no file for {', '.join(absent)}", f"add {absent[0]}.ndjson {OR_ELSE}")
    return {name: _insert(found[name], database, name, batch) for name in dict.fromkeys(wanted)}


def _insert(path: Path, database: Database[Document], name: str, batch: int) -> int:
    count = 0
    for some in _batches(path, batch):
        try:
            count += len(database[name].insert_many([each.document for each in some]).inserted_ids)
        except BulkWriteError as error:
            first = error.details["writeErrors"][0]
            raise _refused(path, some[first["index"]], first["code"], first["errmsg"]) from error
        except UNSTORABLE as error:
            raise _unstorable(path, some, error) from error
    return count


def _batches(path: Path, size: int) -> Iterator[list[Read]]:
    """At most `size` documents each, and no more text than one document may have, but always one."""
    some: list[Read] = []
    length = 0
    for each in _read(path):
        if len(some) == size or (some and length + each.length > json_stream.LONGEST):
            yield some
            some, length = [], 0
        some.append(each)
        length += each.length
    if some:
        yield some


def _refused(path: Path, refused: Read, code: int, what: str) -> UsageError:
    """What a server says of a document; of two with one `_id`, which the other is."""
    where = f"{path}:{refused.line}"
    if code != DUPLICATE_KEY:
        return UsageError(f"{where}: no server takes this document: {what[:200]}", FIX)
    key = refused.document["_id"]
    first = next((each.line for each in _read(path) if same_id(each.document.get("_id"), key)), refused.line)
    if first == refused.line:
        return UsageError(f"{where}: a document with this _id is there already", "load into an empty database")
    return UsageError(f"{where}: the same _id as in line {first}", "remove one of the two, or give it another _id")


def _unstorable(path: Path, some: list[Read], error: Exception) -> UsageError:
    """Name the document that is no BSON: a number of 30 digits, half a character, a NUL in a name."""
    for each in some:
        try:
            bson.encode(each.document, codec_options=_CODECS)
        except UNSTORABLE as refused:
            return UsageError(f"{path}:{each.line}: this document cannot be stored: {str(refused)[:200]}", FIX)
    return UsageError(f"{path} cannot be stored: {str(error)[:200]}", FIX)


def _name(path: Path) -> str:
    return re.sub(r"\.(ndjson|json)(\.gz)?$", "", path.name)


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")


def _compressed(path: Path, raw: BinaryIO) -> gzip.GzipFile | BinaryIO:
    """A gzip stream without name and time, which would make equal contents differ; `raw` itself for plain files."""
    return gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
