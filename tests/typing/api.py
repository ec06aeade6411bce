"""The types of the public API, as a caller sees them. Nothing here is run: `make lint` checks it with mypy --strict."""

from __future__ import annotations

import datetime as dt
from typing import Any, assert_type

from bson import ObjectId
from pymongo import AsyncMongoClient, MongoClient

import lbmigrate
from lbmigrate import AsyncBoard, Board, Executor, LbmigrateError, ScoreRecorder, commands, flag, load_config
from lbmigrate.board.place import About, Freshness, Page, PastPlace, Place
from lbmigrate.config.model import Config
from lbmigrate.live.flag_cache import Flag
from lbmigrate.records import Counts

assert_type(lbmigrate.__version__, str)


def a_configuration() -> Config:
    return assert_type(load_config("leaderboard.yaml", {"database.name": "app"}, allow_functions=["rules"]), Config)


def a_board(client: MongoClient[dict[str, Any]], config: Config) -> None:
    board = Board(client["app"], config)
    assert_type(board.top("global", 10), list[Place])
    assert_type(board.page(n=100, after=None), Page)
    assert_type(board.page().next, str | None)
    assert_type(board.rank(ObjectId(), "2025-W44", hidden=True), Place | None)
    assert_type(board.around("a user", n=3), list[Place])
    assert_type(board.among([1, 2, 3]), list[Place])
    assert_type(board.percentile("a user"), float | None)
    assert_type(board.total(), int)
    assert_type(board.periods(), list[str])
    assert_type(board.history("a user"), list[PastPlace])
    assert_type(board.about("2025-W44"), About)
    assert_type(board.freshness(), Freshness)
    for place in board.top():
        assert_type(place.rank, int)
        assert_type(place.name, str | None)
        assert_type(place.score, int)


async def an_async_board(client: AsyncMongoClient[dict[str, Any]], config: Config) -> None:
    board = AsyncBoard(client["app"], config)
    assert_type(await board.top(), list[Place])
    assert_type(await board.page(), Page)
    assert_type(await board.rank("a user"), Place | None)
    assert_type(await board.history("a user"), list[PastPlace])


def live_actions(client: MongoClient[dict[str, Any]], config: Config) -> None:
    recorder = ScoreRecorder(client["app"], config)
    assert_type(recorder.record("task_complete", "a user", ObjectId(), at=dt.datetime.now(dt.UTC), points=5), bool)
    assert_type(recorder.record_source("tasks", ObjectId()), bool)
    switches = assert_type(flag(client["app"], config), Flag)
    assert_type(switches.read, bool)


def the_commands(config: Config) -> None:
    assert_type(commands.run(config, to=4, no_backup=True), Counts)
    assert_type(commands.backfill(config), Counts)
    assert_type(commands.plan(config).pending, bool)
    by_processes = commands.Terms(workers=2, executor=Executor.PROCESSES)
    assert_type(commands.reconcile(config, terms=by_processes).reasons, dict[str, int])
    try:
        commands.verify(config)
    except LbmigrateError as error:
        assert_type(error.exit_code, int)
        assert_type(error.hint, str)
        assert_type(error.details, tuple[str, ...])
