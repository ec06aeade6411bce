"""A source of a sharded cluster is read on all its shards at once, and whatever its ids are, in even chunks.

There is no `mongos` among the packages that can be installed: the catalogue of a cluster is written into a plain server
here, as a `mongos` shows it.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from itertools import pairwise, product
from statistics import mean
from typing import Any

import pytest
from bson import Binary, Int64, MinKey, ObjectId
from pymongo.errors import OperationFailure

from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.mongo import shards
from lbmigrate.passes import passes
from lbmigrate.passes.passes import open_pass
from tests.apps import App, config, picture, stopped_after, task, user

pytestmark = pytest.mark.usefixtures("mongod")
SIZE, MANY = 6, 200
RNG = random.Random(16)


def object_ids(number: int) -> list[Any]:
    """As an app makes them: some in one second, then none for days."""
    seconds = sorted(RNG.choice([1_700_000_000, 1_700_000_001, 1_750_000_000]) + each % 7 for each in range(number))
    return [ObjectId(f"{second:08x}{each:016x}") for each, second in enumerate(seconds)]


IDS = {
    "ObjectIds": object_ids,
    "random UUIDs": lambda number: [uuid.UUID(int=RNG.getrandbits(128)) for _ in range(number)],
    "old UUIDs": lambda number: [Binary(RNG.randbytes(16), 3) for _ in range(number)],
    "texts that begin alike": lambda number: [f"user-{each**3:08d}/task" for each in range(number)],
    "numbers far apart": lambda number: [Int64(each**7) if each % 3 else float(each**9) for each in range(number)],
    "hashes": lambda number: [Int64(RNG.getrandbits(63) - 2**62) for _ in range(number)],
    "documents": lambda number: [{"tenant": f"t{each * each // number}", "n": each} for each in range(number)],
    "documents of one tenant": lambda number: [{"t": "big" if each % 9 else "b", "n": each} for each in range(number)],
    "most of one type": lambda number: [*object_ids(number - 4), "a", 1, {"a": 1}, dt.datetime(2025, 1, 1)],
}  # fmt: skip
kinds = pytest.mark.parametrize("kind", IDS)


@pytest.fixture(autouse=True)
def seeded(request: pytest.FixtureRequest) -> None:
    """The same ids for a test, whichever others ran before."""
    RNG.seed(request.node.name)


class Cluster:
    """A database that a `mongos` seems to be in front of."""

    def __init__(self, database: Any) -> None:
        self.database, self.config = database, database.client["config"]

    def shard(self, borders: list[Any], number: int, key: dict[str, Any] | None = None, **more: Any) -> None:
        """Have the tasks sharded, their ranges handed to so many shards in turn."""
        name = f"{self.database.name}.tasks"
        row = {"_id": name, "key": key or {"_id": 1}, "uuid": uuid.uuid4(), **more}
        self.config["collections"].insert_one(row)
        bounds = [{"_id": each} for each in (MinKey(), *borders)]
        chunks = [
            {"_id": ObjectId(), "uuid": row["uuid"], "min": low, "shard": f"s{place * number // len(bounds)}"}
            for place, low in enumerate(bounds)
        ]
        RNG.shuffle(chunks)
        self.config["chunks"].insert_many(chunks)

    def clear(self) -> None:
        for name in ("collections", "chunks"):
            self.config[name].drop()


@pytest.fixture
def cluster(database, monkeypatch):
    monkeypatch.setattr(shards, "is_router", lambda database: True)
    found = Cluster(database)
    yield found
    found.clear()


def app_with(database: Any, ids: list[Any]) -> App:
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number, _id=each) for number, each in enumerate(RNG.sample(ids, len(ids)))])
    app = App(database, config(backfill={"chunk_size": SIZE, "workers": 1}))
    app.apply(STEPS[:3])
    return app


def claimed(app: App) -> list[list[Any]]:
    """The ids of each chunk, in the order in which chunks are claimed."""
    context, source = app.context(), app.config.sources[0]
    current, opened = open_pass(context, source)
    if opened:
        context.state.save(opened)
    found = passes.todo(context, source, current, lambda: SIZE)
    rows = app.database["tasks"]
    return [[row["_id"] for row in rows.find(each.bounds.condition(), {"_id": 1})] for each in found]


def in_order(database: Any) -> list[Any]:
    return [row["_id"] for row in database["tasks"].find({}, {"_id": 1}).sort("_id", 1)]


def shards_of(database: Any, chunks: list[list[Any]], number: int) -> list[set[int]]:
    """On which of so many shards, which have a part of the range each, the documents of each chunk are."""
    places = {repr(each): place for place, each in enumerate(in_order(database))}
    return [{places[repr(each)] * number // len(places) for each in chunk} for chunk in chunks]


def is_whole(database: Any, chunks: list[list[Any]]) -> bool:
    """Whether each document is in one chunk."""
    return sorted(repr(each) for chunk in chunks for each in chunk) == sorted(map(repr, in_order(database)))


@kinds
def test_chunks_are_claimed_from_all_shards_in_turns(database, cluster, kind):
    app = app_with(database, IDS[kind](MANY))
    ids = in_order(database)
    cluster.shard([ids[place] for place in range(MANY // 20, MANY, MANY // 20)], 4)
    chunks = claimed(app)
    assert is_whole(database, chunks)
    where = shards_of(database, [chunk for chunk in chunks if len(chunk) == SIZE][:16], 4)
    assert {len(each) for each in where} == {1}
    assert all(len(set.union(*where[at : at + 4])) >= 3 for at in range(0, 16, 4))


def is_usual(name: Any) -> bool:
    return isinstance(name, ObjectId)


@pytest.mark.slow
@kinds
def test_chunks_are_even_whatever_the_ids_and_wherever_they_are(database, cluster, kind):
    app = app_with(database, IDS[kind](MANY))
    ids = in_order(database)
    cluster.shard([ids[place] for place in sorted(RNG.sample(range(1, MANY - 10), MANY // 5))], 7)
    chunks = claimed(app)
    assert is_whole(database, chunks)
    sizes = [len(chunk) for chunk in chunks if kind != "most of one type" or len(chunk) > 1 or is_usual(chunk[0])]
    assert max(sizes) == SIZE
    assert max(sizes) <= 2 * mean(sizes)


@pytest.mark.parametrize("placed", ["by another field", "in the dark"])
def test_where_nobody_says_where_ids_are_any_few_chunks_are_far_apart(database, cluster, placed, monkeypatch):
    app = app_with(database, object_ids(MANY))
    if placed == "by another field":
        cluster.shard([], 1, {"createdAt": 1})
    else:

        def forbidden(*_: Any) -> None:
            raise OperationFailure("not authorized on config", 13)

        monkeypatch.setattr(shards, "_known", forbidden)
        monkeypatch.setattr(shards, "_is_spread", lambda collection: True)
    chunks = claimed(app)
    assert is_whole(database, chunks)
    sizes = [len(chunk) for chunk in chunks]
    assert max(sizes) <= 2 * mean(sizes)
    where = shards_of(database, chunks[:16], 4)
    assert all(len(set.union(*where[at : at + 4])) >= 3 for at in range(0, 16, 4))


@pytest.mark.slow
@pytest.mark.parametrize("placed", ["by a hash", "unsharded", "dropped", "on one shard", "in little"])
def test_where_no_part_is_on_a_shard_of_its_own_chunks_follow_each_other(database, cluster, placed):
    app = app_with(database, list(range(200) if placed != "in little" else range(35)))
    if placed == "by a hash":
        cluster.shard([], 1, {"_id": "hashed"})
    elif placed == "dropped":
        cluster.shard([50, 100], 2, dropped=True)
    elif placed != "unsharded":
        cluster.shard([50, 100], 1 if placed == "on one shard" else 3)
    chunks = claimed(app)
    assert is_whole(database, chunks)
    assert all(one[0] < two[0] for one, two in pairwise(chunks))


@pytest.mark.parametrize(("stop", "saved"), list(product([1, 5, 18], [True, False])))
def test_a_run_that_is_stopped_or_killed_amid_its_parts_goes_on_and_ends_equal(database, cluster, stop, saved):
    ids = IDS["documents"](200)
    app = app_with(database, ids)
    ordered = in_order(database)
    cluster.shard([ordered[place] for place in (40, 80, 120, 160)], 5)
    stopped_after(STEPS[3], app.context(), stop, saved=saved)
    rows = {row["_id"]: row for row in app.chunks()}
    assert app.state.watermark("tasks").get("value") is None
    counts = app.backfill()
    assert len(app.events()) == 200
    assert app.entries()[f"global:{user(1)['_id']}"]["score"] == 2_000
    done = [row for row in app.chunks() if row["status"] == "rolled"]
    assert sum(row["counts"]["read"] for row in done) == 200
    assert counts.read == 200 - sum(row["counts"]["read"] for row in rows.values() if row["status"] == "emitted")
    before = picture(database, times=False)
    assert app.backfill().emitted == 0
    assert picture(database, times=False)["score_events"] == before["score_events"]


@pytest.mark.slow
def test_a_limit_on_documents_leaves_a_pass_that_says_how_far_it_is(database, cluster):
    app = app_with(database, list(range(200)))
    cluster.shard([50, 100, 150], 4)
    stopped_after(s4_backfill, app.context(), 9, saved=True)
    source = app.config.sources[0]
    kept = passes.unfinished(app.context(), source)
    assert kept["documents"] == 200
    read = app.state.read_in_pass("tasks", kept["number"])
    assert 0 < read < 200
    assert app.backfill().read == 200 - read
    assert app.state.watermark("tasks")["ends"] == [199]
