"""Who shares a score: the rank is the same wherever the board is asked, and what somebody would count by hand."""

from __future__ import annotations

import random

import pytest
from bson import Int64

from lbmigrate.board.board import Board
from tests.apps import USERS, config, oid

WEEK = "2025-W10"
KINDS = ("competition", "dense", "ordinal")


def fill(database, rng, number, hidden_share=0.3):
    """Users with few different scores, some of them hidden, in two periods; (score, user, hidden), best first."""
    board = [(rng.randrange(-2, 3), oid(each), rng.random() < hidden_share) for each in range(1, number + 1)]
    entries = [
        {
            "_id": f"{period}:{who}", "userId": who, "period": period, "score": Int64(score), "optOutSnapshot": hidden,
            "displayNameSnapshot": "somebody", "avatarSnapshot": None, "streak": 1, "events": Int64(1), "rev": Int64(1),
        }
        for period in (WEEK, "global") for score, who, hidden in board
    ]  # fmt: skip
    rng.shuffle(entries)
    database["leaderboard_entries"].create_index([("period", 1), ("score", -1), ("userId", -1)])
    database["leaderboard_entries"].insert_many(entries)
    database["users"].insert_many([{"_id": who, "name": "somebody", "hidden": hidden} for _, who, hidden in board])
    return sorted(board, reverse=True)


def by_hand(board, ties):
    """The rank of every user, counted one by one."""
    scores = [score for score, _, _ in board]
    count = {
        "competition": lambda place: sum(score > scores[place] for score in scores),
        "dense": lambda place: len({score for score in scores if score > scores[place]}),
        "ordinal": lambda place: place,
    }[ties]
    return {who: 1 + count(place) for place, (_, who, _) in enumerate(board)}


def pages(board, n):
    found, cursor = [], None
    while True:
        page = board.page(WEEK, n, cursor)
        found += page.places
        if (cursor := page.next) is None:
            return found


@pytest.mark.parametrize("ties", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_every_question_gives_the_ranks_that_are_counted_by_hand(database, ties, seed):
    rng = random.Random(seed)
    standing = fill(database, rng, 40)
    board = Board(database, config(users=USERS, ranking={"ties": ties}))
    ranks = by_hand(standing, ties)
    seen = {who: rank for (_, who, hidden), rank in zip(standing, ranks.values(), strict=True) if not hidden}
    told = {"top": board.top(WEEK, 100), "pages": pages(board, 3), "among": board.among(list(ranks), WEEK)}
    assert {name: {place.original: place.rank for place in places} for name, places in told.items()} == dict.fromkeys(
        told, seen
    )
    assert [place.original for place in told["pages"]] == list(seen)
    for who in seen:
        assert board.rank(who, WEEK).rank == ranks[who]
        assert {place.original: place.rank for place in board.around(who, WEEK, 2)}.items() <= seen.items()
        assert {place.period: place.rank for place in board.history(who)} == {WEEK: ranks[who], "global": ranks[who]}


@pytest.mark.parametrize("ties", KINDS)
def test_another_kind_is_in_force_at_once_and_writes_nothing(database, ties):
    standing = fill(database, random.Random(9), 12, hidden_share=0)
    before = list(database["leaderboard_entries"].find())
    places = Board(database, config(users=USERS, ranking={"ties": ties})).top(WEEK, 12)
    assert {place.original: place.rank for place in places} == by_hand(standing, ties)
    assert list(database["leaderboard_entries"].find()) == before
