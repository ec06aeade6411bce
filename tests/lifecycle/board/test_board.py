"""The board as the app reads it."""

from __future__ import annotations

import random
import re
import uuid

import pytest
from bson import Binary, Int64, Regex
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate.board import board
from lbmigrate.board.board import Board
from lbmigrate.errors import UsageError
from lbmigrate.mongo import fake
from tests.apps import config, oid, user

WEEK = "2025-W10"
players = st.lists(
    st.tuples(st.integers(-3, 3), st.sampled_from(["seen", "hidden", "hidden since", "shown since", "deleted"])),
    min_size=1,
    max_size=12,
)


def fill(database, standings, period=WEEK):
    """One user for each (score, standing). Standings: by the snapshot, or by the user's own document since."""
    entries, users = [], []
    for number, (score, standing) in enumerate(standings, start=1):
        entries.append(
            {
                "_id": f"{period}:{oid(number)}",
                "userId": oid(number),
                "period": period,
                "score": Int64(score),
                "optOutSnapshot": standing in ("hidden", "shown since"),
                "displayNameSnapshot": f"User {number}",
                "avatarSnapshot": None,
                "streak": 1,
                "events": Int64(1),
                "rev": Int64(1),
            }
        )
        if standing != "deleted":
            users.append(user(number, hidden=standing in ("hidden", "hidden since")))
    random.Random(1).shuffle(entries)
    database["leaderboard_entries"].insert_many(entries)
    if users:
        database["users"].insert_many(users)


def naive(standings):
    """(user, rank) of everyone to be seen, best first: by score, then by id, both descending."""
    numbered = sorted(((score, number) for number, (score, _) in enumerate(standings, start=1)), reverse=True)
    scores = [score for score, _ in numbered]
    visible = [(score, n) for score, n in numbered if standings[n - 1][1] in ("seen", "deleted")]
    return [(oid(number), 1 + sum(other > score for other in scores)) for score, number in visible]


def told(places):
    return [(place.user, place.rank) for place in places]


@settings(max_examples=60)
@given(standings=players, n=st.integers(1, 6), page=st.integers(1, 4))
def test_top_rank_and_neighbours_agree_with_a_plain_sort(standings, n, page):
    with fake.client() as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(board, "PAGE", page)
        fill(client["app"], standings)
        shown, wanted = Board(client["app"], config()), naive(standings)
        assert told(shown.top(WEEK, n)) == wanted[:n]
        ranks = dict(wanted)
        for number in range(1, len(standings) + 1):
            place = shown.rank(str(oid(number)), WEEK)
            assert (place.rank if place else None) == ranks.get(oid(number))
            around = told(shown.around(str(oid(number)), WEEK, n))
            if place is None:
                assert around == []
            else:
                middle = wanted.index((oid(number), place.rank))
                assert around == wanted[max(0, middle - n) : middle + n + 1]


def test_the_board_of_a_database_agrees_with_a_plain_sort(database):
    rng = random.Random(5)
    kinds = ["seen"] * 6 + ["hidden", "hidden since", "shown since", "deleted"]
    standings = [(rng.randrange(40), rng.choice(kinds)) for _ in range(120)]
    fill(database, standings)
    board, wanted = Board(database, config()), naive(standings)
    assert told(board.top(WEEK, 1000)) == wanted
    assert told(board.top(WEEK, 10)) == wanted[:10]
    for place in (0, 1, 50, len(wanted) - 1):
        who, rank = wanted[place]
        assert board.rank(str(who), WEEK).rank == rank
        assert told(board.around(str(who), WEEK, 4)) == wanted[max(0, place - 4) : place + 5]


def test_equal_scores_share_a_rank_and_the_next_rank_is_skipped(database):
    fill(database, [(10, "seen"), (20, "seen"), (20, "seen"), (5, "seen")])
    assert told(Board(database, config()).top(WEEK)) == [(oid(3), 1), (oid(2), 1), (oid(1), 3), (oid(4), 4)]


