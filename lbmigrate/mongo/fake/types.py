"""Types by the names and numbers that `$type` knows them by, as values in memory have them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from lbmigrate.mongo.fake.unfaithful import Unfaithful

INT32 = range(-(2**31), 2**31)


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


# A server goes by what was stored; of Python's own integers the small ones are ints.
TYPES: dict[str, Callable[[Any], bool]] = {
    "minKey": _is(MinKey),
    "double": _is(float),
    "string": lambda value: isinstance(value, str) and not isinstance(value, Code),
    "object": _is(dict, Mapping, DBRef),
    "array": _is(list, tuple),
    "binData": _is(bytes, Binary, UUID),
    "objectId": _is(ObjectId),
    "bool": _is(bool),
    "date": _is(dt.datetime, DatetimeMS),
    "null": lambda value: value is None,
    "regex": _is(Regex),
    "javascript": lambda value: isinstance(value, Code) and value.scope is None,
    "javascriptWithScope": lambda value: isinstance(value, Code) and value.scope is not None,
    "int": lambda value: type(value) is int and value in INT32,
    "timestamp": _is(Timestamp),
    "long": lambda value: isinstance(value, Int64) or (type(value) is int and value not in INT32),
    "decimal": _is(Decimal128),
    "maxKey": _is(MaxKey),
    "number": lambda value: isinstance(value, int | float | Decimal128) and not isinstance(value, bool),
    "undefined": lambda _: False,  # nothing in memory is of these
    "dbPointer": lambda _: False,
    "symbol": lambda _: False,
}
NUMBERED = {
    -1: "minKey", 1: "double", 2: "string", 3: "object", 4: "array", 5: "binData", 6: "undefined", 7: "objectId",
    8: "bool", 9: "date", 10: "null", 11: "regex", 12: "dbPointer", 13: "javascript", 14: "symbol",
    15: "javascriptWithScope", 16: "int", 17: "timestamp", 18: "long", 19: "decimal", 127: "maxKey",
}  # fmt: skip


def type_test(asked: Any) -> Callable[[Any], bool]:
    """Whether a value is of a type, given by name or number. Raises Unfaithful for one that is none."""
    name = NUMBERED.get(asked, "") if type(asked) in (int, Int64) else asked
    if not isinstance(name, str) or name not in TYPES:
        raise Unfaithful(f"$type {str(asked)[:20]!r}")
    return TYPES[name]


def type_name(value: Any) -> str:
    """The name of a value's type, as messages of a server have it."""
    return next(name for name, holds in TYPES.items() if holds(value))
