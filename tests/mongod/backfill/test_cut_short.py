"""A first backfill whose reading is cut short between two batches comes to what one without a fault comes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest

from lbmigrate.ledger import raw_reads
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo.client import open_client
from lbmigrate.records import Counts
from lbmigrate.schema import ENTRIES, EVENTS
from tests.apps import TASKS, App, config, oid, task
from tests.mongod.backfill.test_by_shape import OURS, left
from tests.runs import FAILPOINTS, failing, replica_set

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mongod")]
FAULTS: dict[str, Any] = {
    "the cursor died": {"errorCode": 43},
    "the primary stepped down": {"errorCode": 189},
    "the server stops": {"errorCode": 11600},
    "the connection broke": {"closeConnection": True},
}


@pytest.fixture(scope="module")
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An app with so many documents that they come in several batches, where commands can be made to fail."""
    with replica_set(tmp_path_factory.mktemp("frail"), 1, FAILPOINTS) as (node,), open_client(node.uri) as client:
        client["app"]["tasks"].insert_many([task(n, userId=oid(n % 30)) for n in range(120)])
        yield client["app"]


def backfill(database: Any, place: str = "", **fault: Any) -> tuple[Counts, dict[str, Any]]:
    """What a backfill counts and leaves that reads forty documents at a time, and is cut short once at a place."""
    for name in OURS:
        database.drop_collection(name)
    app, read = App(database, config(TASKS, backfill={"chunk_size": 1_000})), raw_reads.read
    faults = [failing(database.client, "getMore", 1, namespace=f"app.{place}", **fault)] if place else []

    def few(collection: Any, condition: Any, projection: Any, size: int, hint: Any = None) -> Any:
        if collection.name == place and faults:  # not before: others look through the collection, too
            until_done.enter_context(faults.pop())
        return read(collection, condition, projection, 40, hint)

    app.apply(STEPS[:2])
    with ExitStack() as until_done, patch.object(raw_reads, "read", few):
        return app.backfill(), left(app)


@pytest.mark.parametrize("place", ["tasks", EVENTS])
@pytest.mark.parametrize("how", FAULTS)
def test_what_is_cut_short_is_read_again_and_counted_once(frail, how, place):
    _, usual = backfill(frail)
    counts, found = backfill(frail, place, **FAULTS[how])
    assert found == usual
    again = 40 if place == "tasks" else 0  # of the batch before the fault: the second attempt finds them there
    assert (counts.read, counts.emitted, counts.duplicates) == (120, 120 - again, again)
    assert frail[ENTRIES].count_documents({"period": "global"}) == 30
