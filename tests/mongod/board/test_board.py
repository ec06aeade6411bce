"""The board through both kinds of client of a server: how many commands it takes, and that pages make up the board."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import uuid

import pytest
from bson import Int64
from pymongo import AsyncMongoClient, MongoClient
from pymongo.monitoring import CommandListener

from lbmigrate import AsyncBoard, Board
from lbmigrate.errors import UsageError
from lbmigrate.schema.layout import ALL, Layout
from tests.apps import config, oid, user

PEOPLE = 400
WEEKS = ["2025-W10", "2025-W11", "global"]


class Commands(CommandListener):
    """The names of the commands that were sent."""

    def __init__(self):
        self.names = []

    def started(self, event):
        self.names.append(event.command_name)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def entry(number, period):
    score = (number * 37) % 100
    return {
        "_id": f"{period}:{oid(number)}", "userId": oid(number), "period": period, "score": Int64(score),
        "optOutSnapshot": number % 5 == 0, "displayNameSnapshot": f"User {number}", "avatarSnapshot": None,
        "streak": 1, "events": Int64(2), "rev": Int64(1),
    }  # fmt: skip


@pytest.fixture
def filled(database):
    """400 people in three periods: each fifth one hidden by the snapshot, each seventh only since then."""
    people = range(1, PEOPLE + 1)
    database["leaderboard_entries"].insert_many([entry(number, period) for period in WEEKS for number in people])
    database["leaderboard_entries"].create_index([("period", 1), ("score", -1), ("userId", -1)])
    database["leaderboard_entries"].create_index([("userId", 1)])
    database["users"].insert_many([user(number, hidden=number % 7 == 0) for number in people])
    return database


@pytest.fixture
def listened(filled, server_uri):
    """The same database through a client whose commands are counted."""
    heard = Commands()
    with MongoClient(server_uri, event_listeners=[heard]) as client:
        client.admin.command("ping")
        heard.names.clear()
        yield client[filled.name], heard


def shown():
    visible = [number for number in range(1, PEOPLE + 1) if number % 5 and number % 7]
    return sorted(visible, key=lambda number: ((number * 37) % 100, oid(number)), reverse=True)


QUESTIONS = {
    "top 1": lambda board: board.top(n=1),
    "top 100": lambda board: board.top(n=100),
    "top all": lambda board: board.top(n=10_000),
    "page": lambda board: board.page(n=50),
    "rank": lambda board: board.rank(oid(3)),
    "around": lambda board: board.around(oid(3), n=5),
    "around far": lambda board: board.around(oid(3), n=500),
    "among": lambda board: board.among([oid(number) for number in range(1, PEOPLE)]),
    "percentile": lambda board: board.percentile(oid(3)),
    "total": lambda board: board.total(),
    "periods": lambda board: board.periods(),
    "history": lambda board: board.history(oid(3)),
    "freshness": lambda board: board.freshness(),
    "about": lambda board: board.about("2025-W10"),
}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_no_question_takes_more_than_three_commands(listened, elsewhere, client):
    database, heard = listened
    users = f"{database.name}_users"
    sources = database.client[users] if elsewhere else None
    if elsewhere:
        client[users]["users"].insert_many(list(database["users"].find()))
        heard.names.clear()
    board = Board(database, config(), sources)
    try:
        most = {"around": 4, "around far": 4} if elsewhere else {}  # own entry, neighbours, users, ranks
        for name, ask in QUESTIONS.items():
            assert ask(board) is not None
            assert len(heard.names) <= most.get(name, 3), (name, heard.names)
            heard.names.clear()
    finally:
        client.drop_database(users)


@pytest.mark.slow
def test_only_a_history_takes_one_more_where_periods_have_collections_of_their_own(listened, client):
    database, heard = listened
    home, layout = client[database.name], Layout(until=ALL)
    for period in WEEKS[:2]:
        home[layout.home(period)].insert_many(list(home["leaderboard_entries"].find({"period": period})))
        home["leaderboard_entries"].delete_many({"period": period})
    home["lbmigrate_state"].insert_one({"_id": "entries", "until": ALL, "moving": False, "order": "userId"})
    board = Board(database, config(layout="partitioned"))
    for name, ask in QUESTIONS.items():
        heard.names.clear()
        assert ask(board) is not None
        assert len(heard.names) <= (4 if name == "history" else 3), (name, heard.names)


def test_many_who_opted_out_at_once_are_read_past(filled):
    best = [oid(number) for number in shown()[:150]]
    filled["users"].update_many({"_id": {"$in": best}}, {"$set": {"hidden": True}})
    board = Board(filled, config())
    assert [place.original for place in board.top(n=10)] == [oid(number) for number in shown()[150:160]]
    middle = oid(shown()[150])
    assert [place.original for place in board.around(middle, n=2)] == [oid(number) for number in shown()[150:153]]


def test_pages_put_together_are_the_board_also_while_it_changes_above(filled):
    board, found, cursor, pages = Board(filled, config()), [], None, 0
    whole = board.top("2025-W10", 10_000)
    while True:
        page = board.page("2025-W10", 17, cursor)
        found += page.places
        pages += 1
        filled["leaderboard_entries"].insert_one(entry(1000 + pages, "2025-W10") | {"score": Int64(10**6)})
        cursor = page.next
        if cursor is None:
            break
    assert [place.user for place in found] == [place.user for place in whole]
    assert [place.rank for place in found] == [
        place.rank + number // 17 for number, place in enumerate(whole)
    ]  # each page counts those above it anew


def test_an_asynchronous_board_gives_the_same_answers(filled, server_uri):
    board = Board(filled, config())

    async def ask_all():
        async with AsyncMongoClient(server_uri) as client:
            other = AsyncBoard(client[filled.name], config())
            first = await other.page(n=20)
            return {
                "top": await other.top(n=20),
                "next": await other.page(n=20, after=first.next),
                "rank": await other.rank(str(oid(3))),
                "around": await other.around(oid(3), n=5),
                "among": await other.among([oid(1), str(oid(2)), oid(5)]),
                "percentile": await other.percentile(oid(3)),
                "total": await other.total(),
                "periods": await other.periods(2),
                "history": await other.history(oid(3)),
                "about": await other.about("2025-W10"),
                "freshness": await other.freshness(),
            }

    assert asyncio.run(ask_all()) == {
        "top": board.top(n=20),
        "next": board.page(n=20, after=board.page(n=20).next),
        "rank": board.rank(str(oid(3))),
        "around": board.around(oid(3), n=5),
        "among": board.among([oid(1), str(oid(2)), oid(5)]),
        "percentile": board.percentile(oid(3)),
        "total": PEOPLE,
        "periods": ["global", "2025-W11"],
        "history": board.history(oid(3)),
        "about": board.about("2025-W10"),
        "freshness": board.freshness(),
    }


def test_each_board_refuses_the_client_of_the_other(filled):
    with pytest.raises(UsageError, match="takes a database of MongoClient") as caught:
        Board(AsyncMongoClient(connect=False)["app"], config())
    assert "AsyncBoard" in caught.value.hint
    with pytest.raises(UsageError, match="takes a database of AsyncMongoClient"):
        AsyncBoard(filled, config())


def test_many_requests_at_once_share_one_board(filled, server_uri):
    async def many():
        async with AsyncMongoClient(server_uri) as client:
            board = AsyncBoard(client[filled.name], config())
            return await asyncio.gather(*(board.top(n=10) for _ in range(8)))

    assert asyncio.run(many()) == [Board(filled, config()).top(n=10)] * 8


def test_a_place_is_plain_json_and_finds_its_user_again(database):
    keys = [oid(1), "anna", Int64(2**40), uuid.UUID(int=5)]
    for number, key in enumerate(keys):
        made = entry(number + 1, "global") | {"_id": f"global:{number}", "userId": key, "optOutSnapshot": False}
        database["leaderboard_entries"].insert_one(made)
    board = Board(database, config())
    places = board.top()
    assert json.loads(json.dumps([dataclasses.asdict(place) for place in places]))[0]["rank"] == 1
    assert {type(place.user) for place in places} == {str}
    for place in places:
        assert board.rank(place) == board.rank(place.user) == board.rank(place.original) == place
