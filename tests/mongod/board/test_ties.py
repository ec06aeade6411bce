"""Ranks of those who share a score, wherever competition ranks come from: histograms, Redis, or counting."""

from __future__ import annotations

import pytest

from lbmigrate import Board, ScoreRecorder
from tests.apps import TASKS, App, config, oid, task, user
from tests.lifecycle.board.test_ties import KINDS, by_hand
from tests.mongod.board.test_ranks_in_use import small_and_unhurried  # noqa: F401  fixture

PEOPLE = 12


def migrate(database, terminal, **more):
    """Number n has n // 3 + 1 tasks; then one of the last, and of the first, finishes one more."""
    database["users"].insert_many([user(number) for number in range(1, PEOPLE + 1)])
    numbers = [number for number in range(1, PEOPLE + 1) for _ in range(number // 3 + 1)]
    database["tasks"].insert_many([task(100 + place, userId=oid(who)) for place, who in enumerate(numbers)])
    terminal.configure(TASKS, **more)
    assert terminal("run").code == 0
    recorder = ScoreRecorder(database, config(TASKS, **more), strict=True)
    for number, who in ((1, 1), (2, 9)):
        database["tasks"].insert_one(task(number, userId=oid(who)))
        assert recorder.record_source("tasks", oid(1000 + number))


def assert_counted(app, ties):
    found = app.database["leaderboard_entries"].find({"period": "global"})
    standing = sorted(((entry["score"], entry["userId"]) for entry in found), reverse=True)
    wanted = by_hand([(*each, False) for each in standing], ties)
    board = Board(app.database, app.config)
    assert {who: board.rank(who).rank for who in wanted} == wanted
    assert {place.original: place.rank for place in board.among(list(wanted))} == wanted
    assert {place.original: place.rank for place in board.around(oid(6), n=PEOPLE)} == wanted


@pytest.mark.parametrize("ties", KINDS)
def test_ranks_from_a_histogram_and_what_moved_since_are_those_counted_by_hand(database, terminal, ties):
    migrate(database, terminal)
    assert database["lbmigrate_state"].find_one({"_id": "ranks:global"})
    assert_counted(App(database, config(TASKS, ranking={"ties": ties})), ties)


@pytest.mark.parametrize("ties", KINDS)
def test_ranks_from_redis_are_those_counted_by_hand(database, terminal, valkey, ties):
    migrate(database, terminal, redis={"url": valkey.url})
    assert_counted(App(database, config(TASKS, redis={"url": valkey.url}, ranking={"ties": ties})), ties)
