"""Building indexes, and whom that waits for."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.database import Database

from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.records import Document


def build(database: Database[Document], collection: str, specs: Sequence[Document]) -> None:
    """Build the indexes that these specifications name, `key` and `name` at least; a repeat is a no-op.

    It waits for a majority of the members that vote. Left to itself the server waits for all of them that hold data,
    and so for ever for one that is gone.
    """
    if is_fake(database):
        for spec in specs:
            options = {name: value for name, value in spec.items() if name not in ("key", "v")}
            database[collection].create_index(list(spec["key"].items()), **options)
        return
    command: Document = {"createIndexes": collection, "indexes": list(specs)}
    if "setName" in retrying(lambda: database.command("hello")):
        command["commitQuorum"] = "majority"
    concern = database.write_concern.document
    retrying(lambda: database.command({**command, "writeConcern": concern}))
