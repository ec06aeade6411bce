"""Why no document meets a filter, as far as a look at some tells: most often a value of another type or case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bson import Regex

from lbmigrate.config.model import Source
from lbmigrate.mongo.sample import some
from lbmigrate.records import Document, amount
from lbmigrate.run.context import Context
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.excerpts import excerpt
from lbmigrate.values.paths import pluck, projection_of

LOOKED_AT = 500  # documents from either end
TRUTHS = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}  # as apps write them


def reason(context: Context, source: Source) -> str:
    """What the documents of a source have where its filter asks for something else; empty where that is not seen."""
    asked = list(_equalities(source.where))
    if source.unwind or not asked:
        return ""
    collection, projection = context.sources[source.collection], projection_of([path for path, _ in asked])
    ends = (some(collection, {}, projection, LOOKED_AT, way) for way in (1, -1))
    rows = list({str(row["_id"]): row for end in ends for row in end}.values())
    columns = pluck(rows, [path for path, _ in asked])
    told = (_told(path, wanted, columns[path]) for path, wanted in asked)
    return hidden("; ".join(filter(None, told))) if rows else ""


def _equalities(where: Document) -> Iterator[tuple[str, list[Any]]]:
    """The fields that a filter compares with values, and those values."""
    for path, asked in where.items():
        if path == "$and":
            yield from (each for part in asked for each in _equalities(part))
        elif not path.startswith("$"):
            if isinstance(asked, re.Pattern | Regex):
                continue
            if not isinstance(asked, dict):
                yield path, [asked]
            elif "$eq" in asked:
                yield path, [asked["$eq"]]
            elif "$in" in asked:
                yield path, list(asked["$in"])


def _told(path: str, wanted: list[Any], found: list[Any]) -> str:
    """What a field has, where it never has what is asked for."""
    if any(_is_same(value, each) for value in found for each in wanted):
        return ""
    asks = f"`where` asks for {' or '.join(map(excerpt, wanted[:3]))}"
    alike = Counter(excerpt(value) for value in found if any(_folded(value) == _folded(each) for each in wanted))
    having = alike or Counter(excerpt(value) for value in found if value is not None)
    if not having:
        return f"none of {amount(len(found), 'document')} looked at has {path}; {asks}"
    value, number = having.most_common(1)[0]
    return f"{path} is {value} in {number:,} of {amount(len(found), 'document')} looked at; {asks}"


def _is_same(value: Any, wanted: Any) -> bool:
    """As a server compares: true is no 1, and a list has what one of its elements has."""
    if isinstance(value, list):
        return value == wanted or any(_is_same(each, wanted) for each in value)
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _folded(value: Any) -> str:
    """Values that are written alike, whatever their type and case."""
    text = str(int(value) if isinstance(value, bool) else value).strip().lower()
    text = text.removesuffix(".0") if isinstance(value, float) else text
    return TRUTHS.get(text, text)
