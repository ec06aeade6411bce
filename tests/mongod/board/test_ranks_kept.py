"""Whatever happens to a leaderboard, and wherever it is killed, ranks are those that a plain count finds."""

from __future__ import annotations

import traceback
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.collection import Collection
from pymongo.database import Database

from lbmigrate import Board, ScoreRecorder
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.live import settling
from lbmigrate.migration.steps import STEPS, s1_create_collections
from lbmigrate.run.context import Scope
from tests.apps import TASKS, USERS, App, config, oid, task, user
from tests.mongod.board.test_ranks_in_use import PERIODS, entries, moved, small_and_unhurried  # noqa: F401  fixture
from tests.runs import PATIENCE

PEOPLE = range(1, 9)
WRITES = {
    Collection: [
        *("insert_one", "insert_many", "update_one", "update_many", "replace_one", "find_one_and_update"),
        *("delete_one", "delete_many", "bulk_write"),
    ],
    Database: ["create_collection", "drop_collection"],
}
EXAMPLES = settings.default.max_examples // 3  # each is long


class Killed(BaseException):
    """What SIGKILL is: nothing catches it, and nothing is written after it."""


class Life:
    """Lets so many writes through, of the next one a half if it has several parts, and none after it."""

    left: int | None = None

    def write(self, do, first, *more, **how):
        if self.left is not None:
            self.left -= 1
            if self.left == -1 and isinstance(first, list) and len(first) > 1:
                do(first[: len(first) // 2], *more, **how)
            if self.left < 0:
                raise Killed
        return do(first, *more, **how)

    def lives_through(self, act, writes):
        """Whether so many writes are enough for an act."""
        self.left = writes
        try:
            act()
        except Killed as killed:
            traceback.clear_frames(killed.__traceback__)
            return False
        finally:
            self.left = None
        return True


@pytest.fixture
def life(monkeypatch):
    life = Life()

    def mortal(kind, name):
        original = getattr(kind, name)
        monkeypatch.setattr(
            kind, name, lambda self, *given, **how: life.write(lambda *a, **k: original(self, *a, **k), *given, **how)
        )

    for kind, names in WRITES.items():
        for name in names:
            mortal(kind, name)
    monkeypatch.setattr(settling, "EVERY", 1)
    monkeypatch.setattr(settling, "MOST_MOVED", 2)
    return life


class World:
    """An app, its operator and its people."""

    def __init__(self, database, life, layout):
        self.life, self.number, self.clock = life, 0, App(database).clock
        self.database, self.layout = database, layout
        for name in ("users", "tasks"):
            database[name].create_index("updatedAt")
        database["users"].insert_many([user(who, updatedAt=self.clock()) for who in PEOPLE])
        for who in PEOPLE:
            for _ in range(who // 2):
                self.finish(who, 20 * who)
        self.app.apply(STEPS[:4])

    @property
    def app(self):
        chosen = config(TASKS, users=USERS | {"updated": "updatedAt"}, layout=self.layout, backfill={"lag": "1d"})
        return App(self.database, chosen, clock=self.clock)

    def finish(self, who, hours):
        self.number += 1
        done = task(self.number, who, hours=hours, updatedAt=self.clock())
        self.database["tasks"].insert_one(done)
        return done

    def undo_a_task(self, number):
        at = self.clock()
        self.database["tasks"].update_one(
            {"_id": oid(1000 + 1 + number % self.number)}, {"$set": {"status": "todo", "updatedAt": at}}
        )

    def hide(self, who, hides):
        self.database["users"].update_one({"_id": oid(who)}, {"$set": {"hidden": hides, "updatedAt": self.clock()}})

    def record(self, who, hours, writes):
        done, app = self.finish(who, hours), self.app
        recorder = ScoreRecorder(self.database, app.config, strict=True, budget=PATIENCE, clock=self.clock)
        at = done["completedAt"]
        self.life.lives_through(lambda: recorder.record("task_complete", oid(who), done["_id"], at=at), writes)

    def backfill(self, writes):
        return self.life.lives_through(self.app.backfill, writes)

    def backfill_in_full(self, writes):
        app = self.app
        scope = Scope(full=True)
        self.life.lives_through(lambda: app.backfill(scope=scope), writes)

    def reconcile(self, writes):
        self.life.lives_through(self.app.reconcile, writes)

    def forget(self, who, writes):
        self.life.lives_through(lambda: self.app.forget(str(oid(who))), writes)

    def move(self, writes):
        self.layout = "single" if self.layout == "partitioned" else "partitioned"
        self.life.lives_through(lambda: self.app.apply([s1_create_collections]), writes)

    def roll_back(self, writes):
        """And go up again, since without a board there are no ranks."""
        if not self.life.lives_through(lambda: self.app.revert(STEPS[:4]), writes):
            self.check()
            self.app.revert(STEPS[:4])
        self.check()
        self.app.apply(STEPS[:4])

    def check(self):
        board, users = Board(self.database, self.app.config), [oid(who) for who in PEOPLE]
        for period in PERIODS:
            scores = [entry["score"] for entry in entries(self.app, period).find({"period": period})]
            for place in board.among(users, period):
                assert place.rank == 1 + sum(score > place.score for score in scores), (period, place)


people, hours, writes = st.sampled_from(PEOPLE), st.integers(0, 250), st.one_of(st.none(), st.integers(0, 45))
DEEDS = st.one_of(
    st.tuples(st.just("record"), people, hours, writes),
    st.tuples(st.just("finish"), people, hours),
    st.tuples(st.just("undo_a_task"), st.integers(0, 30)),
    st.tuples(st.just("hide"), people, st.booleans()),
    st.tuples(st.just("backfill"), writes),
    st.tuples(st.just("backfill_in_full"), writes),
    st.tuples(st.just("reconcile"), writes),
    st.tuples(st.just("forget"), people, writes),
    st.tuples(st.just("move"), writes),
    st.tuples(st.just("roll_back"), writes),
)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=st.sampled_from(["single", "partitioned"]), deeds=st.lists(DEEDS, min_size=4, max_size=12))
def test_ranks_are_those_of_a_plain_count_after_every_deed_finished_or_killed(client, life, layout, deeds):
    database = client[f"test_{uuid.uuid4().hex[:12]}"]
    world = World(database, life, layout)
    world.check()
    for deed, *given_to in deeds:
        getattr(world, deed)(*given_to)
        world.check()
    world.app.apply(STEPS[:4])
    with_entries = {period for period in PERIODS if entries(world.app, period).find_one({"period": period})}
    assert Histograms(world.app.context()).periods() & {*PERIODS} == with_entries
    assert moved(world.app) == 0
    world.check()
    client.drop_database(database.name)
