"""What the bytes of a column say: as numbers, as Python's values, as texts. And documents made of such bytes.

A column has a row of bytes for each document (`raw_bson.Column`); all its values have one type and one width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lbmigrate.values.id_text import QUOTED
from lbmigrate.values.layout import DATE, DOUBLE, INT32, INT64, OBJECT_ID, STRING
from lbmigrate.values.raw_bson import Bytes, Column

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
LONGEST = 1_000  # bytes of a text that names something
_TYPES = {INT32: "<i4", INT64: "<i8", DATE: "<i8", DOUBLE: "<f8"}
_YEARS = tuple(int(np.datetime64(day, "ms").astype(np.int64)) for day in ("0001-01-01", "9999-12-31"))


def integers(column: Column) -> Ints:
    """The values of whole numbers; of dates in milliseconds since 1970-01-01 UTC."""
    return _numbers(column).astype(np.int64, copy=False)


def _numbers(column: Column) -> npt.NDArray[Any]:
    return np.ascontiguousarray(column.values).view(_TYPES[column.kind]).ravel()


def listed(column: Column) -> list[Any] | None:
    """The values as the driver reads them, numbers of 64 bits as int; None for types that are left to it."""
    if column.kind in (INT32, INT64, DOUBLE):
        return list(_numbers(column).tolist())
    if column.kind == STRING:
        raw = as_list(column.values)
        texts = {each: each.decode("utf-8") for each in set(raw)}
        return [texts[each] for each in raw]
    if column.kind == DATE:
        moments = integers(column)
        usual = moments.min() >= _YEARS[0] and moments.max() < _YEARS[1]
        return moments.view("datetime64[ms]").tolist() if usual else None
    return None


def as_list(rows: Bytes) -> list[bytes]:
    """Each row as bytes."""
    width = rows.shape[1]
    if not width:
        return [b""] * len(rows)
    found: list[bytes] = np.ascontiguousarray(rows).view(f"V{width}").ravel().tolist()
    return found


def is_name(column: Column) -> Bools | None:
    """The rows whose ids are written as they are (`id_text`); None for types of which none is looked at here."""
    if column.kind in (OBJECT_ID, INT32, INT64):
        return np.ones(len(column.values), dtype=np.bool_)
    if column.kind != STRING or column.values.shape[1] > LONGEST:
        return None
    if not column.values.shape[1]:
        return np.ones(len(column.values), dtype=np.bool_)
    return np.logical_not(np.isin(column.values[:, 0], [ord(mark) for mark in QUOTED]))


def is_user(column: Column) -> Bools | None:
    """The rows whose ids can name somebody, as far as it is told here; None for types of which none is looked at."""
    if column.kind in (OBJECT_ID, INT32, INT64):
        return np.ones(len(column.values), dtype=np.bool_)
    if column.kind != STRING or not 0 < column.values.shape[1] <= LONGEST:
        return None
    shown = (column.values > ord(" ")) & (column.values < 0x7F)
    return np.logical_and(shown.any(axis=1), (column.values < 0x80).all(axis=1))


def texts(column: Column) -> Iterator[tuple[npt.NDArray[np.intp] | slice, Bytes]]:
    """How ids are written, as bytes: those of one length together, with the rows that have them."""
    if column.kind == OBJECT_ID:
        hexadecimal = column.values.tobytes().hex().encode()
        yield slice(None), np.frombuffer(hexadecimal, dtype=np.uint8).reshape(len(column.values), -1)
    elif column.kind == STRING:
        yield slice(None), column.values
    else:
        written = integers(column).astype("S20")
        digits = written.view(np.uint8).reshape(-1, 20)
        lengths = np.char.str_len(written)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            yield rows, digits[rows, :length]


def as_bytes(numbers: Ints) -> Bytes:
    """Whole numbers, or dates, of 64 bits as BSON has them."""
    return numbers.astype("<i8").view(np.uint8).reshape(-1, 8)


def filled(template: bytes, cells: Iterable[tuple[int, Bytes]], rows: int) -> Bytes:
    """So many copies of a document, in each of which other bytes stand at these places."""
    found = np.frombuffer(bytearray(template) * rows, dtype=np.uint8).reshape(rows, -1)
    for start, values in cells:
        found[:, start : start + values.shape[1]] = values
    return found
