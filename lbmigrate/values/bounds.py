"""Ends of ranges that stay small, however large the ids are that they stand for: a row of the state has several."""

from __future__ import annotations

from typing import Any

from bson import Binary, MaxKey, MinKey

from lbmigrate.records import Document
from lbmigrate.values.ids import room

LONGEST = 1_024  # characters of a text, bytes of another value
_LAST = "\U0010ffff" * 8  # behind whatever follows in a text, under a collation too
_LARGEST = Binary(b"\xff" * LONGEST, 255)
BINARY: Document = {"$lte": _LARGEST}  # the shorter ones, for a server compares their lengths first
# Nothing short is above these, so no range ends at them.
LONG_BINARY: Document = {"$gt": _LARGEST}


def is_long_binary(value: Any) -> bool:
    """Whether this is binary data that has no short bound."""
    return isinstance(value, bytes) and len(value) > LONGEST


def below(value: Any, most: int = LONGEST) -> Any:
    """The value itself, or where it is large what is short and not above it."""
    return _short(value, most, "", MinKey())


def above(value: Any, most: int = LONGEST) -> Any:
    """The value itself, or where it is large what is short and above all that begins like it."""
    return _short(value, most, _LAST, MaxKey())


def is_of_many(value: Any) -> bool:
    """Whether a bound is one that `above` has made."""
    if isinstance(value, dict):
        return is_of_many(next(reversed(value.values()), None))
    return isinstance(value, MaxKey) or (type(value) is str and value.endswith(_LAST))


def _short(value: Any, most: int, last: str, end: Any) -> Any:
    if type(value) is str and len(value) > most:
        return value if last and value.startswith(last, most) else value[:most] + last
    if isinstance(value, dict) and room(value) > most:
        return _short_object(value, most, last, end)
    return value


def _short_object(value: Document, most: int, last: str, end: Any) -> Document:
    """Its first fields as they are, and the one that is too much as short as all of it; those behind decide nothing."""
    kept: Document = {}
    for name, each in value.items():
        size = len(name) + room(each)
        if size > most:
            short = _short(each, most - len(name), last, end) if len(name) <= most // 2 else each
            kept[name[:LONGEST]] = end if short is each else short  # types are compared before names
            break
        kept[name] = each
        most -= size
    return kept
