"""The board as the app reads it."""

from __future__ import annotations

import datetime as dt
import random
import re
import uuid

import pytest
from bson import Binary, Code, Decimal128, Int64, Regex
from hypothesis import given, settings
from hypothesis import strategies as st

from lbmigrate.board import numbering, reading
from lbmigrate.board.asked import UserRefused
from lbmigrate.board.board import Board
from lbmigrate.board.place import Freshness
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
    return [(place.original, place.rank) for place in places]


@settings(max_examples=25)
@given(standings=players, n=st.integers(1, 6), page=st.integers(1, 4))
def test_top_rank_and_neighbours_agree_with_a_plain_sort(standings, n, page):
    with fake.client() as client, pytest.MonkeyPatch.context() as patch:
        for room, name in ((reading, "SPARE"), (reading, "NEAR"), (numbering, "LIKELY")):
            patch.setattr(room, name, page)
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


def test_friends_who_share_a_score_stand_as_they_do_on_the_whole_board(database):
    fill(database, [(20, "seen"), (10, "seen"), (20, "seen"), (20, "seen"), (5, "seen")])
    board = Board(database, config())
    friends = [oid(number) for number in (1, 3, 4, 5)]
    assert board.among(friends, WEEK) == [place for place in board.top(WEEK) if place.original in friends]


def test_who_opts_out_disappears_at_once_and_who_opts_in_when_rolled_up(database):
    fill(database, [(10, "seen"), (20, "seen")])
    board = Board(database, config())
    database["users"].update_one({"_id": oid(2)}, {"$set": {"hidden": True}})
    assert told(board.top(WEEK)) == [(oid(1), 2)]
    assert board.rank(str(oid(2)), WEEK) is None
    assert board.around(str(oid(2)), WEEK) == []
    assert told(board.around(str(oid(1)), WEEK)) == [(oid(1), 2)]


def test_the_name_of_an_account_that_was_deleted_is_shown_no_more(database):
    fill(database, [(3, "seen"), (2, "deleted"), (1, "seen")])
    shown = Board(database, config())
    assert [place.name for place in shown.top(WEEK)] == ["User 1", None, "User 3"]
    assert shown.rank(oid(2), WEEK).name is None
    assert [place.name for place in shown.around(oid(1), WEEK)] == ["User 1", None, "User 3"]
    database["users"].update_one({"_id": oid(1)}, {"$unset": {"name": 1}})
    assert shown.rank(oid(1), WEEK).name is None


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
    shown = board.top(WEEK)[-1].original
    assert board.rank(shown, WEEK).rank == 2
    assert [place.original for place in board.around(shown, WEEK, 1)] == [oid(2), shown]


def test_reading_the_board_of_an_untouched_database_makes_nothing(database):
    board = Board(database, config())
    assert board.top() == []
    assert board.rank("1") is None
    assert board.periods() == []
    assert database.list_collection_names() == []


@pytest.mark.parametrize(
    "odd",
    [Decimal128("NaN"), Decimal128("1"), Regex(".*"), {"a": 1}, 5, None, Code("1", {})],
    ids=lambda odd: type(odd).__name__,
)
def test_what_no_period_can_be_called_by_is_no_period(database, odd):
    fill(database, [(1, "seen")])
    database["leaderboard_entries"].insert_one({"_id": "odd", "userId": oid(9), "period": odd, "score": Int64(1)})
    assert Board(database, config()).periods() == [WEEK]


def test_friends_have_the_places_that_they_have_on_the_whole_board(database):
    fill(database, [(10, "seen"), (20, "hidden"), (30, "hidden since"), (40, "seen"), (40, "seen")])
    board = Board(database, config())
    assert told(board.among([str(oid(1)), oid(2), oid(3), oid(4), "nobody"], WEEK)) == [(oid(4), 1), (oid(1), 5)]
    assert board.among([], WEEK) == []
    with pytest.raises(UserRefused, match="1,001 users"):
        board.among([oid(1)] * 1001, WEEK)


def test_who_is_hidden_sees_the_own_place_if_the_app_asks_for_it(database):
    fill(database, [(10, "hidden"), (20, "hidden since"), (30, "seen")])
    board = Board(database, config())
    assert [board.rank(oid(number), WEEK) for number in (1, 2)] == [None, None]
    assert [board.rank(oid(number), WEEK, hidden=True).rank for number in (1, 2)] == [3, 2]


def test_how_many_stand_below_and_how_many_there_are(database):
    fill(database, [(10, "seen"), (20, "hidden"), (20, "seen"), (30, "seen")])
    board = Board(database, config())
    assert [board.percentile(oid(number), WEEK) for number in (1, 3, 4)] == [0.0, 25.0, 75.0]
    assert board.percentile("nobody", WEEK) is None
    assert board.total(WEEK) == 4
    assert board.total("2025-W11") == 0


def test_a_users_history_has_the_places_of_the_newest_periods(database):
    for period, scores in {"2025-W10": (5, 9), "2025-W11": (7, 1), "global": (12, 10)}.items():
        fill(database, [(score, "deleted") for score in scores], period)
    found = Board(database, config()).history(oid(1), 5)
    assert [(place.period, place.rank, place.score) for place in found] == [
        ("global", 1, 12),
        ("2025-W11", 1, 7),
        ("2025-W10", 2, 5),
    ]
    assert [place.period for place in Board(database, config()).history(oid(1), 1)] == ["global"]
    assert Board(database, config()).history(oid(1), 0) == Board(database, config()).history("nobody") == []


def test_the_board_says_how_old_it_may_be(database):
    board = Board(database, config())
    assert board.freshness() == Freshness(None, None)
    database["lbmigrate_state"].insert_one({"_id": "watermark:tasks", "value": dt.datetime(2025, 3, 20)})
    told = board.freshness()
    assert told.until == dt.datetime(2025, 3, 20)
    assert told.seconds > 0
    assert board.about(WEEK).settled
    assert not board.about("2025-W12").settled


def test_without_places_asked_for_there_are_none(database):
    fill(database, [(10, "seen"), (20, "seen")])
    board = Board(database, config())
    assert board.top(WEEK, 0) == []
    assert board.page(WEEK, 0).next is None
    assert told(board.around(oid(1), WEEK, 0)) == [(oid(1), 2)]


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
