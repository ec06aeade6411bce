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
from typing import TextIO

import bson
from bson import json_util
from bson.errors import BSONError
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DocumentTooLarge

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.records import Document
from lbmigrate.values import json_stream
from lbmigrate.values.json_stream import CANONICAL, RELAXED

SUFFIXES = (".ndjson", ".ndjson.gz", ".json", ".json.gz")
UNSTORABLE = (BSONError, OverflowError, UnicodeError, RecursionError, DocumentTooLarge)
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
    return (document for document, _ in _measured(path))


def _measured(path: Path) -> Iterator[tuple[Document, int]]:
    """Every document with its length in characters."""
    try:
        with _open(path) as file:
            text = json_stream.Text(path, file)
            yield from json_stream.lines(text) if ".ndjson" in path.suffixes else json_stream.values(text)
    except UNREADABLE as error:
        raise UsageError(f"{path} cannot be read: {error}", "check the file, or export it again") from error


def write(path: Path, documents: Iterable[Document], *, canonical: bool = False) -> int:
    """Write `documents` in the order given, one a line, and return how many they were.

    Canonical keeps int32, int64 and double apart; relaxed is easier on the eye. The file appears when it is complete:
    an interrupted write leaves at most `<path>.part`. Equal documents make equal bytes.
    """
    options = CANONICAL if canonical else RELAXED
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        with part.open("wb") as raw, _compressed(path, raw) as binary, io.TextIOWrapper(binary, "utf-8") as file:
            for document in documents:
                file.write(json_util.dumps(document, json_options=options, ensure_ascii=False) + "\n")
                count += 1
        part.replace(path)
    except OSError as error:
        raise LbmigrateError(f"{path} cannot be written: {error.strerror}", "check the directory") from error
    return count


def load(directory: Path, database: Database[Document], wanted: Collection[str], batch: int = 10_000) -> dict[str, int]:
    """Insert the files of the `wanted` collections and return how many documents each had; other files are left alone.

    Raises UsageError when a wanted collection has no file.
    """
    found = collections(directory)
    absent = [name for name in wanted if name not in found]
    if absent:
        raise UsageError(f"{directory} has no file for {', '.join(absent)}", f"add {absent[0]}.ndjson, or its like")
    return {name: _insert(found[name], database, name, batch) for name in dict.fromkeys(wanted)}


def _insert(path: Path, database: Database[Document], name: str, batch: int) -> int:
    count = 0
    for some in _batches(path, batch):
        try:
            count += len(database[name].insert_many(some).inserted_ids)
        except BulkWriteError as error:
            first = error.details["writeErrors"][0]
            where = f"document {count + first['index'] + 1} of {path}"
            raise LbmigrateError(f"{where} was refused: {first['errmsg']}", "load into an empty database") from error
        except UNSTORABLE as error:
            raise _unstorable(path, count, some, error) from error
    return count


def _batches(path: Path, size: int) -> Iterator[list[Document]]:
    """At most `size` documents each, and no more text than one document may have, but always one."""
    some: list[Document] = []
    length = 0
    for document, own in _measured(path):
        if len(some) == size or (some and length + own > json_stream.LONGEST):
            yield some
            some, length = [], 0
        some.append(document)
        length += own
    if some:
        yield some


def _unstorable(path: Path, count: int, documents: list[Document], error: Exception) -> UsageError:
    """Name the document that is no BSON: a number of 30 digits, half a character, a NUL in a name."""
    for place, document in enumerate(documents, start=count + 1):
        try:
            bson.encode(document)
        except UNSTORABLE as refused:
            return UsageError(f"document {place} of {path} cannot be stored: {str(refused)[:200]}", "mend or remove it")
    return UsageError(f"{path} cannot be stored: {str(error)[:200]}", "mend or remove the document")


def _name(path: Path) -> str:
    return re.sub(r"\.(ndjson|json)(\.gz)?$", "", path.name)


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")


def _compressed(path: Path, raw: io.BufferedWriter) -> gzip.GzipFile | io.BufferedWriter:
    """A gzip stream without name and time, which would make equal contents differ; `raw` itself for plain files."""
    return gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
