"""Elements of an embedded array as the actions: how they are read, named, and found again by their documents. Pure.

A source with `unwind` scores the elements of an array. An element's source id is `<document id>/<element's id>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from bson import ObjectId

from lbmigrate.config.model import Source
from lbmigrate.records import Document
from lbmigrate.values.id_text import exact_text, former_text, former_texts, id_texts, owner_texts, plain_text
from lbmigrate.values.ids import plain_id, readings
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


@dataclass(frozen=True, slots=True)
class ElementIds:
    """Source ids for unwound documents, one each, and how an earlier version wrote those that it wrote otherwise."""

    now: list[str]
    former: dict[str, str]


def element_ids(documents: Sequence[Document], array: str) -> ElementIds:
    """Source ids for unwound documents: `<document id>/<element's _id, else its id, else its index>`.

    An index names the same element for ever
    only in an array that is never shortened but at its end. Of two elements of one document whose ids are of different
    types and have one text, the first has it, and the other its exact text (`values.id_text`).
    """
    own, spare, index = pluck(documents, [f"{array}._id", f"{array}.id", POSITION]).values()
    chosen = [next((name for name in row if name is not None), 0) for row in zip(own, spare, index, strict=True)]
    owners = [document.get("_id") for document in documents]
    plain = _joined(owner_texts(owners), id_texts(chosen))
    now = plain if len(set(plain)) == len(plain) else _told_apart(plain, chosen)
    if set(map(type, owners)) == {ObjectId} and former_texts(chosen) is None:
        return ElementIds(now, {})
    former = _joined([former_text(owner) for owner in owners], [former_text(element) for element in chosen])
    changed = zip(plain, now, former, strict=True)
    return ElementIds(now, {new: old for usual, new, old in changed if new == usual != old})


def _joined(owners: Sequence[str], elements: Sequence[str]) -> list[str]:
    return [f"{owner}/{element}" for owner, element in zip(owners, elements, strict=True)]


def _told_apart(names: Sequence[str], elements: Sequence[Any]) -> list[str]:
    """The names of elements, where another id that has the name of an earlier one is exact; the same id keeps it."""
    holders: dict[str, str] = {}
    found = []
    for name, element in zip(names, elements, strict=True):
        exact = exact_text(element)
        owner = name.partition("/")[0]
        found.append(name if holders.setdefault(name, exact) == exact else f"{owner}/{exact}")
    return found


def owners(names: Iterable[Any]) -> list[Any]:
    """The ids of the documents that hold these elements: what is before a `/`, read as every type that it may be."""
    split = (name.split("/") for name in names if isinstance(name, str))
    texts = dict.fromkeys(text for parts in split for text in list(accumulate(parts, "{}/{}".format))[:-1])
    return [plain_id(owner) for text in texts for owner in readings(text)]


def among(names: Iterable[str], source: Source) -> Document:
    """The stage that leaves, of unwound documents, the elements that may have these names, and perhaps a few more.

    A name may be the text of several ids, and an element with an id of its own is no longer named by its index.
    """
    texts = {text for name in names for text in _endings(name)}
    read = (value for text in texts for value in readings(text))
    forms = {exact_text(form): form for value in read for form in (value, *readings(plain_text(value)))}
    values = [form for form in forms.values() if form is not None]
    paths = [f"{source.unwind}._id", f"{source.unwind}.id", POSITION]
    return {"$match": {"$or": [{path: {"$in": values}} for path in paths]}}


def _endings(name: str) -> Iterable[str]:
    """What follows each `/` of a name: in names of earlier versions an owner may have one, too."""
    parts = name.split("/")
    return ("/".join(parts[start:]) for start in range(1, len(parts)))


def orders_nothing(source: Source) -> bool:
    """Whether a document has as many values of the cursor field as the array has elements, so that none orders it."""
    return source.unwind is not None and f"{source.cursor}.".startswith(f"{source.unwind}.")


def within(condition: Document, source: Source) -> Document:
    """A condition on documents, with the filter of a source whose documents are the actions themselves."""
    return {"$and": [condition, source.where]} if source.where and not source.unwind else condition
