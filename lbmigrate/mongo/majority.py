"""Whether a majority of a replica set still takes part: without it, what was made since cannot be read by majority.

A server lets such a read wait, without an end of its own, until a majority has the collection. What was there before
is read as it was then, at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pymongo.database import Database
from pymongo.errors import ExecutionTimeout, OperationFailure

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.concerns import durable, is_fake
from lbmigrate.mongo.faults import AGAIN

WAIT_MS = 10_000  # for one of the collections
HINT = f"start the members that rs.status() shows as not reachable, then {AGAIN}"


def check(database: Database[Any], names: Iterable[str]) -> None:
    """Raise LbmigrateError where a read of one of these collections would wait for a majority that is not there.

    Asks for the collections only where the majority is behind, as it is for moments while somebody writes.
    """
    stands = None if is_fake(database) else _behind(database)
    for name in names if stands is not None else ():
        with suppress(OperationFailure):  # a right that is missing, or whatever else is told where it is met
            try:
                durable(database)[name].find_one({}, {"_id": 1}, max_time_ms=WAIT_MS)
            except ExecutionTimeout as error:
                if _behind(database) != stands:
                    continue  # the majority gets on, so something else takes that long
                told = f"no majority of the replica set has {database.name}.{name} as it is by now"
                raise LbmigrateError(f"{told}, so it cannot be read: a member is down, or far behind", HINT) from error


def _behind(database: Database[Any]) -> Any:
    """Up to where a majority has what the primary has written; None where it has everything."""
    written = database.client.admin.command("hello").get("lastWrite", {})
    everywhere = written.get("majorityOpTime")
    return None if everywhere == written.get("opTime") else everywhere
