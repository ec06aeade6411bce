"""Building indexes, and whom that waits for."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, WTimeoutError

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.client import retrying
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.mongo.faults import AGAIN, MAJORITY_LATE
from lbmigrate.records import Document

# Milliseconds that a set has for a build: many times what it takes, so that only members that are gone use them up.
LEAST, FOR_EACH = 60_000, 1


def build(database: Database[Document], collection: str, specs: Sequence[Document]) -> None:
    """Build the indexes that these specifications name, `key` and `name` at least; a repeat is a no-op.

    It waits for a majority of the members that vote. Left to itself the server waits for all of them that hold data,
    and so for ever for one that is gone. A majority that is gone it would wait for without a limit as well: a set of a
    primary, a secondary and an arbiter has none without its secondary. Raises LbmigrateError then, after a minute or
    longer as the collection is large; the server has given the build up.
    """
    if is_fake(database):
        for spec in specs:
            options = {name: value for name, value in spec.items() if name not in ("key", "v")}
            database[collection].create_index(list(spec["key"].items()), **options)
        return
    command: Document = {"createIndexes": collection, "indexes": list(specs)}
    limit = LEAST + FOR_EACH * retrying(database[collection].estimated_document_count)
    if "setName" in retrying(lambda: database.command("hello")):
        command |= {"commitQuorum": "majority", "maxTimeMS": limit}
    try:
        retrying(lambda: _build(database, command))
    except ExecutionTimeout as error:
        took = f"an index of {collection} was not built within {limit // 1000:,} s"
        what = f"{took}: a majority of the set's members has to build it, and too few of them answer"
        raise LbmigrateError(what, f"start them (lbmigrate doctor names them), then {AGAIN}") from error


def _build(database: Database[Document], command: Document) -> None:
    reply = database.command({**command, "writeConcern": database.write_concern.document})
    if late := reply.get("writeConcernError"):  # a command's is not raised by the driver
        raise WTimeoutError(late.get("errmsg", "no majority has the index"), min(MAJORITY_LATE), late)
