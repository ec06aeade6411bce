"""Documents on their way in and out: copied, so that nobody shares them with the database, and cut down to fields."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from sys import intern
from typing import Any
from uuid import UUID

from bson import Binary, Decimal128, Timestamp
from mongomock_ng.collection import _copy_field
from mongomock_ng.helpers import patch_datetime_awareness_in_document

from lbmigrate.mongo.fake.matching import SCALARS
from lbmigrate.records import Document

UNCHANGING = SCALARS | {bytes, Binary, UUID, Decimal128, Timestamp}
KEPT_AS_IS = UNCHANGING - {dt.datetime, Timestamp}


def stored(value: Any) -> Any:
    """A copy as the database keeps it: times in UTC and whole milliseconds, every field name once in memory."""
    kind = type(value)
    if kind is dict:
        return {intern(str(key)): each if type(each) in KEPT_AS_IS else stored(each) for key, each in value.items()}
    if kind is list:
        return [each if type(each) in KEPT_AS_IS else stored(each) for each in value]
    if kind is dt.datetime and value.tzinfo is None and value.microsecond % 1000 == 0:
        return value
    return patch_datetime_awareness_in_document(value)


def copied(value: Any) -> Any:
    """A copy for the caller."""
    kind = type(value)
    if kind is dict:
        return {key: each if type(each) in UNCHANGING else copied(each) for key, each in value.items()}
    if kind is list:
        return [each if type(each) in UNCHANGING else copied(each) for each in value]
    return _copy_field(value, dict)


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
    if any("$" in name or mark not in (0, 1) or mark != keep for name, mark in marks.items()):
        return None
    if keep:
        tree = _tree([*marks, "_id"] if with_id else list(marks))
        return None if tree is None else partial(_kept, tree)
    dropped = marks.keys() if with_id else marks.keys() | {"_id"}
    if any("." in name for name in dropped):
        return None
    return lambda document: copied({key: each for key, each in document.items() if key not in dropped})


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
