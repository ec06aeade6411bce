"""The documents that a check looks at, and how what was seen is told."""

from __future__ import annotations

from typing import Any

from pymongo.collection import Collection

from lbmigrate.config.model import Source
from lbmigrate.mongo.sample import both_ends, some_piped
from lbmigrate.records import Document
from lbmigrate.rules import unwind
from lbmigrate.rules.mapped import paths
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENT, EVENTS
from lbmigrate.values.limits import named
from lbmigrate.values.paths import projection_of

CHECK_CONFIG = "correct the path or the collection: lbmigrate config show"
SAMPLE = 500  # documents looked at, from either end of a collection
ELEMENTS = 20  # of an array that is unwound
Looks = dict[str, list[Document]]  # the documents of each source that were looked at, by its name


def sample(collection: Collection[Any], source: Source, *, bounded: bool = False) -> list[Document]:
    """Documents in scope from both ends of a collection; elements, where the source unwinds.

    Several may have one `_id`, in a view, or none. With `bounded` a filter that few documents meet may leave none.
    """
    projection = projection_of(mapped(source))
    if source.unwind:
        few: Document = {"$match": {unwind.POSITION: {"$lt": ELEMENTS}}}  # one document must not be all that is seen
        stages = [{"$limit": 2 * SAMPLE}, *unwind.elements(source), few, {"$project": projection}]
        return some_piped(collection, [*stages, {"$limit": 2 * SAMPLE}])
    first, *last = both_ends(collection, source.where, projection, SAMPLE, bounded=bounded)
    known = {named(row.get("_id")) for row in first}  # the ends of a small collection are the same documents
    return first + [row for rows in last for row in rows if named(row.get("_id")) not in known]


def mapped(source: Source) -> tuple[str, ...]:
    """Every path that a source's mapping names."""
    return (*paths(source), *([source.updated] if source.updated else []))


def shares(having: dict[str, int], total: int) -> str:
    """`userId 100%, completedAt 97%`."""
    return ", ".join(f"{path} {count / total:.0%}" for path, count in having.items())


def begun(context: Context) -> bool:
    """Whether there is a board already: what it was made by is no mistake, so an odd document is just that."""
    return context.target[EVENTS].find_one(EVENT, {"_id": 1}) is not None
