"""A batch of raw BSON, sorted by the layouts of its documents: those that share one become a matrix of bytes.

What a group has of a field is some columns of its matrix. Everything is compared byte for byte, so that a document is
in a group only if the driver would read it, and write it again as it is; all others are left to the driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import bson
import numpy as np
import numpy.typing as npt
from bson.codec_options import CodecOptions
from bson.errors import BSONError

from lbmigrate.values.documents import Documents
from lbmigrate.values.layout import BOOLEAN, CONTAINERS, STRING, Field, Layout, at, layout
from lbmigrate.values.raw_bson import Bytes, Column

FEWEST = 80  # documents of a layout; fewer are read faster one by one
LAYOUTS = 6  # that are looked for among documents of equal length
IN_VAIN = 2  # of which so many may have too few documents
MOST_BYTES = 8_000_000  # of a batch: of a larger one there would be too many copies in memory
WORD = 8
Rows = npt.NDArray[np.intp]


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


def sorted_by_layout(documents: Documents, codecs: CodecOptions[Any]) -> list[Group]:
    """The groups of a batch, as these codecs read and write them; none of one that is too large."""
    if len(documents.raw) > MOST_BYTES:
        return []
    padded = np.frombuffer(documents.raw + bytes(WORD), dtype=np.uint8)
    alike = [numbers for numbers in documents.by_length() if len(numbers) >= FEWEST]
    return [group for numbers in alike for group in _groups(padded, documents, numbers, codecs)]


def _groups(padded: Bytes, documents: Documents, numbers: Rows, codecs: CodecOptions[Any]) -> Iterator[Group]:
    """The groups among documents of equal length."""
    length = int(documents.lengths[numbers[0]])
    rows = _matrix(padded, documents.starts[numbers], length)
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
