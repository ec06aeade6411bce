"""A first backfill on a real server, where documents of one shape go together, against the same one by one."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import bson
import pytest
import yaml
from bson import Decimal128, Int64, json_util
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pymongo.errors import PyMongoError

from lbmigrate.config.model import Config
from lbmigrate.errors import Refused
from lbmigrate.ledger import by_shape, first_entries, rollup
from lbmigrate.ledger.events import insert
from lbmigrate.ledger.sources import CODECS
from lbmigrate.migration.steps import STEPS
from lbmigrate.records import Document
from lbmigrate.run.context import Scope
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from lbmigrate.state import COLLECTION
from lbmigrate.values import shapes
from tests.apps import TASKS, WRITING_TIMES, App, config, oid, task, user
from tests.mock.ledger.test_by_shape import SIMPLE, WEIGHED, documents

HISTORY = Path(__file__).parents[4] / "shared" / "data" / "history"
OURS = (EVENTS, ENTRIES, REJECTS, COLLECTION)

pytestmark = pytest.mark.usefixtures("mongod")


@pytest.fixture(autouse=True)
def fewer() -> Iterator[None]:
    """So many documents are many."""
    with patch.object(shapes, "FEWEST", 24):
        yield


@contextmanager
def one_by_one() -> Iterator[None]:
    usual = {"applies": lambda *_: False}, {"first_entries": lambda *_: None, "_first_days": rollup.days}
    with patch.multiple(by_shape, **usual[0]), patch.multiple(rollup, **usual[1]):
        yield


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many events of each batch went together."""
    numbers: list[int] = []
    made = by_shape.finished

    def finished(*args: Any) -> Any:
        found = made(*args)
        numbers.append(len(found or ()))
        return found

    with patch.object(by_shape, "finished", finished):
        yield numbers


def left(app: App) -> dict[str, Any]:
    """What a backfill leaves: events byte for byte, entries and rejects without what tells of the writing."""
    raw = app.database[EVENTS].with_options(codec_options=bson.CodecOptions(RawBSONDocument))
    entries = {name: {k: v for k, v in each.items() if k not in WRITING_TIMES} for name, each in app.entries().items()}
    rejects = {row["_id"]: (repr(row["sourceId"]), row["reason"]) for row in app.database[REJECTS].find()}
    return {"events": sorted(bytes(each.raw) for each in raw.find()), "entries": entries, "rejects": rejects}


def done(app: App) -> tuple[Any, dict[str, Any]]:
    """What a backfill counted and left, or why it was refused."""
    try:
        return app.backfill(), left(app)
    except Refused as refused:
        return str(refused), {}


def both_ways(database: Any, rules: Config, before: Any = lambda app: None) -> tuple[dict[str, Any], list[int]]:
    """What is left by shape, after the same was left one by one; and how many events went together."""
    found = []
    with counted() as together:
        for way in (one_by_one, nullcontext):
            for name in OURS:
                database.drop_collection(name)
            app = App(database, rules)
            app.apply(STEPS[:2])
            before(app)
            with way():
                found.append(done(app))
    assert found[0] == found[1]
    return found[1][1], together


def test_what_is_there_already_and_what_the_server_refuses_are_accounted_for_as_one_by_one(database):
    """Some events are there, one of them of another source, and the validator refuses one more."""
    database["users"].insert_many([user(1), user(2)])
    some = [task(n, owner=1 + n % 2, priority=("low", "high", "medium")[n % 3]) for n in range(90)]
    odd = [task(90, completedAt="2025-01-01T00:00:00Z"), task(91, userId=None), task(92, userId="a text")]
    database["tasks"].insert_many([*some, *odd])

    def before(app: App) -> None:
        theirs = {
            "userId": oid(1),
            "actionType": "task_complete",
            "points": Int64(10),
            "createdAt": some[3]["completedAt"],
        }
        for number, source in ((3, some[3]["_id"]), (4, str(some[4]["_id"])), (5, some[5]["_id"])):
            name = {"_id": f"task_complete:{some[number]['_id']}", "sourceId": source}
            insert(app.database[EVENTS], [{**name, **theirs, "meta": {"origin": "live"}}])
        database.command("collMod", EVENTS, validator={"sourceId": {"$ne": some[7]["_id"]}})

    found, together = both_ways(database, config(TASKS, backfill={"chunk_size": 1_000}), before)
    assert together == [90]
    assert len(found["events"]) == 90 + 1 - 1
    assert len(found["rejects"]) == 3


