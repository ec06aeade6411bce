"""Where every value stands in a BSON document (https://bsonspec.org/spec.html): what documents of one shape share.

Two documents of equal length whose bytes are the same but for those of their values have one layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, OBJECT_ID, BOOLEAN = 0x01, 0x02, 0x03, 0x04, 0x05, 0x07, 0x08
DATE, NULL, INT32, TIMESTAMP, INT64, DECIMAL = 0x09, 0x0A, 0x10, 0x11, 0x12, 0x13
WIDTHS = {
    DOUBLE: 8, OBJECT_ID: 12, BOOLEAN: 1, DATE: 8, NULL: 0, INT32: 4, TIMESTAMP: 8, INT64: 8, DECIMAL: 16,
}  # fmt: skip
CONTAINERS = frozenset({DOCUMENT, ARRAY})
SUBTYPES = frozenset({0, 3, 4})  # of binary data that are written as they are read, whatever is in them
DEEPEST = 16  # levels of sub-documents

Path = tuple[str, ...]
Layout = Mapping[Path, "Field"]


@dataclass(frozen=True, slots=True)
class Field:
    """A value: its BSON type, where it begins in its document, and how many bytes it has.

    Those of a string or of binary data are without the length before them and the zero behind them; a sub-document or
    an array has its own values among its bytes.
    """

    kind: int
    start: int
    width: int
    after: int = 0  # bytes between the value and the next one

    @property
    def place(self) -> slice:
        return slice(self.start, self.start + self.width)


def layout(document: bytes) -> Layout | None:
    """Every value of a document, also within others, by its path; None if it has any that is left to the driver.

    Left to it are rare types, names that begin with `$`, and names that come twice.
    """
    found: dict[Path, Field] = {}
    try:
        end = _walk(document, 0, (), found)
    except (IndexError, ValueError):
        return None
    return found if end == len(document) else None


def _walk(document: bytes, start: int, path: Path, found: dict[Path, Field]) -> int:
    """Note the values of a document that begins here, and return where it ends. Raises ValueError for a rare one."""
    place = start + 4
    while kind := document[place]:
        end = document.index(0, place + 1)
        name = document[place + 1 : end].decode("utf-8")
        inner = (*path, name)
        if inner in found or name.startswith("$") or len(inner) > DEEPEST:
            raise ValueError(name)
        found[inner] = field = _field(document, kind, end + 1)
        place = field.start + field.width + field.after
        if kind in CONTAINERS and _walk(document, field.start, inner, found) != place:
            raise ValueError(name)
    if place + 1 - start != _int32(document, start):
        raise ValueError(path)
    return place + 1


def _field(document: bytes, kind: int, place: int) -> Field:
    if kind in WIDTHS:
        return Field(kind, place, WIDTHS[kind])
    if kind == STRING:
        return Field(kind, place + 4, _int32(document, place) - 1, after=1)
    if kind in CONTAINERS:
        return Field(kind, place, _int32(document, place))
    if kind == BINARY and document[place + 4] in SUBTYPES:
        return Field(kind, place + 5, _int32(document, place))
    raise ValueError(kind)


def _int32(document: bytes, place: int) -> int:
    """A length; no such value is that long or below zero, and so a damaged one ends the walk."""
    number = int.from_bytes(document[place : place + 4], "little", signed=True)
    if not 0 <= number <= len(document):
        raise ValueError(number)
    return number


def at(fields: Layout, path: str) -> Field | None:
    """The value that `paths.pluck` finds at a dotted path; None where it finds nothing, or null."""
    here: Path = ()
    for part in path.split("."):
        above = fields.get(here)
        here = (*here, _index(part) if above is not None and above.kind == ARRAY else part)
        if here not in fields:
            return None
    field = fields[here]
    return None if field.kind == NULL else field


def _index(part: str) -> str:
    return str(int(part)) if part.isascii() and part.isdigit() and len(part) < 10 else ""
