"""Dotted paths into documents: columns out of a batch, and the projection that fetches no more than they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

from lbmigrate.records import Document


def pluck(documents: Sequence[Document], paths: Iterable[str]) -> dict[str, list[Any]]:
    """One column per path, as long as `documents`; what is absent is None, like what is null.

    A path walks through sub-documents and, by number, into arrays: `profileDetails.0.uid`.
    """
    return {path: _column(documents, path) for path in paths}


def value_at(document: Document, path: str) -> Any:
    """What `pluck` finds in one document."""
    return _column([document], path)[0] if "." in path else document.get(path)


def projection_of(paths: Iterable[str]) -> dict[str, int]:
    """What `find` must fetch to pluck `paths`; `_id` always comes along.

    The server refuses a path beside its own ancestor, so the ancestor alone is kept; and it cannot project an element
    of an array, so a path ends before its first number.
    """
    return dict.fromkeys(_fetched(tuple(paths)), 1)


@lru_cache(256)
def _fetched(paths: tuple[str, ...]) -> tuple[str, ...]:
    wanted = {"_id", *map(_before_number, paths)}
    return tuple(path for path in sorted(wanted) if not any(above in wanted for above in _ancestors(path)))


def _column(documents: Sequence[Document], path: str) -> list[Any]:
    head, *rest = path.split(".")
    column = [document.get(head) for document in documents]
    for part in rest:
        column = [_child(value, part) for value in column]
    return column


def _child(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and _is_index(part) and int(part) < len(value):
        return value[int(part)]
    return None


def _is_index(part: str) -> bool:
    # nine digits are more than any array holds; int() refuses strings of thousands of them
    return part.isascii() and part.isdigit() and len(part) < 10


def _before_number(path: str) -> str:
    head, *rest = path.split(".")
    number = next((place for place, part in enumerate(rest) if part.isdigit()), len(rest))
    return ".".join([head, *rest[:number]])


def _ancestors(path: str) -> list[str]:
    return list(accumulate(path.split("."), "{}.{}".format))[:-1]
