"""Documents out of Extended JSON text, one after the other, at a cost that no text can drive up.

A document has a longest length and a deepest level, and a compressed file a largest size, since a few kilobytes of it
can stand for gigabytes. What is read but not yet handed on is never more than one document and a piece of the next.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError

from lbmigrate.errors import UsageError
from lbmigrate.records import Document

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
LONGEST = 16 << 20  # characters of a document: as many as a server lets it have bytes
DEEPEST = 180  # levels of a document: no server keeps more
EXPANDING = 200  # times its size may a compressed file be; exports come to 5 or 20, bombs to 1,000
UNSUSPICIOUS = 64 << 20  # characters of a compressed file, however small that is
# What json and json_util raise at text that is not Extended JSON.
BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, BSONError)
_gap = re.compile(r"[ \t\r\n,\[\]]*").match


class _TooMuch(ValueError):
    """More than a document may have."""


class Text:
    """The text of a file, read in pieces and counted."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self._file = file
        compressed = path.suffix == ".gz"
        self._left = max(UNSUSPICIOUS, EXPANDING * path.stat().st_size) if compressed else math.inf

    def line(self) -> str:
        """The next line with its end; empty after the last. One that is too long is cut."""
        return self._counted(self._file.readline(LONGEST + 1))

    def piece(self, size: int) -> str:
        """So many characters, or what there still is."""
        return self._counted(self._file.read(size))

    def _counted(self, text: str) -> str:
        self._left -= len(text)
        if self._left < 0:
            raise UsageError(
                f"{self.path} expands to more than {EXPANDING} times its size, as no export does",
                "export it again, or decompress it first if it is what it should be",
            )
        return text


def lines(text: Text) -> Iterator[tuple[Document, int]]:
    """Every document of a text that has one a line, and its length in characters."""
    number = 0
    while line := text.line():
        number += 1
        if line.isspace():
            continue
        try:
            _short(len(line))
            yield _document(*_decode(line.rstrip(), 0)), len(line)
        except BROKEN as error:
            raise _broken(text.path, number, line, 0, error) from error


def values(source: Text) -> Iterator[tuple[Document, int]]:
    """Documents one after the other, between white space or, in an array, commas; and the length of each."""
    text, at, line, depth = "", 0, 1, 0
    while True:
        end = _end_of_gap(text, at)
        line += text.count("\n", at, end)
        depth += text.count("[", at, end) - text.count("]", at, end)
        at = end
        if at == len(text):
            text, at = source.piece(READ_SIZE), 0
            if not text:
                break
            continue
        try:
            value, end, text, at = _first(text, at, source)
            yield _document(value, text, at, end), end - at
        except BROKEN as error:
            raise _broken(source.path, line, text, at, error) from error
        line += text.count("\n", at, end)
        at = end
    if depth:
        raise UsageError(f"{source.path}:{line}: the array does not end", "the file seems cut off; export it again")


def _end_of_gap(text: str, at: int) -> int:
    found = _gap(text, at)
    return found.end() if found else at


def _first(text: str, at: int, source: Text) -> tuple[Any, int, str, int]:
    """The value that begins at `at`: where it ends, and the text and the place at which it stands now."""
    while True:
        try:
            value, end = _DECODER.raw_decode(text, at)
            return value, end, text, at
        except BROKEN:
            # Perhaps the text only ends too early. Doubling keeps the work linear in the document's length.
            known = len(text) - at
            _short(known)
            more = source.piece(max(known, READ_SIZE))
            if not more:
                raise
            text, at = text[at:] + more, 0


def _decode(text: str, at: int) -> tuple[Any, str, int, int]:
    return _DECODER.decode(text), text, at, len(text)


def _decoded(item: dict[str, Any]) -> Any:
    """`json_util.object_hook`, with a fast path for the one value of which every document has several."""
    if len(item) == 1:
        date = item.get("$date")
        if type(date) is str and date.endswith("Z"):
            return dt.datetime.fromisoformat(date[:-1])
    return json_util.object_hook(item, RELAXED)


_DECODER = json.JSONDecoder(object_hook=_decoded)


def _short(length: int) -> None:
    if length > LONGEST:
        raise _TooMuch(f"a document of more than {LONGEST >> 20} million characters")


def _document(value: Any, text: str, start: int, end: int) -> Document:
    if not isinstance(value, dict):
        raise TypeError(f"a document is expected here, not {json.dumps(value, default=str)[:40]}")
    brackets = text.count("{", start, end) + text.count("[", start, end)
    if brackets > DEEPEST and _levels(value) > DEEPEST:
        raise RecursionError
    return value


def _levels(value: Any) -> int:
    level, number = [value], 0
    while level:
        number += 1
        inner = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list))
        level = [child for items in inner for child in items]
    return number - 1


def _broken(path: Path, line: int, text: str, start: int, error: Exception) -> UsageError:
    what = str(error)
    if isinstance(error, json.JSONDecodeError):
        line += text.count("\n", start, error.pos)
        what = f"{error.msg} at column {error.colno}"
    elif isinstance(error, RecursionError):
        what = f"a document of more than {DEEPEST} levels"
    return UsageError(
        f"{path}:{line}: not Extended JSON: {what[:200]}", "mend or remove that line, or export the file again"
    )
