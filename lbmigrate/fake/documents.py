"""Documents on their way in and out: copied, so that nobody shares them with the database, cut down, put in order."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Callable, Mapping, Sequence
from sys import intern
from typing import Any
from uuid import UUID

from bson import Binary, Decimal128, ObjectId, Timestamp
from mongomock_ng.collection import _copy_field
from mongomock_ng.filtering import resolve_sort_key
from mongomock_ng.helpers import patch_datetime_awareness_in_document

from lbmigrate.fake.matching import SCALARS, column
from lbmigrate.models import Document

UNCHANGING = SCALARS | {bytes, Binary, UUID, Decimal128, Timestamp}
KEPT_AS_IS = UNCHANGING - {dt.datetime, Timestamp}

# https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/; floats are left out because of NaN.
RANK = {type(None): 5, **dict.fromkeys((int, Int64), 10), str: 15, ObjectId: 35, bool: 40, dt.datetime: 45}

Order = Sequence[tuple[str, int]]


def stored(value: Any) -> Any:
    """A copy as the database keeps it: times in UTC and whole milliseconds, every field name once in memory."""
    kind = type(value)
    if kind is dict:
        return {intern(key): each if type(each) in KEPT_AS_IS else stored(each) for key, each in value.items()}
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


def projection(fields: Any) -> Callable[[Document], Document] | None:
    """How to copy just what `fields` ask for; None where this takes the original (paths, slices, mixtures)."""
    if not fields:
        return copied
    if not isinstance(fields, Mapping):
        ...