def test_entries_that_somebody_else_writes_meanwhile_are_looked_at_again(database):
    owners = [*map(oid, range(40))]
    database["tasks"].insert_many([task(n, userId=owners[n % 40]) for n in range(120)])
    app = App(database, config(TASKS, backfill={"chunk_size": 1_000}))
    app.apply(STEPS[:2])
    made, others = first_entries.first_entries, [{"$in": owners[:3]}]

    def faster(context: Any, *args: Any) -> Any:
        if others:
            rollup.roll_up(context, others.pop())
        return made(context, *args)

    with patch.object(rollup, "first_entries", faster):
        app.backfill()
    entries = app.entries()
    assert sum(entry["events"] for entry in entries.values() if entry["period"] == "global") == 120
    assert {entry["rev"] for entry in entries.values()} == {1}
    again = App(database, app.config)
    again.backfill(scope=Scope(full=True))
    assert again.entries() == entries, "nothing was wrong"


def test_a_later_pass_goes_one_by_one(database):
    database["tasks"].insert_many([task(n) for n in range(60)])
    app = App(database, config(TASKS, backfill={"chunk_size": 1_000}))
    with counted() as together:
        app.apply(STEPS[:4])
        database["tasks"].insert_many([task(n) for n in range(60, 120)])
        app.backfill()
    assert together == [60]
    assert len(app.events()) == 120


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("rules", [WEIGHED, SIMPLE], ids=["weighed", "simple"])
def test_random_databases_full_of_odd_data_end_alike(database, rules):
    many = settings(max_examples=100, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))

    @many
    @given(st.lists(documents, min_size=5, max_size=40, unique_by=lambda each: repr(each["_id"])))
    def check(some: list[Document]) -> None:
        database.drop_collection("tasks")
        tasks = database["tasks"].with_options(codec_options=CODECS)
        for each in some:
            with suppress(PyMongoError, BSONError):  # what no server takes is in no database
                tasks.insert_one(each)
        both_ways(database, config(rules, backfill={"chunk_size": 25, "failing_share": 1.0}))

    with patch.object(shapes, "FEWEST", 2), patch.object(first_entries, "FEWEST", 1):
        check()


@pytest.mark.slow
@pytest.mark.skipif(not (HISTORY / "expected.json").is_file(), reason=f"the data of this test is not here: {HISTORY}")
def test_real_history_ends_alike(database):
    for name in ("users", "tasks", "sessions"):
        with gzip.open(HISTORY / f"{name}.ndjson.gz", "rt") as lines:
            database[name].insert_many([json_util.loads(line) for line in lines], ordered=False)
    written = yaml.safe_load((HISTORY / "leaderboard.yaml").read_text())
    rules = config(*written["sources"], users=written["users"], backfill={"chunk_size": 10_000})
    found, together = both_ways(database, rules)
    assert len(found["events"]) == 70_609
    assert sum(together) > 0.9 * 70_609


def test_numbers_texts_and_objects_as_ids_are_named_alike(database):
    database["users"].insert_many([{"_id": number, "name": f"User {number}"} for number in range(3)])
    ids = [*range(95, 140), *(Int64(2**40 + n) for n in range(40)), *(f"t{n:03}" for n in range(40)), "{x", 1.5, oid(7)]
    ids += [Decimal128("3.5"), "ä" * 3, *(oid(100 + n) for n in range(40))]
    database["tasks"].insert_many([task(n, _id=name, userId=n % 3) for n, name in enumerate(ids)])
    found, together = both_ways(database, config(TASKS, backfill={"chunk_size": 1_000}))
    assert len(found["events"]) == len(ids)
    assert sum(together) == 166
