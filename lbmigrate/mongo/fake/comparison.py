"""How a server orders values and takes them for equal: by type first, numbers of all types as one, documents in order.

https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Hashable, Mapping
from typing import Any
from uuid import UUID

from bson import Binary, Code, DatetimeMS, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

EPOCH = dt.datetime(1970, 1, 1)
MILLISECOND = dt.timedelta(milliseconds=1)
USUAL_IDS = (str, int, Int64, ObjectId)
UUIDS, OLD_BINARY = 4, 2  # subtypes
MIN, EMPTY, NULL, NUMBER, STRING, OBJECT, ARRAY, BINARY, OBJECT_ID, BOOL, DATE, TIMESTAMP, REGEX, CODE, SCOPED, MAX = (
    -1, 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 47, 50, 60, 65, 127,
)  # fmt: skip

Place = tuple[Any, ...]
NAN: Place = (NUMBER, 0)


def place(value: Any) -> Place:
    """Where a value stands among all others: a tuple that compares, and hashes, as a server takes the value.

    Raises TypeError for what is no BSON.
    """
    known = _PLACES.get(type(value))
    if known is None:
        known = next((each for kind, each in _PLACES.items() if isinstance(value, kind)), None)
    if known is None:
        raise TypeError(f"{type(value).__name__} is no BSON")
    return known(value)


def identity(key: Any) -> Hashable:
    """What two `_id`s have in common when a server takes them for one; ordinary ids are their own."""
    known = None if type(key) in USUAL_IDS else place(key)
    found: Hashable = key if known is None else known[2] if known[0] == NUMBER and known != NAN else known
    return found


def _number(value: Any) -> Place:
    number = value.to_decimal() if isinstance(value, Decimal128) else value
    return NAN if number != number else (NUMBER, 1, number)  # noqa: PLR0124 - a NaN alone differs from itself


def _document(value: Mapping[str, Any]) -> Place:
    fields = ((name, place(each)) for name, each in value.items())
    return OBJECT, tuple((each[0], name, each) for name, each in fields)


def _binary(value: Any) -> Place:
    if isinstance(value, UUID):
        value = Binary(value.bytes, UUIDS)
    subtype = getattr(value, "subtype", 0)
    return (
        BINARY,
        len(value) + (4 if subtype == OLD_BINARY else 0),
        subtype,
        bytes(value),
    )  # which has its length inside


def _date(value: Any) -> Place:
    if isinstance(value, DatetimeMS):
        return DATE, int(value)
    naive = (value - value.utcoffset()).replace(tzinfo=None) if value.tzinfo else value
    return DATE, (naive - EPOCH) // MILLISECOND


def _regex(value: Any) -> Place:
    known = value if isinstance(value, Regex) else Regex.from_native(value)
    return REGEX, known.pattern, known.flags


def _code(value: Code) -> Place:
    return (CODE, str(value)) if value.scope is None else (SCOPED, str(value), place(value.scope))


# The subclasses before what they are derived from.
_PLACES: dict[type, Callable[[Any], Place]] = {
    bool: lambda value: (BOOL, value),
    int: _number,
    Int64: _number,
    float: _number,
    Decimal128: _number,
    Code: _code,
    str: lambda value: (STRING, str(value)),
    type(None): lambda _: (NULL,),
    ObjectId: lambda value: (OBJECT_ID, value.binary),
    dt.datetime: _date,
    DatetimeMS: _date,
    Timestamp: lambda value: (TIMESTAMP, value.time, value.inc),
    UUID: _binary,
    bytes: _binary,
    DBRef: lambda value: _document(value.as_doc()),
    Mapping: _document,
    list: lambda value: (ARRAY, tuple(map(place, value))),
    tuple: lambda value: (ARRAY, tuple(map(place, value))),
    Regex: _regex,
    re.Pattern: _regex,
    MinKey: lambda _: (MIN,),
    MaxKey: lambda _: (MAX,),
}
