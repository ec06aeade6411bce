"""Real history: whatever a page asks, Redis and MongoDB say the same, for everybody, in every period."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lbmigrate import Board, commands
from lbmigrate.config.model import Config
from lbmigrate.values import extjson
from tests.runs import by_hand

HISTORY = Path(__file__).parents[4] / "shared" / "data" / "history"
MOST_AROUND = 40  # users of a period whose neighbours are asked for too

pytestmark = [
    pytest.mark.slow,
    by_hand,
    pytest.mark.skipif(not (HISTORY / "leaderboard.yaml").is_file(), reason=f"the data is not here: {HISTORY}"),
]


@pytest.fixture
def config(database, server_uri, valkey):
    read = yaml.safe_load((HISTORY / "leaderboard.yaml").read_text())
    read |= {"database": {"uri": server_uri, "name": database.name}, "redis": {"url": valkey.url}}
    read["backfill"] = {"target": None}
    made = Config.model_validate(read)
    extjson.load(HISTORY, database, made.collections)
    commands.run(made, no_backup=True)
    return made


@pytest.mark.timeout(3600)
def test_redis_and_mongodb_agree_for_every_user_in_every_period(database, config, valkey):
    plain = config.model_copy(update={"redis": config.redis.model_copy(update={"url": None})})
    quick, slow = Board(database, config), Board(database, plain)
    periods = database["leaderboard_entries"].distinct("period")
    for period in periods:
        board = whole(slow, period)
        assert whole(quick, period) == board == quick.top(period, len(board) + 1)
        users = [place.user for place in board]
        listed = [member for member, _ in valkey.client.zrevrange(f"lb:{period}", 0, -1, withscores=True)]
        assert [member for member in listed if not member.startswith("~")] == users
        for start in range(0, len(users), 1000):
            assert quick.among(users[start : start + 1000], period) == board[start : start + 1000]
        for place in board[:: max(1, len(board) // MOST_AROUND)]:
            assert quick.rank(place, period) == slow.rank(place, period) == place
            assert quick.around(place, period) == slow.around(place, period)
    assert commands.check_boards(config) == len(periods)


def whole(board, period):
    """Every page, put together."""
    places, after = [], None
    while True:
        page = board.page(period, 97, after)
        places += page.places
        if page.next is None:
            return places
        after = page.next
