"""Documents on their way in and out: copied, so that nobody shares them with the database, and cut down to fields."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from functools import partial
from sys import intern
from typing import Any
from uuid import UUID

from bson import Binary, DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, Regex, Timestamp
from mongomock_ng.collection import _copy_field
from mongomock_ng.helpers import patch_datetime_awareness_in_document

from lbmigrate.mongo.fake.matching import SCALARS
from lbmigrate.records import Document

UNCHANGING = SCALARS | {bytes, Binary, UUID, Decimal128, Timestamp, DatetimeMS, Regex, MinKey, MaxKey}
KEPT_AS_IS = UNCHANGING - {dt.datetime}
INVALID_ID, DOLLAR = 53, 52
TO_BE_SET = Timestamp(0, 0)
REFERENCE = ("$ref", "$id", "$db")


def new(document: Document) -> Document:
    """A copy of a new document as the database keeps it; it sets the timestamps of nothing that stand in it itself."""
    kept: Document = stored(document)
    for name, value in kept.items():
        if value == TO_BE_SET and name != "_id":
            kept[name] = patch_datetime_awareness_in_document(value)
    return kept


def id_objection(key: Any) -> tuple[str, int] | None:
    """Why a server takes no document with this `_id`, in its words and with its code."""
    kind = "array" if isinstance(key, list | tuple) else "regex" if isinstance(key, Regex | re.Pattern) else ""
    if kind:
        return f"The '_id' value cannot be of type {kind}", INVALID_ID
    if name := next((name for name in _names(key) if name[:1] == "$"), ""):
        return f"_id fields may not contain '$'-prefixed fields: {name} is not valid for storage.", DOLLAR
    return None


def _names(value: Any) -> Iterator[str]:
    """The names in a value, but for those of references to documents."""
    if isinstance(value, dict):
        refers = isinstance(value.get("$ref"), str)
        yield from (name for name in value if not (refers and name in REFERENCE))
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(inner)


def stored(value: Any) -> Any:
    """A copy as the database keeps it: times in UTC and whole milliseconds, every field name once in memory."""
    kind = type(value)
    if kind is dict:
        return {intern(str(key)): each if type(each) in KEPT_AS_IS else stored(each) for key, each in value.items()}
    if kind is list or kind is tuple:
        return [each if type(each) in KEPT_AS_IS else stored(each) for each in value]
    if kind is dt.datetime and value.tzinfo is None and value.microsecond % 1000 == 0:
        return value
    if isinstance(value, DBRef):
        return stored(dict(value.as_doc()))
    if isinstance(value, re.Pattern):
        return Regex.from_native(value)
    return value if isinstance(value, Timestamp) else patch_datetime_awareness_in_document(value)


def copied(value: Any) -> Any:
    """A copy for the caller, to whom a reference to a document is shown as one."""
    kind = type(value)
    if kind is dict:
        copy = {key: each if type(each) in UNCHANGING else copied(each) for key, each in value.items()}
        return _reference(copy) if isinstance(copy.get("$ref"), str) else copy
    if kind is list:
        return [each if type(each) in UNCHANGING else copied(each) for each in value]
    return _copy_field(value, dict)


def _reference(document: Document) -> DBRef:
    collection, key, database = (document.pop(name, None) for name in REFERENCE)
    return DBRef(collection, key, database, document)


def shows_all(fields: Any) -> bool:
    """Whether a projection keeps every document; its operators may drop some."""
    return not isinstance(fields, dict) or not any(isinstance(asked, dict) for asked in fields.values())


def projector(fields: Any) -> Callable[[Document], Document] | None:
    """What copies just the fields of a projection; None where it is more than names to keep or to leave out."""
    if not fields:
        return copied
    marks = dict(fields) if isinstance(fields, dict) else dict.fromkeys(fields, 1)
    with_id = marks.pop("_id", 1) != 0
    keep = next(iter(marks.values()), with_id) == 1
    if any(_is_positional(name) or mark not in (0, 1) or mark != keep for name, mark in marks.items()):
        return None
    if keep:
        tree = _tree([*marks, "_id"] if with_id else list(marks))
        return None if tree is None else partial(_kept, tree)
    dropped = marks.keys() if with_id else marks.keys() | {"_id"}
    if any("." in name for name in dropped):
        return None
    return lambda document: copied({key: each for key, each in document.items() if key not in dropped})


def _is_positional(name: str) -> bool:
    return any(part[:1] == "$" and part not in REFERENCE for part in name.split("."))


def _tree(paths: list[str]) -> dict[str, Any] | None:
    """Paths as nested names, {} under the last of each; None if one is the beginning of another."""
    tree: dict[str, Any] = {}
    for path in paths:
        branch = tree
        for name in path.split("."):
            branch = branch.setdefault(name, {})
    return tree if _leaves(tree) == len(paths) else None


def _leaves(tree: dict[str, Any]) -> int:
    return sum(map(_leaves, tree.values())) if tree else 1


def _kept(tree: dict[str, Any], document: Document) -> Document:
    """Only the fields in the tree; a scalar is dropped where there are names below it, also from an array."""
    kept: Document = {}
    for key, each in document.items():
        below = tree.get(key)
        if below == {}:
            kept[key] = each if type(each) in UNCHANGING else copied(each)
        elif below and isinstance(each, dict):
            kept[key] = _kept(below, each)
        elif below and isinstance(each, list):
            kept[key] = [_kept(below, element) for element in each if isinstance(element, dict)]
    return kept
