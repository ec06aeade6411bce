"""Documents of one shape, read off the wire as columns instead of one by one.

A projection of fields with a fixed size comes back as documents of equal length, in which names, types and values stand
at the same places (https://bsonspec.org/spec.html). A batch of them is a matrix of bytes, and a field is some of its
columns; a sub-document must be the same in every row. This is checked, byte for byte, for every batch; whatever does
not fit is decoded the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bson
import numpy as np
import numpy.typing as npt
from bson import Int64, ObjectId

from lbmigrate.records import Document
from lbmigrate.values.documents import Documents

STRING, DOCUMENT, OBJECT_ID, BOOLEAN, DATE, INT32, INT64 = 0x02, 0x03, 0x07, 0x08, 0x09, 0x10, 0x12
WIDTHS = {OBJECT_ID: 12, BOOLEAN: 1, DATE: 8, INT32: 4, INT64: 8}
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a batch: its BSON type, and the bytes of its values, a row each."""

    kind: int
    values: Bytes

    def numbers(self) -> npt.NDArray[np.int64]:
        """The values of an int64, or of a date in milliseconds since 1970-01-01 UTC."""
        return np.ascontiguousarray(self.values).view("<i8").ravel().astype(np.int64, copy=False)

    def truths(self) -> npt.NDArray[np.bool_]:
        """The values of a boolean."""
        return np.not_equal(self.values[:, 0], 0)

    def document(self) -> Document:
        """The sub-document that every row has."""
        return bson.decode(self.values[0].tobytes())

    def ids(self) -> list[Any]:
        """The values of an id, where neighbours that are equal are one object."""
        differs = (self.values[1:] != self.values[:-1]).any(axis=1)
        starts = np.concatenate(([0], np.flatnonzero(differs) + 1))
        read = READERS[self.kind]
        distinct = np.empty(len(starts), dtype=object)
        distinct[:] = [read(self.values[start].tobytes()) for start in starts.tolist()]
        return np.repeat(distinct, np.diff(np.append(starts, len(self.values)))).tolist()

    def distinct(self) -> list[Any]:
        """The values of an id, each once."""
        width = self.values.shape[1]
        return list(map(READERS[self.kind], set(np.ascontiguousarray(self.values).view(f"V{width}").ravel().tolist())))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _int64(raw: bytes) -> Int64:
    return Int64(int.from_bytes(raw, "little", signed=True))


def _int32(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


READERS: dict[int, Callable[[bytes], Any]] = {OBJECT_ID: ObjectId, STRING: _text, INT64: _int64, INT32: _int32}


def columns(raw: bytes) -> dict[str, Column] | None:
    """The fields of a batch of documents that stand one after another; None when they are not all of one shape."""
    length = int.from_bytes(raw[:4], "little")
    if not length or len(raw) % length:
        return None
    return of_rows(np.frombuffer(raw, dtype=np.uint8).reshape(-1, length))


def of_batch(batch: Documents) -> dict[str, Column] | None:
    """The same of documents as a reply has them."""
    length = int(batch.lengths[0])
    if (batch.lengths != length).any():
        return None
    return of_rows(batch.rows(np.arange(len(batch)), length))


def of_rows(rows: Bytes) -> dict[str, Column] | None:
    """The same of documents of one length, each of which is a row of bytes."""
    fields = _layout(rows[0].tobytes())
    if fields is None:
        return None
    fixed = np.ones(rows.shape[1], dtype=bool)
    for _, kind, start, width in fields:
        fixed[start : start + width] = kind == DOCUMENT
    if (rows[:, fixed] != rows[0, fixed]).any():
        return None
    return {name: Column(kind, rows[:, start : start + width]) for name, kind, start, width in fields}


def _layout(document: bytes) -> list[tuple[str, int, int, int]] | None:
    """Name, type, place and width of all values of a document; None if one has no fixed size or a name comes twice."""
    fields = []
    place = 4
    while document[place] != 0:
        kind = document[place]
        end = document.index(0, place + 1)
        name, place = document[place + 1 : end].decode("utf-8"), end + 1
        if kind == STRING:  # of fixed size where all are equally long: their lengths are compared with the rest
            width = int.from_bytes(document[place : place + 4], "little") - 1
            place, after = place + 4, 1
        elif kind == DOCUMENT:
            width, after = int.from_bytes(document[place : place + 4], "little"), 0
        elif kind in WIDTHS:
            width, after = WIDTHS[kind], 0
        else:
            return None
        fields.append((name, kind, place, width))
        place += width + after
    return fields if len({name for name, *_ in fields}) == len(fields) else None
