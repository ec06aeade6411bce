"""What a document has at a dotted path, as a filter or an order sees it: through arrays, and of arrays the elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

MISSING = object()
EMPTY = object()


def values(document: Any, path: Sequence[str], inside: bool = True) -> Iterator[Any]:
    """Everything at a path, MISSING for nothing; of an array that stands there its elements first, if `inside`."""
    value = document
    for depth, name in enumerate(path):
        if isinstance(value, list):
            yield from _among(value, path[depth:], inside)
            return
        value = value.get(name, MISSING) if isinstance(value, dict) else MISSING
    if inside and isinstance(value, list):
        yield from value
    yield value


def _among(array: list[Any], path: Sequence[str], inside: bool) -> Iterator[Any]:
    """The path may go on in each document of an array, and in the element that a number in it names."""
    name, *rest = path
    for index, element in enumerate(array):
        if isinstance(element, dict):
            yield from values(element, path, inside)
        if name == str(index):
            if not rest:
                yield element
            elif isinstance(element, dict | list):
                yield from values(element, rest, inside)


def sorted_by(document: Any, path: Sequence[str]) -> list[Any]:
    """The values of which the least (the greatest, downwards) gives a document its place; EMPTY for an empty array."""
    value = document
    for depth, name in enumerate(path):
        if isinstance(value, list):
            return _keys_among(value, path[depth:])
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list):
        return value or [EMPTY]
    return [value]


def _keys_among(array: list[Any], path: Sequence[str]) -> list[Any]:
    name = path[0]
    if name.isdecimal():
        element = array[int(name)] if len(name) < 10 and int(name) < len(array) else None
        return sorted_by({name: element}, path)
    keys = [key for element in array if isinstance(element, dict) for key in sorted_by(element, path)]
    return keys if keys and all(isinstance(element, dict) for element in array) else [*keys, None]
