"""What is too large, too deep or no value at all for an event, by row. A clean column costs a look at its types."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import uuid
from collections.abc import Sequence
from typing import Any

import bson
from bson import Code, DatetimeMS, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.errors import BSONError

from lbmigrate.records import LARGEST_SOURCE_ID, LONGEST_ID, Document, amount
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.id_text import encoded, id_text
from lbmigrate.values.ids import id_type

LARGEST_VALUE = 65_536  # bytes of a value as BSON; a character may take four
DEEPEST = 32  # levels within a value; a server stops at 180 for a whole document
LOST = "\ufffd"  # what clients put in the place of bytes that are not UTF-8
# Conditions on a text. One that is not UTF-8 meets no pattern.
TEXT: Document = {"$type": "string", "$regex": "^"}
NO_TEXT: Document = {"$type": "string", "$not": Regex("^")}
_HALF = re.compile("[\ud800-\udfff]")
SHOWN = 200  # characters of an id where it is named
_CODECS: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)
SMALL = frozenset(
    {type(None), bool, int, Int64, float, dt.datetime, DatetimeMS, ObjectId, Decimal128, uuid.UUID}
)  # fmt: skip


_TIMES = frozenset({DatetimeMS, Timestamp})


def oversized(column: Sequence[Any]) -> dict[int, str]:
    """The rows whose values may not stand in an event, each with what is wrong with it."""
    kinds = set(map(type, column)) - SMALL
    if not kinds or (kinds == {str} and _longest(column) * 4 <= LARGEST_VALUE):
        return {}
    found = {row: too_much(value) for row, value in enumerate(column) if type(value) not in SMALL}
    return {row: reason for row, reason in found.items() if reason}


def _longest(column: Sequence[Any]) -> int:
    return max(len(value) for value in column if type(value) is str)


def too_much(value: Any) -> str:
    """Why a value may not stand in an event; empty when it may. Never raises."""
    size, flaw = _stored(value)
    if size > LARGEST_VALUE:
        return f"has {amount(size, 'byte')}, more than {LARGEST_VALUE:,}"
    return flaw or (f"is nested deeper than {DEEPEST} levels" if _is_deep(value) else "")


def _stored(value: Any) -> tuple[int, str]:
    """The bytes that a value takes in a document, or why none can hold it."""
    try:
        return len(bson.encode({"": value}, codec_options=_CODECS)), ""
    except (BSONError, OverflowError, RecursionError, TypeError, ValueError) as error:
        return 0, f"cannot be stored ({type(error).__name__})"


def _is_deep(value: Any) -> bool:
    """Level by level, so that no depth can exhaust the stack."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [inner for each in level if isinstance(each, dict | list) for inner in _within(each)]
        if not level:
            return False
    return True


def _within(value: dict[Any, Any] | list[Any]) -> Sequence[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def long_ids(column: Sequence[Any], most: int = LONGEST_ID) -> dict[int, str]:
    """The rows whose ids are too long to name anything, each with what is wrong with it."""
    kinds = set(map(type, column)) - SMALL
    if not kinds or (kinds == {str} and _longest(column) <= most):
        return {}
    found = {row: long_id(value, most) for row, value in enumerate(column) if type(value) not in SMALL}
    return {row: reason for row, reason in found.items() if reason}


def untold_times(column: Sequence[Any]) -> dict[int, str]:
    """The rows whose ids are times that no server keeps in an event as they are, each with what is wrong with it."""
    if set(map(type, column)).isdisjoint(_TIMES):
        return {}
    found = {row: _untold(value) for row, value in enumerate(column)}
    return {row: reason for row, reason in found.items() if reason}


def _untold(value: Any) -> str:
    """A server writes no date outside four-digit years as a text, and puts its own time into an empty timestamp."""
    if isinstance(value, DatetimeMS):
        return "is a date outside the years 1 to 9999, which cannot name an event"
    return "is an empty timestamp, which cannot name an event" if value == Timestamp(0, 0) else ""


def is_lost(value: Any) -> bool:
    """Whether a text is not what is stored, since that is not UTF-8; or has passed through somebody who lost it."""
    return isinstance(value, str) and LOST in value


def lost_texts(column: Sequence[Any]) -> dict[int, str]:
    """The rows whose texts are no longer what they were, so that they name nobody."""
    if set(map(type, column)) <= SMALL:
        return {}
    rows = [row for row, value in enumerate(column) if is_lost(value)]
    return dict.fromkeys(rows, "has U+FFFD in the place of what was not UTF-8")


def names_a_user(value: Any) -> bool:
    """Whether an id that stands in the ledger can be somebody's. Text that was not UTF-8 has LOST in it."""
    if type(value) is ObjectId:  # as in most apps, and asked for every row
        return True
    return id_type(value) is not None and not long_id(value) and not is_lost(value) and not is_half(value)


def is_half(value: Any) -> bool:
    """Whether a text has half of a character in it, as JSON and command lines may: no server can be asked for it."""
    return isinstance(value, str) and not value.isascii() and _HALF.search(value) is not None


def long_id(value: Any, most: int = LONGEST_ID) -> str:
    """Why an id is too long; empty when it is not."""
    if isinstance(value, Code):  # a str to Python, and nothing that a dict can be keyed by
        return "is JavaScript code"
    if isinstance(value, dict | list) and (reason := too_much(value)):
        return reason
    length = len(value) if isinstance(value, str | bytes) else len(id_text(value)) if isinstance(value, dict) else 0
    return f"is longer than {most:,} characters" if length > most else ""


def names_nothing(value: Any) -> str:
    """Why a value cannot be the `_id` of a document, and may not be asked for as one; empty when it can.

    A server takes a dict with `$` names, and a pattern, for a question and not for a value.
    """
    if value is None or isinstance(value, list | tuple | set | Regex) or hasattr(value, "fullmatch"):
        return "is no value that a document can be named by"
    if isinstance(value, dict) and _asks(value):
        return "has names that begin with $, so it is a question and not a value"
    return _untold(value) or long_id(value, LARGEST_SOURCE_ID) or _stored(value)[1]


def _asks(value: dict[Any, Any]) -> bool:
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [each for each in level if isinstance(each, dict | list)]
        if any(str(name).startswith("$") for each in level if isinstance(each, dict) for name in each):
            return True
        level = [inner for each in level for inner in _within(each)]
    return False


def short(value: Any, most: int = SHOWN) -> Any:
    """A value to compare: as it is, or by its name where it has more than `most` characters or bytes.

    So what nobody should have put there is found to differ, and costs no memory.
    """
    if type(value) in SMALL:
        return value
    size = len(value) if isinstance(value, str | bytes) else len(encoded(value))
    return named(value) if size > most else value


def named(value: Any) -> str:
    """An id as text to name it by, and no longer than SHOWN; long ones end in a digest, so that they stay distinct."""
    large = isinstance(value, dict | list) and bool(too_much(value))
    text = excerpt(value) if large else str(id_text(value))
    if not large and len(text) <= SHOWN:
        return text
    whole = encoded(value) if large else text.encode("utf-8", "replace")
    return f"{text[: SHOWN - 20]}…{hashlib.sha256(whole).hexdigest()[:16]}"
