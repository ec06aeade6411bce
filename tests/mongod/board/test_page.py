"""The page of examples/: every page put together is the board, whoever else asks at the same time."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest
from bson import Int64

from lbmigrate import Board
from tests.apps import config, oid, user

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")

EXAMPLE = Path(__file__).parents[3] / "examples" / "board_page.py"
PEOPLE, CLIENTS = 60, 8


def entry(number):
    return {
        "_id": f"global:{oid(number)}", "userId": oid(number), "period": "global", "score": Int64(number // 3),
        "optOutSnapshot": False, "displayNameSnapshot": None, "avatarSnapshot": None, "streak": 1, "events": Int64(1),
        "rev": Int64(1),
    }  # fmt: skip


@pytest.fixture
def page(database, terminal, monkeypatch):
    people = range(1, PEOPLE + 1)
    database["users"].insert_many([user(number, hidden=number == 7) for number in people])
    database["leaderboard_entries"].insert_many(map(entry, people))
    monkeypatch.setenv("LBMIGRATE_CONFIG", str(terminal.configure()))
    spec = importlib.util.spec_from_file_location("board_page", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


def asked(page, *questions):
    """What a browser of its own gets for each question, all of them at once."""

    async def ask():
        transport = httpx.ASGITransport(page)
        async with (
            page.router.lifespan_context(page),
            httpx.AsyncClient(transport=transport, base_url="http://a") as it,
        ):
            return await asyncio.gather(*(question(it) for question in questions))

    return asyncio.run(ask())


async def every_page(client):
    places, after = [], {}
    while True:
        found = (await client.get("/board", params={"n": 7, **after})).json()
        places += [(place["rank"], place["user"], place["score"]) for place in found["places"]]
        if found["next"] is None:
            return places
        after = {"after": found["next"]}


def test_eight_clients_at_once_each_put_the_whole_board_together(page, database):
    board = [(place.rank, place.user, place.score) for place in Board(database, config()).top(n=PEOPLE)]
    assert len(board) == PEOPLE - 1
    assert asked(page, *[every_page] * CLIENTS) == [board] * CLIENTS


def test_a_page_shows_whoever_is_hidden_to_themselves_and_answers_400_to_what_cannot_be_asked(page):
    async def hidden(client):
        return (await client.get("/me", params={"user": str(oid(7))})).json()

    async def edited(client):
        return await client.get("/board", params={"after": "Zm9v"})

    own, refused = asked(page, hidden, edited)
    assert own["place"]["user"] == str(oid(7))
    assert own["around"] == []
    assert refused.status_code == 400
    assert "no cursor" in refused.json()["error"]
