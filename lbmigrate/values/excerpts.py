"""Values in messages: their type, and as much of them as a line holds."""

from __future__ import annotations

import datetime as dt
import reprlib
import uuid
from itertools import islice
from typing import Any

from bson import Binary, DatetimeMS, Decimal128, Int64, ObjectId

_BSON_NAMES: dict[type, str] = {
    type(None): "null", bool: "bool", Int64: "long", int: "int", float: "double", Decimal128: "decimal",
    str: "string", dt.datetime: "date", DatetimeMS: "date", ObjectId: "objectId", Binary: "binData", bytes: "binData",
    uuid.UUID: "binData", list: "array", dict: "object",
}  # fmt: skip


class _Excerpts(reprlib.Repr):
    """The beginning of a value, at a cost that does not depend on its size."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """The first keys in the document's own order; to sort them would be to read them all."""
        if level <= 0:
            return "{...}"
        shown = [f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}" for key in islice(x, self.maxdict)]
        return "{" + ", ".join(shown + ["..."] * (len(x) > self.maxdict)) + "}"

    def repr_instance(self, x: object, level: int) -> str:
        """As usual; of bytes, and of what is text in a shape of its own, only what would be shown."""
        if isinstance(x, bytes | str):
            return super().repr_instance(x[: self.maxother], level)
        return super().repr_instance(x, level)


_EXCERPTS = _Excerpts()


def bson_type(value: Any) -> str:
    """The name that MongoDB's `$type` gives to the type of `value`; the Python name for what BSON does not know."""
    return next((name for kind, name in _BSON_NAMES.items() if isinstance(value, kind)), type(value).__name__)


def excerpt(value: Any) -> str:
    """Type and value for a message, a line at most: `string 'tomorrow'`, `double nan`, `object {'a': 1}`."""
    try:
        shown = _EXCERPTS.repr(value)
    except ValueError:  # an int of more digits than Python writes out
        shown = "of thousands of digits"
    return f"{bson_type(value)} {shown[:60]}"
