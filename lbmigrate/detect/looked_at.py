"""A few documents of a collection as columns, and what kind of values each column holds. Pure."""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from bson import ObjectId

from lbmigrate.detect.words import DURATION, speaks_of
from lbmigrate.records import Document
from lbmigrate.values.coerce import as_number, as_time
from lbmigrate.values.paths import pluck

DEEPEST = 4  # levels of sub-documents that are looked into
ELEMENTS = 20  # of an array, in one document
FEW_VALUES = 12  # distinct values of a field that says a state or a kind
LONGEST_STATE = 40  # characters of such a value
# Numbers and texts that would say a time outside of these are taken for something else.
SINCE, UNTIL = dt.datetime(2000, 1, 1), dt.datetime(2060, 1, 1)
UTC = ZoneInfo("UTC")

_is_path = re.compile(r"[^.$\x00][^.\x00]*(\.[^.$\x00][^.\x00]*)*").fullmatch
_is_email = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s.]{2,60}").fullmatch
_is_url = re.compile(r"(https?://|//|data:image/)\S+").match
_is_hash = re.compile(r"\$2[aby]\$|\$argon2|\$scrypt|pbkdf2").match


@dataclass(frozen=True)
class Column:
    """The values of one path, one for each document looked at; None where it is absent or null."""

    path: str
    values: list[Any]

    @cached_property
    def present(self) -> list[Any]:
        return [value for value in self.values if value is not None]

    @property
    def example(self) -> Any:
        return next(iter(self.present), None)

    @property
    def name(self) -> str:
        """The last part of the path, which says what the field is; `settings.hidden` needs both."""
        return self.path.rpartition(".")[2]

    @cached_property
    def fill(self) -> float:
        """The share of documents that have it."""
        return len(self.present) / len(self.values) if self.values else 0.0

    @cached_property
    def times(self) -> list[dt.datetime | None]:
        """Each value as a time where all of them are plausible times; otherwise None throughout."""
        lengths = not isinstance(self.example, str | dt.datetime) and speaks_of(self.name, DURATION)
        if lengths or isinstance(self.example, bool | ObjectId | None):
            return [None] * len(self.values)
        found = [None if value is None else _plausible(value) for value in self.values]
        fits = sum(moment is not None for moment in found) >= 0.9 * len(self.present)
        return found if fits else [None] * len(self.values)

    @cached_property
    def is_time(self) -> bool:
        return any(moment is not None for moment in self.times)

    @cached_property
    def numbers(self) -> list[float]:
        """Each value as a number, NaN where it is none; numeric text is none here."""
        return [math.nan if isinstance(value, str) else as_number(value) for value in self.values]

    @cached_property
    def is_number(self) -> bool:
        """Whether it holds quantities: numbers that are neither times nor a handful of codes."""
        known = [number for number in self.numbers if not math.isnan(number)]
        return bool(known) and len(known) >= 0.9 * len(self.present) and not self.is_time

    @cached_property
    def states(self) -> Counter[Any]:
        """How often each value occurs, where they are so few that they say a state; otherwise empty."""
        if not all(isinstance(value, bool | str | int | float) for value in self.present):
            return Counter()
        told = Counter((type(value) is bool, value) for value in self.present)
        wordy = any(isinstance(value, str) and len(value) > LONGEST_STATE for _, value in told)
        if wordy or len(told) > min(FEW_VALUES, max(2, len(self.present) // 3)):
            return Counter()
        return Counter({value: count for (_, value), count in told.items()})

    @cached_property
    def is_bool(self) -> bool:
        return bool(self.present) and all(isinstance(value, bool) for value in self.present)

    def share(self, test: Any) -> float:
        """The share of present values that are text and pass a test."""
        passing = sum(isinstance(value, str) and bool(test(value)) for value in self.present)
        return passing / len(self.present) if self.present else 0.0

    @cached_property
    def is_unique(self) -> bool:
        """Whether no two documents share a value, which all of an id's kind."""
        if not self.present or not all(isinstance(value, str | int | ObjectId | uuid.UUID) for value in self.present):
            return False
        return not self.is_bool and len(set(self.present)) == len(self.present)

    @property
    def is_email(self) -> bool:
        return self.share(_is_email) > 0.8

    @property
    def is_url(self) -> bool:
        return self.share(_is_url) > 0.5

    @property
    def is_password(self) -> bool:
        return self.share(_is_hash) > 0.5


@dataclass(frozen=True)
class LookedAt:
    """What was seen of a collection, or of the elements of one of its arrays (`array` is its path then)."""

    name: str
    documents: list[Document]
    count: int = 0
    indexed: frozenset[str] = frozenset()
    array: str | None = None

    @cached_property
    def columns(self) -> dict[str, Column]:
        """Every path of a document, and of an array's element under the array's own path."""
        values: dict[str, list[Any]] = {}
        for place, document in enumerate(self.documents):
            for path, value in _leaves(document, self.array):
                values.setdefault(path, [None] * len(self.documents))[place] = value
        return {path: Column(path, column) for path, column in values.items()}

    def own(self) -> Iterator[Column]:
        """The columns that say something of one action: in an array, those of its elements."""
        yield from (each for each in self.columns.values() if not self.array or each.path.startswith(f"{self.array}."))

    def arrays(self) -> list[str]:
        """The paths of arrays of sub-documents."""
        found = {path for document in self.documents for path in _arrays(document)}
        return sorted(found)

    def unwound(self, array: str) -> LookedAt:
        """The elements of an array, each in a copy of its document."""
        rows = [
            {**document, _HERE: element}
            for document in self.documents
            for element in _at(document, array)[:ELEMENTS]
            if isinstance(element, dict)
        ]
        return LookedAt(self.name, rows, self.count, self.indexed, array)


_HERE = "\0element"


def _plausible(value: Any) -> dt.datetime | None:
    if isinstance(value, bool) or (isinstance(value, str) and len(value) < len("2025-01-01")):
        return None
    moment = as_time(value, UTC)
    if isinstance(value, dt.datetime):
        return moment
    return moment if moment is not None and SINCE <= moment <= UNTIL else None


def _leaves(document: Document, array: str | None) -> Iterator[tuple[str, Any]]:
    yield from _walk({key: value for key, value in document.items() if key != _HERE}, "", skipping=array)
    if array is not None:
        yield from _walk(document.get(_HERE, {}), f"{array}.")


def _walk(document: Document, prefix: str, depth: int = 1, skipping: str | None = None) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        path = f"{prefix}{name}"
        if "." in name or not _is_path(path) or path == skipping:
            continue
        if isinstance(value, dict) and depth < DEEPEST:
            yield from _walk(value, f"{path}.", depth + 1, skipping)
        elif not isinstance(value, list | dict) and value != "":  # a form that was left empty says nothing
            yield path, value


def _arrays(document: Document, prefix: str = "", depth: int = 1) -> Iterator[str]:
    for name, value in document.items():
        if "." in name or not _is_path(f"{prefix}{name}"):
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{prefix}{name}"
        elif isinstance(value, dict) and depth < DEEPEST:
            yield from _arrays(value, f"{prefix}{name}.", depth + 1)


def _at(document: Document, path: str) -> list[Any]:
    value = pluck([document], [path])[path][0]
    return value if isinstance(value, list) else []
