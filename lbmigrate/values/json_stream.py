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
from typing import Any, NamedTuple, TextIO

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
_blank = re.compile(r"\s*")
_gap = re.compile(r"[ \t\r\n,\[\]]*")


class _TooMuch(ValueError):
    """More than a document may have."""


class Read(NamedTuple):
    """A document, its length in characters, and the line that it begins in."""

    document: Document
    length: int
    line: int


class Text:
    """The text of a file, read in pieces and counted."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self._file = file
        compressed = path.suffix == ".gz"
        self._left = max(UNSUSPICIOUS, EXPANDING * path.stat().st_size) if compressed else math.inf

    def piece(self) -> str:
        """The next piece; empty at the end."""
        return self._read(READ_SIZE)

    def more(self, known: str) -> str:
        """`known`, the beginning of a document, and what follows. Doubling keeps the work linear in its length.

        The same when there is no more. Raises _TooMuch when it is as long as no document is.
        """
        if len(known) > LONGEST:
            raise _TooMuch(f"a document of more than {LONGEST >> 20} million characters")
        return known + self._read(min(max(len(known), READ_SIZE), LONGEST + 1 - len(known)))

    def _read(self, size: int) -> str:
        text = self._file.read(size)
        self._left -= len(text)
        if self._left < 0:
            raise UsageError(
                f"{self.path} expands to more than {EXPANDING} times its size, as no export does",
                "export it again, or decompress it first if it is what it should be",
            )
        return text


def lines(source: Text) -> Iterator[Read]:
    """Every document of a text that has one a line."""
    text, at, line = "", 0, 1
    while True:
        text, at, ends, _ = _skipped(text, at, source, _blank)
        if at == len(text):
            return
        line += ends
        try:
            text, at, end = _line(text, at, source)
            document = _document(_DECODER.decode(text[at:end].rstrip()), text, at, end)
        except BROKEN as error:
            raise _broken(source.path, line, text, at, error) from error
        yield Read(document, end - at, line)
        at = end


def values(source: Text) -> Iterator[Read]:
    """Documents one after the other, between white space or, in an array, commas."""
    text, at, line, depth = "", 0, 1, 0
    while True:
        text, at, ends, opened = _skipped(text, at, source, _gap)
        line += ends
        depth += opened
        if at == len(text):
            break
        try:
            value, end, text, at = _first(text, at, source)
            document = _document(value, text, at, end)
        except BROKEN as error:
            raise _broken(source.path, line, text, at, error) from error
        yield Read(document, end - at, line)
        line += text.count("\n", at, end)
        at = end
    if depth:
        raise UsageError(f"{source.path}:{line}: the array does not end", "the file seems cut off; export it again")


def _skipped(text: str, at: int, source: Text, between: re.Pattern[str]) -> tuple[str, int, int, int]:
    """The text and the place where the next document begins, or both at their end; the lines and arrays passed."""
    ends = opened = 0
    while True:
        found = between.match(text, at)
        end = found.end() if found else at
        ends += text.count("\n", at, end)
        opened += text.count("[", at, end) - text.count("]", at, end)
        if end < len(text):
            return text, end, ends, opened
        text, at = source.piece(), 0
        if not text:
            return text, 0, ends, opened


def _line(text: str, at: int, source: Text) -> tuple[str, int, int]:
    """The text, and where in it a line begins and ends."""
    while (end := text.find("\n", at)) < 0:
        known = text[at:]
        text, at = source.more(known), 0
        if len(text) == len(known):
            return text, at, len(text)
    return text, at, end


def _first(text: str, at: int, source: Text) -> tuple[Any, int, str, int]:
    """The value that begins at `at`: where it ends, and the text and the place at which it stands now."""
    while True:
        try:
            value, end = _DECODER.raw_decode(text, at)
            return value, end, text, at
        except BROKEN:
            known = text[at:]  # perhaps it only ends too early
            text, at = source.more(known), 0
            if len(text) == len(known):
                raise


def _decoded(item: dict[str, Any]) -> Any:
    """`json_util.object_hook`, with a fast path for the one value of which every document has several."""
    if len(item) == 1:
        date = item.get("$date")
        if type(date) is str and date.endswith("Z"):
            return dt.datetime.fromisoformat(date[:-1])
    return json_util.object_hook(item, RELAXED)


_DECODER = json.JSONDecoder(object_hook=_decoded)


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
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in inner for child in items if isinstance(child, dict | list)]
    return number


def _broken(path: Path, line: int, text: str, start: int, error: Exception) -> UsageError:
    what = str(error)
    if isinstance(error, json.JSONDecodeError):
        line += text.count("\n", start, error.pos)
        what = f"{error.msg} at column {error.colno}"
    elif isinstance(error, RecursionError):
        what = f"a document of more than {DEEPEST} levels"
    return UsageError(
        f"{path}:{line}: not Extended JSON: {what[:200]}", "correct or remove that line, or export the file again"
    )
