"""How a collection lies over the shards of a cluster: where its keys may be cut so that several shards work at once.

A `mongos` knows it, and not everybody may ask: then a sample of the keys says where they may be cut, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document

SAMPLED = 10  # keys for each border where they are drawn
Border = tuple[Any, str]  # the first key behind it, and the shard that has what follows; empty where nobody knows


def is_router(database: Database[Any]) -> bool:
    """Whether this is a `mongos`, as what is behind a load balancer always is."""
    return not is_fake(database) and bool(database.client.is_mongos or database.client.options.load_balanced)


def is_in_a_set(database: Database[Any]) -> bool:
    """Whether the driver knows that this is a replica set, and so no router. Asks no server."""
    servers = database.client.topology_description.server_descriptions()
    return any(each.replica_set_name for each in servers.values())


def borders(collection: Collection[Any], key: str, most: int) -> list[Border]:
    """At most so many places where the range of a key may be cut, in the server's order.

    None where this is no sharded collection, or where each part of the range is on all shards anyway.
    """
    if not is_router(collection.database):
        return []
    try:
        found = retrying(lambda: _known(collection, key, most))
    except OperationFailure:  # the catalogue is not for everybody
        found = None if _is_spread(collection) else []
    return retrying(lambda: _drawn(collection, key, most)) if found is None else found


def _known(collection: Collection[Any], key: str, most: int) -> list[Border] | None:
    """By the catalogue of the cluster; None where it has another order than the key."""
    catalogue = collection.database.client["config"]
    row: Document | None = catalogue["collections"].find_one({"_id": collection.full_name})
    if row is None or row.get("dropped") or row.get("unsplittable"):
        return []
    first, order = next(iter(row.get("key", {}).items()), ("", 1))
    if first != key:
        return None
    if order == "hashed":
        return []
    ours: Document = {"$or": [{"ns": collection.full_name}, {"uuid": row["uuid"]} if "uuid" in row else {"_id": None}]}
    ranges = catalogue["chunks"].find(ours, {"min": 1, "shard": 1}).sort("min", 1)
    runs = groupby(((each["min"][key], str(each["shard"])) for each in ranges), lambda border: border[1])
    return _thinned([next(run) for _, run in runs], most)


def _thinned(found: Sequence[Border], most: int) -> list[Border]:
    """Of too many some, evenly: what is between two of them is on several shards."""
    if len(found) <= most:
        return list(found) if len({shard for _, shard in found}) > 1 else []
    return [(found[place * len(found) // most][0], "") for place in range(most)]


def _is_spread(collection: Collection[Any]) -> bool:
    """Whether more than one shard has a part of it, as far as that may be asked: else it is taken to be so."""
    try:
        return len(list(collection.aggregate([{"$collStats": {"count": {}}}]))) > 1
    except OperationFailure:
        return True


def _drawn(collection: Collection[Any], key: str, most: int) -> list[Border]:
    """By the keys of some documents: parts that have about as many documents each."""
    stages: list[Document] = [{"$sample": {"size": most * SAMPLED}}, {"$project": {key: 1}}, {"$sort": {key: 1}}]
    rows = list(collection.aggregate(stages))
    return [(_value_at(rows[place * len(rows) // most], key), "") for place in range(most)] if len(rows) >= most else []


def _value_at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document
