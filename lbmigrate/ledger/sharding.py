"""The leaderboard's collections over the shards of a cluster: by the hash of the user, in as many chunks as that needs.

All of one user is on one shard then: what a roll-up reads and writes, and so what makes the `_id` of an event and of an
entry unique.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from pymongo.database import Database

from lbmigrate.errors import Refused
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.shards import is_router
from lbmigrate.records import Document, Piece
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.schema.layout import partitions

KEY: Document = {"userId": "hashed"}
CHUNKS = 2  # for each shard, where the server is to be told
TOLD_UNTIL = (7, 2)  # from then on a server makes as many chunks as there are shards, and takes no number


def check(context: Context) -> None:
    """Raise Refused where there is nothing to shard by."""
    if not is_router(context.target):
        told = "this server is no mongos, and only a sharded cluster spreads collections over shards: nothing was done"
        raise Refused(
            told, "lbmigrate run, without --shard; or name a mongos: lbmigrate run --shard --uri mongodb://HOST"
        )


def due(database: Database[Any]) -> list[Document]:
    """The commands that shard what is not sharded yet, in order, for the database `admin` of a `mongos`."""
    here = database.name
    done = {row["_id"] for row in database.client["config"]["collections"].find({"_id": {"$regex": f"^{here}[.]"}})}
    names = [name for name in (EVENTS, ENTRIES, *partitions(database)) if f"{here}.{name}" not in done]
    return [{"enableSharding": here}, *(_sharding(database, name) for name in names)] if names else []


def _sharding(database: Database[Any], name: str) -> Document:
    command: Document = {"shardCollection": f"{database.name}.{name}", "key": KEY}
    version = tuple(map(int, database.client.server_info()["version"].split(".")[:2]))
    if version < TOLD_UNTIL and database[name].find_one({}, {"_id": 1}) is None:  # a filled one the balancer splits
        shards = database.client["config"]["shards"].count_documents({})
        command["numInitialChunks"] = CHUNKS * max(shards, 1)
    return command


def lines(database: Database[Any]) -> list[str]:
    """The same as one types them in mongosh."""
    return [f"db.adminCommand({json.dumps(command)})" for command in due(database)]


def pieces(context: Context) -> Iterator[Piece]:
    """Shard what is not sharded yet; a repeat does what is left."""
    database = context.target
    for command in due(database):
        name = str(command.get("shardCollection", "")).removeprefix(f"{database.name}.")
        if name:
            index = {"name": "userId_hashed", "key": KEY}
            retrying(partial(database.command, {"createIndexes": name, "indexes": [index]}))
        retrying(partial(database.client["admin"].command, command))
        if name:
            yield Piece("shards", note=f"sharded {name} by the hash of userId")
