"""Ids: which values can name a user, how one type becomes another, and which values mean the same.

Numbers of one value are one id, whatever their type: Int32, Int64, a double without a fraction (what `Date.now()` is
in JavaScript) and a Decimal128 without one. How an id is written inside an `_id` is said in `id_text`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import bson
from bson import Binary, Decimal128, Int64, ObjectId, Regex, json_util
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE
from bson.errors import BSONError

from lbmigrate.values.id_text import as_uuid, encoded, exact_text, has_dollar_names, id_text, plain_text, whole_number

IdType = Literal["objectId", "string"]

ONE_REPLY = 10_001  # documents, more than `in_parts` has ids: else a server sends 101 first, and is asked again
MOST_BYTES = 4_000_000  # of ids in one question; a server takes 16 MB, and some ask for several forms of each id
_ALWAYS_IDS = frozenset({ObjectId, Int64, uuid.UUID})
_COMPARABLE = frozenset({ObjectId, str, int, Int64, uuid.UUID})  # what is equal in Python is equal to a server
_SMALL = frozenset({ObjectId, int, Int64, float, Decimal128, uuid.UUID, bool})
_SMALL_BYTES = 40  # at most, with the name of the place in the list
_is_hex = re.compile(r"[0-9a-fA-F]{24}", re.ASCII).fullmatch
_is_uuid = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_is_int = re.compile(r"0|-?[1-9][0-9]{0,18}").fullmatch


def id_type(value: Any) -> str | None:
    """`objectId`, `string`, `int` or `uuid`; None for what cannot name a user: null, a blank string, bool, a fraction.

    A double or Decimal128 without a fraction is an `int`.
    """
    if isinstance(value, ObjectId):
        return "objectId"
    if isinstance(value, str):
        return "string" if value.strip() else None
    number = whole_number(value)
    if number is not None:
        return "int" if _fits(number) else None
    return "uuid" if as_uuid(value) else None


def coerce_id(value: Any, to: IdType | None) -> Any:
    """`value` as an id of type `to` (None: as it is), or None if that is impossible.

    A number becomes an integer, whatever type it had. A string is an ObjectId only if it is 24 hexadecimal digits.
    Everything that names a user can be a string, except a legacy UUID (binary subtype 3): drivers disagree about the
    order of its bytes.
    """
    kind = id_type(value)
    if to is None or kind is None or kind == to:
        return _integer(value) if kind == "int" else value if kind else None
    if to == "string":
        return None if getattr(value, "subtype", None) == OLD_UUID_SUBTYPE else id_text(value)
    return ObjectId(value) if kind == "string" and _is_hex(value) else None


def _integer(number: Any) -> int:
    """A double or Decimal128 as the integer that it is; integers as they are, with the width that BSON gave them."""
    return number if isinstance(number, int) else int(whole_number(number) or 0)


def plain_id(value: Any) -> Any:
    """The form in which an id is kept: a number as an integer, a UUID as the toolkit's own clients read it.

    PyMongo hands UUIDs to others as `Binary`. All else is as it is.
    """
    if isinstance(value, float | Decimal128) and id_type(value):
        return _integer(value)
    return value.as_uuid() if isinstance(value, Binary) and value.subtype == UUID_SUBTYPE else value


@dataclass(frozen=True, slots=True)
class NotOne:
    """What a value names that should name one user: so many of them, none or several."""

    users: int


def coerce_ids(values: Sequence[Any], to: IdType | None) -> list[Any]:
    """`coerce` over a column; a column that is right already, but for absent values, costs a look at its types."""
    given = [value for value in values if value is not None]
    types = set(map(type, given))
    objects = types <= (_ALWAYS_IDS if to is None else {ObjectId}) and to != "string"
    if objects or (to != "objectId" and types == {str} and all(map(str.strip, given))):
        return list(values)
    return [coerce_id(value, to) for value in values]


def parse_id(argument: str) -> list[Any]:
    """The ids that a command-line argument may mean, the most specific type first and the string itself last."""
    return [*_read(argument), argument]


def is_document_id(value: Any) -> bool:
    """Whether a server takes this as the `_id` of a document; what it does not take may mean something in a query."""
    return value is not None and not isinstance(value, Regex | list) and not has_dollar_names(value)


def same_id(one: Any, other: Any) -> bool:
    """Whether two values are one id: of one type and value, or numbers of one value."""
    if type(one) is type(other) and type(one) in _COMPARABLE:
        return bool(one == other)
    return exact_text(one) == exact_text(other)


def id_forms(user: Any) -> list[Any]:
    """Every id that means the same user: an ObjectId or UUID and its digits in either case, a number and its digits."""
    if type(user) is ObjectId:
        digits = user.binary.hex()
        return [user, digits, digits.upper()]
    *read, text = parse_id(plain_text(user))
    return list(dict.fromkeys([*read, text, text.lower(), text.upper()])) if read else [text]


def exact_key(value: Any) -> Hashable:
    """A key of a dict that two ids share only if they are the same; numbers of one value are the same."""
    return value if type(value) in (ObjectId, str) else (exact_text(value),)


def folded_id(key: Any) -> str:
    """How an id is written, whichever of its forms it has: hexadecimal digits of ObjectIds and UUIDs in lower case."""
    if type(key) is ObjectId:
        return key.binary.hex()
    return plain_text(parse_id(plain_text(key))[0])


def readings(text: str) -> Iterator[Any]:
    """Every id that a text inside an `_id` may stand for, in any of the forms that ids are and were written in."""
    for reading in parse_id(text):
        yield reading
        if isinstance(reading, Binary):
            yield Binary(reading, OLD_UUID_SUBTYPE)
    yield from _read_json(text)


def in_parts(ids: Sequence[Any], most: int = 10_000, most_bytes: int = MOST_BYTES) -> Iterator[list[Any]]:
    """Lists of ids for `$in`, of at most `most` ids and about `most_bytes` each, so that a server takes each of them.

    An id that is larger than that stands alone.
    """
    types = set(map(type, ids))
    if types <= _SMALL or (types == {str} and 4 * sum(map(len, ids)) + _SMALL_BYTES * len(ids) <= most_bytes):
        yield from (list(ids[start : start + most]) for start in range(0, len(ids), most))
        return
    yield from portions(ids, room, most, most_bytes)


def room(value: Any) -> int:
    """About how many bytes an id takes in a question."""
    return _SMALL_BYTES if type(value) in _SMALL else len(encoded(value))


def portions(
    items: Iterable[Any], weigh: Callable[[Any], int], most: int = 10_000, most_bytes: int = MOST_BYTES
) -> Iterator[list[Any]]:
    """Lists of at most `most` items and about `most_bytes` bytes, taken one by one; a larger item stands alone."""
    part: list[Any] = []
    size = 0
    for item in items:
        weight = weigh(item)
        if part and (len(part) == most or size + weight > most_bytes):
            yield part
            part, size = [], 0
        part.append(item)
        size += weight
    if part:
        yield part


def _fits(number: int) -> bool:
    return -(2**63) <= number < 2**63


def _read(argument: str) -> list[Any]:
    if _is_hex(argument):
        return [ObjectId(argument)]
    if _is_uuid(argument):
        return [Binary.from_uuid(uuid.UUID(argument))]
    return [int(argument)] if _is_int(argument) and _fits(int(argument)) else []


def _read_json(text: str) -> Iterator[Any]:
    """What a text is as JSON: dates, fractions, compound ids; the exact texts of `id_text` among them."""
    try:
        read = json_util.loads(text)
        if isinstance(read, dict) and read.keys() == {"$bson"}:
            read = bson.decode(bytes.fromhex(read["$bson"])).get("")
        if isinstance(read, dict) and read.keys() == {"$number"}:
            read = int(read["$number"][:40])
    except (ArithmeticError, AttributeError, BSONError, LookupError, RecursionError, TypeError, ValueError):
        return
    if read is None or is_document_id(read):
        yield read
