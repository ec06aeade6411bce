"""Who reached a score first stands first: on its index, for an asynchronous app, and with ranks from Redis."""

from __future__ import annotations

import asyncio
import random

import pytest
from pymongo import AsyncMongoClient

from lbmigrate import AsyncBoard, Board
from lbmigrate.board.commands import commands
from lbmigrate.migration.steps import STEPS
from lbmigrate.schema import ENTRIES_BY_MOMENT
from lbmigrate.verify.structure import _stages
from tests.apps import TASKS, App, config, oid, task, user

PEOPLE = 40
WAYS = ("earliest", "latest")


def migrated(database, order, **parts):
    rng = random.Random(3)
    database["users"].insert_many([user(number) for number in range(1, PEOPLE + 1)])
    database["tasks"].insert_many([task(n, owner=1 + n % PEOPLE, hours=rng.randrange(99)) for n in range(2 * PEOPLE)])
    app = App(database, config(TASKS, ranking={"ties": "ordinal", "order": ["score", order]}, **parts))
    app.apply(STEPS[:4])
    return app


def standing(database, order):
    way = {"earliest": 1, "latest": -1}[order]
    found = sorted(database["leaderboard_entries"].find({"period": "global"}), key=lambda e: e["userId"], reverse=True)
    return [e["userId"] for e in sorted(found, key=lambda e: (-e["score"], way * e["reachedAt"].timestamp()))]


def asked_of(board, monkeypatch):
    """Every aggregation of entries that a board sends."""
    seen = []
    read = type(board)._read

    def noted(self, asks):
        seen.extend(command for command in commands(asks, self._homes) if "leaderboard" in command.home.name)
        return read(self, asks)

    monkeypatch.setattr(type(board), "_read", noted)
    return seen


@pytest.mark.parametrize("order", WAYS)
def test_a_page_and_what_is_around_a_user_are_read_in_the_order_of_the_index(database, monkeypatch, order):
    board = Board(database, migrated(database, order).config)
    seen = asked_of(board, monkeypatch)
    middle = board.page(n=PEOPLE // 2)
    board.page(n=5, after=middle.next)
    board.around(middle.places[-1].original, n=3)
    sorting = [command for command in seen if any("$sort" in stage for stage in command.stages)]
    assert len(sorting) >= 3
    for command in sorting:
        stages = command.stages[: 1 + next(n for n, stage in enumerate(command.stages) if "$limit" in stage)]
        plan = database.command(
            "explain", {"aggregate": command.home.name, "pipeline": stages, "cursor": {}}, verbosity="queryPlanner"
        )
        told = set(_stages(plan["queryPlanner"]["winningPlan"]))
        assert "IXSCAN" in told
        assert not told & {"SORT", "COLLSCAN"}
        assert ENTRIES_BY_MOMENT[order].name in str(plan)


@pytest.mark.slow
def test_an_asynchronous_board_stands_as_the_other_one(database, server_uri):
    app = migrated(database, "earliest")
    wanted = standing(database, "earliest")

    async def ask():
        async with AsyncMongoClient(server_uri) as client:
            board = AsyncBoard(client[database.name], app.config)
            first = await board.page(n=PEOPLE // 3)
            rest = await board.page(n=PEOPLE, after=first.next)
            return [*first.places, *rest.places], await board.rank(wanted[7])

    places, own = asyncio.run(ask())
    assert [place.original for place in places] == wanted
    assert [place.rank for place in places] == list(range(1, PEOPLE + 1))
    assert own.rank == 8


@pytest.mark.slow
@pytest.mark.parametrize("order", WAYS)
def test_ranks_from_redis_are_those_of_the_order(database, valkey, order):
    app = migrated(database, order, redis={"url": valkey.url})
    wanted, board = standing(database, order), Board(database, app.config)
    assert [place.original for place in board.top(n=PEOPLE)] == wanted
    assert {who: board.rank(who).rank for who in wanted} == {who: place for place, who in enumerate(wanted, start=1)}
    assert [place.original for place in board.around(oid(7), n=PEOPLE)] == wanted
