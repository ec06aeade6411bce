"""The first stages of a pipeline, where they choose documents or unwind arrays: done as a server does them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bson import Int64

from lbmigrate.mongo.fake.matching import matching
from lbmigrate.records import Document


def first_stages(documents: Iterable[Document], stages: list[Any]) -> tuple[list[Document], list[Any]]:
    """What the first stages make of documents, and the stages that are left for the original."""
    found = list(documents)
    for done, stage in enumerate(stages):
        name, how = next(iter(stage.items()), ("", None))
        if name == "$match" and isinstance(how, Mapping):
            found = matching(dict(how), found)
        elif name == "$unwind" and isinstance(how, Mapping) and _is_plain(how):
            found = [each for document in found for each in _unwound(document, how)]
        else:
            return found, stages[done:]
    return found, []


def _is_plain(how: Mapping[str, Any]) -> bool:
    return how.keys() <= {"path", "includeArrayIndex"} and str(how.get("path"))[:1] == "$"


def _unwound(document: Document, how: Mapping[str, Any]) -> Iterator[Document]:
    """A copy for each element; what is no array is its own only element, and nothing has none."""
    path = how["path"][1:].split(".")
    value: Any = document
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    elements = enumerate(value) if isinstance(value, list) else [(None, value)] if value is not None else []
    for index, element in elements:
        copy = _with(document, path, element)
        if "includeArrayIndex" in how:
            copy[how["includeArrayIndex"]] = None if index is None else Int64(index)
        yield copy


def _with(document: Document, path: list[str], element: Any) -> Document:
    name, *rest = path
    return {**document, name: _with(document[name], rest, element) if rest else element}