def test_who_opts_out_disappears_at_once_and_who_opts_in_when_rolled_up(database):
    fill(database, [(10, "seen"), (20, "seen")])
    board = Board(database, config())
    database["users"].update_one({"_id": oid(2)}, {"$set": {"hidden": True}})
    assert told(board.top(WEEK)) == [(oid(1), 2)]
    assert board.rank(str(oid(2)), WEEK) is None
    assert board.around(str(oid(2)), WEEK) == []
    assert told(board.around(str(oid(1)), WEEK)) == [(oid(1), 2)]


def test_other_periods_and_unknown_users_are_not_on_the_board(database):
    fill(database, [(10, "seen")])
    board = Board(database, config())
    assert board.top("global") == []
    assert board.rank(str(oid(1)), "global") is None
    assert board.rank("nobody", WEEK) is None
    assert board.around("nobody", WEEK) == []


@pytest.mark.parametrize(
    "odd", [{"$ne": ""}, {"$gt": ""}, ["global"], None, 7, re.compile("."), Regex("."), b"x", True]
)
def test_a_period_that_is_no_text_is_refused_and_matches_nothing(database, odd):
    fill(database, [(10, "seen"), (20, "seen")])
    board = Board(database, config())
    for ask in (lambda: board.top(odd), lambda: board.rank(oid(1), odd), lambda: board.around(oid(1), odd)):
        with pytest.raises(UsageError, match="a period is text") as caught:
            ask()
        assert caught.value.hint


@pytest.mark.parametrize(
    "odd", [{"$ne": ""}, {"$oid": "x"}, [oid(1)], None, 1.5, True, re.compile("."), Regex("."), b"x"]
)
def test_a_user_that_is_no_id_is_refused(database, odd):
    fill(database, [(10, "seen"), (20, "seen")])
    board = Board(database, config())
    for ask in (board.rank, board.around):
        with pytest.raises(UsageError, match="a user is an id"):
            ask(odd, WEEK)


@pytest.mark.parametrize("key", [oid(1), "anna", "0" * 24, 7, Int64(2**40), Binary.from_uuid(uuid.UUID(int=5))])
def test_the_ids_that_the_board_shows_find_their_users_again(database, key):
    fill(database, [(10, "seen"), (20, "seen")])
    database["leaderboard_entries"].update_one({"userId": oid(1)}, {"$set": {"userId": key}})
    board = Board(database, config())
    shown = board.top(WEEK)[-1].user
    assert board.rank(shown, WEEK).rank == 2
    assert [place.user for place in board.around(shown, WEEK, 1)] == [oid(2), shown]


def test_reading_the_board_of_an_untouched_database_makes_nothing(database):
    board = Board(database, config())
    assert board.top() == []
    assert board.rank("1") is None
    assert board.periods() == []
    assert database.list_collection_names() == []


@pytest.mark.parametrize(
    "given", ["\ud800", "x" * 20_000_000, {"$gt": 1}, ["global"]], ids=["half", "long", "dict", "list"]
)
def test_what_no_period_or_user_can_be_called_is_refused_in_words(database, given):
    board = Board(database, config())
    for ask in (board.top, lambda period: board.rank("x", period), lambda period: board.around("x", period)):
        with pytest.raises(UsageError, match="a period is"):
            ask(given)
    for ask in (board.rank, board.around):
        with pytest.raises(UsageError, match="a user is an id"):
            ask(given)


@pytest.mark.parametrize("given", ["3", 1.5, None, True, {"$gt": 1}], ids=repr)
def test_a_number_of_places_is_a_whole_number(database, given):
    board = Board(database, config())
    for ask in (lambda n: board.top("global", n), lambda n: board.around("x", "global", n), board.periods):
        with pytest.raises(UsageError, match="a whole number"):
            ask(given)


def test_a_user_with_a_uuid_is_found_whatever_the_apps_client_makes_of_uuids(database):
    who = uuid.uuid4()
    fill(database, [(1, "seen")])
    database["leaderboard_entries"].update_one({}, {"$set": {"userId": Binary.from_uuid(who)}})
    board = Board(database, config())
    assert board.rank(str(who), WEEK).score == board.rank(Binary.from_uuid(who), WEEK).score == 1
    assert board.rank(who, WEEK).score == 1
