"""How an id is written inside the `_id` of an event or an entry.

| id | its text |
|---|---|
| ObjectId | 24 hexadecimal digits in lower case |
| number without a fraction, of any type | decimal digits: `1795646312070`, never `1795646312070.0` |
| string | as it is; in exact text (below) where it begins with `"` or `{` |
| UUID | with hyphens, in lower case |
| anything else (a date, a compound id) | MongoDB extended JSON, in which numbers of one value are written alike |

Two ids of different types can have one text: an ObjectId and the string of its digits. Whichever comes first into the
ledger has the text, as `sourceId` tells; the other one is written as its exact text, which no other id and no ordinary
text equals: `{"$oid": "…"}`, `{"$uuid": "…"}`, `{"$number": "7"}`, a string in quotes, and `{"$bson": "…"}`
(hexadecimal) for all else. So whatever type the ids of an app have, its ordinary events are `<action>:<text>`.

The id of an array's element is `<owner>/<element>`, where the owner's text must say which document it is without a look
at the ledger: a string that reads as an id of another type, or that has a `/`, is written as its exact text there, and
so is a UUID that is not a string.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import bson
from bson import Binary, Decimal128, Int64, ObjectId, json_util
from bson.binary import OLD_UUID_SUBTYPE, UUID_SUBTYPE, UuidRepresentation
from bson.codec_options import CodecOptions
from bson.decimal128 import create_decimal128_context

LARGEST = 10**34  # beyond it a Decimal128 is no longer exact, and may have thousands of digits
QUOTED = ('"', "{")  # how an exact text begins
_CODECS: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
_UNCHANGED = frozenset({ObjectId, int, Int64, uuid.UUID, bool})
_reads_otherwise = re.compile(r"[0-9a-f]{24}|-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null", re.ASCII).fullmatch


def id_text(value: Any) -> str:
    """The text of an id, as the table above says; the same value is always the same text."""
    if isinstance(value, str):
        return exact_text(value) if value.startswith(QUOTED) else value
    return plain_text(value)


def id_texts(values: Sequence[Any]) -> list[str]:
    """`id_text` over a column."""
    types = set(map(type, values))
    if types == {ObjectId}:
        return [value.binary.hex() for value in values]
    if types <= {int, Int64}:
        return [int.__repr__(value) for value in values]
    if types == {str} and not _may_begin_quoted(values):
        return list(values)
    return [id_text(value) for value in values]


def _may_begin_quoted(strings: Sequence[str]) -> bool:
    """Whether one of them begins like an exact text; one that holds a NUL may be taken for two."""
    joined = "\0".join(["", *strings])
    return any(f"\0{mark}" in joined for mark in QUOTED)


def plain_text(value: Any) -> str:
    """The text of an id without the exception for strings: they are as they are."""
    if isinstance(value, ObjectId):
        return value.binary.hex()
    if isinstance(value, str | uuid.UUID):
        return str(value)
    number = whole_number(value)
    if number is not None:
        return str(number)
    found = as_uuid(value)
    return str(found) if found else _extended_json(_alike(value))


def exact_text(value: Any) -> str:
    """A text that two ids share only if they are the same, and that has no `/`; numbers of one value are the same."""
    if isinstance(value, ObjectId):
        return f'{{"$oid": "{value.binary.hex()}"}}'
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("/", "\\u002f")
    number = whole_number(value)
    if number is not None:
        return f'{{"$number": "{number}"}}'
    if isinstance(value, uuid.UUID) or (isinstance(value, Binary) and value.subtype == UUID_SUBTYPE and as_uuid(value)):
        return f'{{"$uuid": "{as_uuid(value)}"}}'
    return f'{{"$bson": "{encoded(_alike(value)).hex()}"}}'


def former_text(value: Any) -> str:
    """How an id was written before numbers of one value were one id, and before any text was an exact one."""
    return _extended_json(value) if isinstance(value, float | Decimal128 | dict) else plain_text(value)


def former_texts(values: Sequence[Any]) -> list[str] | None:
    """`former_text` over a column; None for one of types whose texts have always been as `id_texts` has them."""
    types = set(map(type, values))
    if types <= _UNCHANGED or (types == {str} and not _may_begin_quoted(values)):
        return None
    return [former_text(value) for value in values]


def owner_texts(values: Sequence[Any]) -> list[str]:
    """How documents are written before the `/` of their elements: no two ids are the same, and none has a `/`."""
    if set(map(type, values)) == {ObjectId}:
        return [value.binary.hex() for value in values]
    return [_owner_text(value) for value in values]


def _owner_text(value: Any) -> str:
    text = plain_text(value)
    if isinstance(value, str):
        ambiguous = text.startswith(QUOTED) or _reads_otherwise(text) is not None
    else:
        ambiguous = as_uuid(value) is not None or has_dollar_names(value)
    return exact_text(value) if ambiguous or "/" in text else text


def has_dollar_names(value: Any) -> bool:
    """Whether a compound id has names such as `$oid`, which extended JSON would have for another type."""
    inner: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    names = value if isinstance(value, dict) else ()
    return any(str(name).startswith("$") for name in names) or any(map(has_dollar_names, inner))


def whole_number(value: Any) -> int | None:
    """A number without a fraction as an int; None for everything else, and for what no Decimal128 could hold."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < LARGEST else None
    if not isinstance(value, Decimal128):
        return None
    number = value.to_decimal()
    whole = number.is_finite() and number.copy_abs() < LARGEST and number == number.to_integral_value()
    return int(number) if whole else None


def _alike(value: Any) -> Any:
    """A value in the form that all have which a server takes for the same: it compares numbers within an id as well."""
    if isinstance(value, dict):
        return {name: _alike(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_alike(inner) for inner in value]
    number = whole_number(value)
    if number is not None:
        return number if -(2**63) <= number < 2**63 else Decimal128(str(number))
    return _fraction(value) if isinstance(value, float | Decimal128) else value


def _fraction(number: float | Decimal128) -> float | Decimal128:
    """What is no whole number: as a double where it is one exactly."""
    if isinstance(number, float):
        return math.nan if math.isnan(number) else number
    exact = number.to_decimal()
    if exact.is_nan():
        return math.nan
    if exact.is_infinite() or Decimal(float(exact)) == exact:
        return float(exact)
    return Decimal128(exact.normalize(create_decimal128_context()))


def as_uuid(value: Any) -> uuid.UUID | None:
    """PyMongo hands UUIDs out as `Binary` unless its client is told otherwise."""
    if isinstance(value, Binary) and value.subtype in (OLD_UUID_SUBTYPE, UUID_SUBTYPE) and len(value) == 16:
        return uuid.UUID(bytes=bytes(value))
    return value if isinstance(value, uuid.UUID) else None


def encoded(value: Any) -> bytes:
    """A value as BSON, in a document of its own; what never came out of BSON as the text that Python shows."""
    try:
        return bson.encode({"": value}, codec_options=_CODECS)
    except Exception:
        return repr(value).encode("utf-8", "surrogatepass")


def _extended_json(value: Any) -> str:
    try:
        return json_util.dumps(value)
    except Exception:  # it even asserts; what it cannot write never came out of BSON
        return repr(value)
