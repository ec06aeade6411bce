"""Collections as files: MongoDB Extended JSON v2, one document a line or one array, plain or gzipped.

Reads what `mongoexport` writes as well as our own files, relaxed or canonical. Everything streams: a file may be larger
than memory. Dates are naive UTC, UUIDs standard (binary subtype 4).
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.records import Document

SUFFIXES = (".ndjson", ".ndjson.gz", ".json", ".json.gz")
RELAXED, CANONICAL = (
    json_util.JSONOptions(
        json_mode=mode,
        tz_aware=False,
        uuid_representation=UuidRepresentation.STANDARD,
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,  # dates past the year 9999 exist in real data
    )
    for mode in (json_util.JSONMode.RELAXED, json_util.JSONMode.CANONICAL)
)
READ_SIZE = 1 << 16
LONGEST = 64 << 20  # characters: more than a 16 MB document takes as canonical JSON, so what is longer is broken
# What json and json_util raise at text that is not Extended JSON.
BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, BSONError)
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
    try:
        with _open(path) as file:
            yield from _lines(path, file) if ".ndjson" in path.suffixes else _values(path, file)
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
    documents, count = read(path), 0
    while some := list(islice(documents, batch)):
        try:
            count += len(database[name].insert_many(some).inserted_ids)
        except BulkWriteError as error:
            first = error.details["writeErrors"][0]
            where = f"document {count + first['index'] + 1} of {path}"
            raise LbmigrateError(f"{where} was refused: {first['errmsg']}", "load into an empty database") from error
    return count


def _name(path: Path) -> str:
    return re.sub(r"\.(ndjson|json)(\.gz)?$", "", path.name)


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8-sig") if path.suffix == ".gz" else path.open(encoding="utf-8-sig")


def _compressed(path: Path, raw: io.BufferedWriter) -> gzip.GzipFile | io.BufferedWriter:
    """A gzip stream without name and time, which would make equal contents differ; `raw` itself for plain files."""
    return gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw


def _decoded(item: dict[str, Any]) -> Any:
    """`json_util.object_hook`, with a fast path for the one value of which every document has several."""
    if len(item) == 1:
        date = item.get("$date")
        if type(date) is str and date.endswith("Z"):
            return dt.datetime.fromisoformat(date[:-1])
    return json_util.object_hook(item, RELAXED)


_DECODER = json.JSONDecoder(object_hook=_decoded)


def _lines(path: Path, file: TextIO) -> Iterator[Document]:
    for number, line in enumerate(file, start=1):
        if not line.isspace():
            try:
                yield _document(_DECODER.decode(line.rstrip()))
            except BROKEN as error:
                raise _broken(path, number, error) from error


def _values(path: Path, file: TextIO) -> Iterator[Document]:
    """Documents one after the other, between white space or, in an array, commas."""
    text, line, depth = "", 1, 0
    while True:
        text, gap = _after_gap(text, file)
        line += gap.count("\n")
        depth += gap.count("[") - gap.count("]")
        if not text:
            break
        try:
            value, end, text = _first(text, file)
            yield _document(value)
        except BROKEN as error:
            raise _broken(path, line, error) from error
        line += text.count("\n", 0, end)
        text = text[end:]
    if depth:
        raise UsageError(f"{path}:{line}: the array does not end", "the file seems to be cut off; export it again")


def _after_gap(text: str, file: TextIO) -> tuple[str, str]:
    """The text from the next document on (empty at the end of the file), and what stood before it."""
    gap = ""
    while not (rest := text.lstrip(" \t\r\n,[]")):
        gap += text
        text = file.read(READ_SIZE)
        if not text:
            return "", gap
    return rest, gap + text[: len(text) - len(rest)]


def _first(text: str, file: TextIO) -> tuple[Any, int, str]:
    """The value at the beginning of `text`, where it ends, and the text with as much more as that took."""
    while True:
        try:
            return (*_DECODER.raw_decode(text), text)
        except BROKEN:
            # Perhaps the text only ends too early. Doubling keeps the work linear in the document's length.
            more = file.read(max(len(text), READ_SIZE)) if len(text) < LONGEST else ""
            if not more:
                raise
            text += more


def _document(value: Any) -> Document:
    if not isinstance(value, dict):
        raise TypeError(f"a document is expected here, not {json.dumps(value, default=str)[:40]}")
    return value


def _broken(path: Path, line: int, error: Exception) -> UsageError:
    what = str(error)
    if isinstance(error, json.JSONDecodeError):
        line += error.lineno - 1
        what = f"{error.msg} at column {error.colno}"
    return UsageError(f"{path}:{line}: not Extended JSON: {what}", "mend or remove that line, or export the file again")
