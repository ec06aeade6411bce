"""A batch of raw BSON, sorted by the layouts of its documents: those that share one become a matrix of bytes.

What a group has of a field is some columns of its matrix. Everything is compared byte for byte, so that a document is
in a group only if the driver would read it, and write it again as it is; all others are left to the driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from struct import Struct
from typing import Any

import bson
import numpy as np
import numpy.typing as npt
from bson.codec_options import CodecOptions
from bson.errors import BSONError

from lbmigrate.values.layout import BOOLEAN, CONTAINERS, STRING, Field, Layout, at, layout
from lbmigrate.values.raw_bson import Bytes, Column

FEWEST = 80  # documents of a layout; fewer are read faster one by one
LAYOUTS = 6  # that are looked for among documents of equal length
IN_VAIN = 2  # of which so many may have too few documents
MOST_BYTES = 8_000_000  # of a batch: of a larger one there would be too many copies in memory
WORD = 8
Rows = npt.NDArray[np.intp]
_length_at = Struct("<i").unpack_from


@dataclass(frozen=True, slots=True)
class Group:
    """Documents of one layout: their numbers in the batch, ascending, and a row of bytes for each."""

    numbers: Rows
    rows: Bytes
    fields: Layout

    def __len__(self) -> int:
        return len(self.numbers)

    def at(self, path: str) -> Column | None:
        """The column at a dotted path; None where every document has nothing there, or null."""
        field = at(self.fields, path)
        return None if field is None else Column(field.kind, self.rows[:, field.place])

    def taken(self, chosen: npt.NDArray[Any]) -> Group:
        """Some of the documents, by a mask or by their places in the group."""
        return replace(self, numbers=self.numbers[chosen], rows=self.rows[chosen])


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch, and where each of its documents begins; the last one of `starts` is the end."""

    raw: bytes
    starts: Rows
    groups: list[Group]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def documents(self, numbers: Rows) -> bytes:
        """Some documents, one after another."""
        ends = zip(self.starts[numbers].tolist(), self.starts[numbers + 1].tolist(), strict=True)
        return b"".join(self.raw[start:end] for start, end in ends)


def sorted_by_layout(raw: bytes, codecs: CodecOptions[Any]) -> Batch | None:
    """The groups of a batch, as these codecs read and write them; None for what is none, or is too large."""
    starts = _starts(raw) if len(raw) <= MOST_BYTES else None
    if starts is None:
        return None
    padded = np.frombuffer(raw + bytes(WORD), dtype=np.uint8)
    lengths = np.diff(starts)
    order = np.argsort(lengths, kind="stable")
    bounds = np.flatnonzero(np.diff(lengths[order])) + 1
    alike = [numbers for numbers in np.split(order, bounds) if len(numbers) >= FEWEST]
    groups = [group for numbers in alike for group in _groups(padded, starts, numbers, codecs)]
    return Batch(raw, starts, groups)


def _starts(raw: bytes) -> Rows | None:
    places, place, size = [0], 0, len(raw)
    while place + 5 <= size:
        length = _length_at(raw, place)[0]
        if length < 5:
            return None
        place += length
        places.append(place)
    return np.array(places, dtype=np.intp) if place == size else None


def _groups(padded: Bytes, starts: Rows, numbers: Rows, codecs: CodecOptions[Any]) -> Iterator[Group]:
    """The groups among documents of equal length."""
    length = int(starts[numbers[0] + 1] - starts[numbers[0]])
    rows = _matrix(padded, starts[numbers], length)
    vain = 0
    for _ in range(LAYOUTS):
        fields = layout(rows[0, :length].tobytes())
        same = _same(rows, fields or {}, length)
        group = Group(numbers[same], rows[same, :length], fields or {})
        if fields is not None and len(group) >= FEWEST and _is_sound(group, codecs):
            yield group
        vain += len(group) < FEWEST
        numbers, rows = numbers[~same], rows[~same]
        if len(numbers) < FEWEST or vain == IN_VAIN:
            return


def _matrix(padded: Bytes, starts: Rows, length: int) -> Bytes:
    """The documents as rows, each with what follows it up to a whole number of words."""
    width = -(-length // WORD) * WORD
    return np.lib.stride_tricks.sliding_window_view(padded, width)[starts]


def _same(rows: Bytes, fields: Layout, length: int) -> npt.NDArray[np.bool_]:
    """Which rows are as the first one is, wherever no value stands."""
    mask = np.zeros(rows.shape[1], dtype=np.uint8)
    mask[:length] = 0xFF
    for field in fields.values():
        if field.kind not in CONTAINERS:
            mask[field.place] = 0
    differing = (rows ^ rows[0]).view(np.uint64) & mask.view(np.uint64)
    same: npt.NDArray[np.bool_] = ~differing.any(axis=1)
    return same


def _is_sound(group: Group, codecs: CodecOptions[Any]) -> bool:
    """Whether the driver reads these documents, and writes them as they are."""
    leaves = group.fields.values()
    return (
        _comes_back(group.rows[0].tobytes(), codecs)
        and all(_is_text(group.rows, field) for field in leaves if field.kind == STRING)
        and all((group.rows[:, field.start] <= 1).all() for field in leaves if field.kind == BOOLEAN)
    )


def _comes_back(document: bytes, codecs: CodecOptions[Any]) -> bool:
    try:
        return bson.encode(bson.decode(document, codecs), codec_options=codecs) == document
    except (BSONError, OverflowError, ValueError):
        return False


def _is_text(rows: Bytes, field: Field) -> bool:
    """Whether a string is UTF-8 in all rows. With the zero behind each, all of them are one text if each is one."""
    texts = rows[:, field.start : field.start + field.width + field.after]
    if not (texts & 0x80).any():
        return True
    try:
        texts.tobytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
