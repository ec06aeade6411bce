"""Elements of an embedded array as the actions: how they are read, named, and found again by their documents. Pure.

A source with `unwind` scores the elements of an array. An element's source id is `<document id>/<element's id>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from bson import Binary, Regex, json_util
from bson.binary import OLD_UUID_SUBTYPE
from bson.errors import BSONError

from lbmigrate.config.model import Source
from lbmigrate.records import Document
from lbmigrate.values.ids import id_text, id_texts, parse_id
from lbmigrate.values.paths import pluck

POSITION = "__position"  # where $unwind leaves an element's index


def elements(source: Source) -> list[Document]:
    """The stages that make documents into what a source scores, and keep what meets its filter.

    The filter follows the $unwind, so that it speaks of single elements.
    """
    unwound = {"path": f"${source.unwind}", "includeArrayIndex": POSITION}
    return [*([{"$unwind": unwound}] if source.unwind else []), *([{"$match": source.where}] if source.where else [])]


def id_paths(source: Source) -> list[str]:
    """The paths that `element_ids` reads besides `_id`."""
    return [f"{source.unwind}._id", f"{source.unwind}.id"] if source.unwind else []


def element_ids(documents: Sequence[Document], array: str) -> list[str]:
    """Source ids for unwound documents: `<document id>/<element's _id, else its id, else its index>`.

    An index names the same element for ever only in an array that is never shortened but at its end.
    """
    own, spare, index = pluck(documents, [f"{array}._id", f"{array}.id", POSITION]).values()
    chosen = [next((name for name in row if name is not None), 0) for row in zip(own, spare, index, strict=True)]
    owners = id_texts([document.get("_id") for document in documents])
    return [f"{owner}/{id_text(element)}" for owner, element in zip(owners, chosen, strict=True)]


def owners(names: Iterable[str]) -> list[Any]:
    """The ids of the documents that hold these elements: what is before a `/`, read as every type that it may be."""
    texts = dict.fromkeys(text for name in names for text in list(accumulate(name.split("/"), "{}/{}".format))[:-1])
    return [owner for text in texts for owner in _readings(text)]


def orders_nothing(source: Source) -> bool:
    """Whether a document has as many values of the cursor field as the array has elements, so that none orders it."""
    return source.unwind is not None and f"{source.cursor}.".startswith(f"{source.unwind}.")


def within(condition: Document, source: Source) -> Document:
    """A condition on documents, with the filter of a source whose documents are the actions themselves."""
    return {"$and": [condition, source.where]} if source.where and not source.unwind else condition


def _readings(text: str) -> Iterator[Any]:
    for reading in parse_id(text):
        yield reading
        if isinstance(reading, Binary):
            yield Binary(reading, OLD_UUID_SUBTYPE)
    try:
        unusual = json_util.loads(text)  # as `id_text` writes dates, numbers with a fraction, compound ids
    except (ArithmeticError, BSONError, LookupError, TypeError, ValueError):
        return
    if not isinstance(unusual, Regex | list) and not (isinstance(unusual, dict) and "$" in str(unusual)):
        yield unusual
