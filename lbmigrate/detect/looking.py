"""The bounded look itself: a sample of every collection, and which ids occur where. Only reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pymongo.collation import Collation
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from lbmigrate.detect import people, references
from lbmigrate.detect.looked_at import LookedAt
from lbmigrate.detect.references import Known
from lbmigrate.errors import Refused
from lbmigrate.mongo.concerns import is_fake, lenient
from lbmigrate.mongo.faults import UNAUTHORIZED
from lbmigrate.mongo.sample import some, some_piped
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.values.paths import pluck

SAMPLE = 400  # documents of each collection
MOST_COLLECTIONS = 100
MOST_MS = 5_000  # of the server's time for each question
IDS = 2_000  # in one question
ANY_CASE = Collation("en", strength=2)


def look(database: Database[Any]) -> list[LookedAt]:
    """A sample of every collection of the app that this user may read, in the order of their names.

    Raises Refused where there is none.
    """
    names = [name for name in sorted(database.list_collection_names()) if not _is_ours(name)][:MOST_COLLECTIONS]
    found = [each for name in names if (each := _sampled(database[name])) is not None]
    if not found:
        raise Refused(
            f"database {database.name} has no collection with documents that this user may read",
            "lbmigrate config init --database NAME",
        )
    return found


def _is_ours(name: str) -> bool:
    return name.startswith(("system.", "lbmigrate_")) or name in (EVENTS, ENTRIES)


def _sampled(collection: Collection[Any]) -> LookedAt | None:
    try:
        documents = _documents(collection)
        count = collection.estimated_document_count()
        indexed = frozenset(next(iter(index["key"])) for index in collection.list_indexes())
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return None
    return LookedAt(collection.name, documents, count, indexed) if documents else None


def _documents(collection: Collection[Any]) -> list[Any]:
    """Documents from anywhere, or from both ends where the server cannot draw them."""
    if not is_fake(collection.database):
        try:
            return some_piped(collection, [{"$sample": {"size": SAMPLE}}])
        except OperationFailure as error:
            if error.code == UNAUTHORIZED:
                raise
    ends = [*some(collection, {}, {}, SAMPLE // 2), *some(collection, {}, {}, SAMPLE // 2, -1)]
    return list({repr(document.get("_id")): document for document in ends}.values())


def known(database: Database[Any], looks: Sequence[LookedAt]) -> Known:
    """Of the values that may be ids of users: which occur in which collection, under which key."""
    values = references.values_to_look_up(looks)
    found = {(each.name, key): _present(database, each, key, values) for each in looks for key in people.keys(each)}
    for each in looks:
        for key in people.may_be_looked_up(each):
            found[each.name, key] |= _in_any_case(database, each, key, values, found[each.name, key])
    return found


def _present(database: Database[Any], each: LookedAt, key: str, values: Sequence[Any]) -> set[Any]:
    """What the sample has, and what the server finds; without an index it is given some seconds to find it."""
    seen = {value for value in each.columns[key].present if value.__hash__} if key in each.columns else set()
    wanted = [value for value in values if any(type(value) is type(other) for other in seen)]
    return seen | set(_found(lenient(database)[each.name], key, wanted))


def _in_any_case(database: Database[Any], each: LookedAt, key: str, values: Sequence[Any], seen: set[Any]) -> set[Any]:
    """What is there in another case. Nothing is asked for where the sample is all that there is."""
    folded = {value.lower() for value in seen if isinstance(value, str)}
    texts = (value for value in values if isinstance(value, str) and value.lower() not in folded)
    addresses = each.columns[key].is_email
    wanted = [value for value in texts if ("@" in value) == addresses]
    if each.count <= len(each.documents) or is_fake(database):
        return set()
    return set(_found(lenient(database)[each.name], key, wanted[:IDS], ANY_CASE))


def _found(
    collection: Collection[Any], key: str, values: Sequence[Any], collation: Collation | None = None
) -> Iterator[Any]:
    for part in _parts(values):
        try:
            rows = collection.find({key: {"$in": part}}, {key: 1}).max_time_ms(MOST_MS)
            rows = rows.collation(collation) if collation else rows
            yield from (value for value in pluck(list(rows), [key])[key] if value.__hash__)
        except PyMongoError:  # the sample alone decides then
            return


def _parts(values: Sequence[Any]) -> Iterable[list[Any]]:
    return (list(values[start : start + IDS]) for start in range(0, len(values), IDS))
