"""Ids: which values can name a user, how one type becomes another, and how an id is written inside `_id` strings."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from bson import Binary, Int64, ObjectId, json_util
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE

IdType = Literal["objectId", "string"]

_ALWAYS_IDS = frozenset({ObjectId, Int64, uuid.UUID})
_is_hex = re.compile(r"[0-9a-fA-F]{24}").fullmatch
_is_uuid = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_is_int = re.compile(r"0|-?[1-9][0-9]{0,18}").fullmatch


def id_type(value: Any) -> str | None:
    """`objectId`, `string`, `int` or `uuid`; None for what cannot name a user: null, a blank string, bool, double."""
    if isinstance(value, ObjectId):
        return "objectId"
    if isinstance(value, str):
        return "string" if value.strip() else None
    if isinstance(value, int):
        return "int" if not isinstance(value, bool) and _fits(value) else None
    return "uuid" if _uuid(value) else None


def coerce_id(value: Any, to: IdType | None) -> Any:
    """`value` as an id of type `to` (None: as it is), or None if that is impossible.

    A string is an ObjectId only if it is 24 hexadecimal digits. Everything that names a user can be a string, except
    a legacy UUID (binary subtype 3): drivers disagree about the order of its bytes.
    """
    kind = id_type(value)
    if to is None or kind is None or kind == to:
        return value if kind else None
    if to == "string":
        return None if getattr(value, "subtype", None) == OLD_UUID_SUBTYPE else id_text(value)
    return ObjectId(value) if kind == "string" and _is_hex(value) else None


def plain_id(value: Any) -> Any:
    """A UUID as the toolkit's own clients read it, which PyMongo hands to others as `Binary`; all else as it is."""
    return value.as_uuid() if isinstance(value, Binary) and value.subtype == UUID_SUBTYPE else value


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


def id_text(value: Any) -> str:
    """How an id is written inside the `_id` of an event or an entry; the same value is always the same text.

    ObjectIds as 24 hexadecimal digits, UUIDs with hyphens, ints in decimal, strings as they are, anything else (a
    compound `_id`, a date) as MongoDB extended JSON.
    """
    if isinstance(value, ObjectId):
        return value.binary.hex()
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    found = _uuid(value)
    return str(found) if found else _extended_json(value)


def id_texts(values: Sequence[Any]) -> list[str]:
    """`text` over a column."""
    if set(map(type, values)) == {ObjectId}:
        return [value.binary.hex() for value in values]
    return [id_text(value) for value in values]


def _uuid(value: Any) -> uuid.UUID | None:
    """PyMongo hands UUIDs out as `Binary` unless its client is told otherwise."""
    if isinstance(value, Binary) and value.subtype in (OLD_UUID_SUBTYPE, UUID_SUBTYPE) and len(value) == 16:
        return uuid.UUID(bytes=bytes(value))
    return value if isinstance(value, uuid.UUID) else None


def _fits(number: int) -> bool:
    return -(2**63) <= number < 2**63


def _read(argument: str) -> list[Any]:
    if _is_hex(argument):
        return [ObjectId(argument)]
    if _is_uuid(argument):
        return [Binary.from_uuid(uuid.UUID(argument))]
    return [int(argument)] if _is_int(argument) and _fits(int(argument)) else []


def _extended_json(value: Any) -> str:
    try:
        return json_util.dumps(value)
    except Exception:  # it even asserts; what it cannot write never came out of BSON
        return repr(value)


def id_forms(user: Any) -> list[Any]:
    """Every id that means the same user: an ObjectId or UUID and its digits in either case, a number and its digits."""
    *read, text = parse_id(id_text(user))
    return [*read, text, text.lower(), text.upper()] if read else [text]


def folded_id(key: Any) -> str:
    """How an id is written, whichever of its forms it has: hexadecimal digits of ObjectIds and UUIDs in lower case."""
    return id_text(parse_id(id_text(key))[0])
