"""Entries that somebody has put in by hand, beside a validator that is off: they take nobody's place on the board.

Who has a number for a score counts in every rank, whatever its type; what is no number counts in none.
"""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from bson import Binary, Decimal128, Int64
from pymongo import MongoClient

from lbmigrate import Board
from lbmigrate.board.boards import Boards
from lbmigrate.state import State
from tests.apps import config, oid

WEEK = "2025-W10"
AT = dt.datetime(2025, 3, 3)
ODD_USERS = (None, True, AT, {"a": 1}, 1.5)
ODD_SCORES = (
    10.0,
    12.5,
    Decimal128("10"),
    Decimal128("10.5"),
    float("inf"),
    float("nan"),
    "x",
    None,
    True,
    AT,
    {"a": 1},
)
LATER = AT + dt.timedelta(days=1)
MOMENTS = (None, 5, "soon", True, AT, LATER)  # as an index has them
LEGACY = ("javaLegacy", "csharpLegacy", "standard")


def entry(user, score, period=WEEK, **more):
    return {
        "_id": f"{period}:{user!r:.40}:{score!r}", "userId": user, "period": period, "score": score, "streak": 1,
        "optOutSnapshot": False, "displayNameSnapshot": "somebody", "avatarSnapshot": None, "events": Int64(1),
        "rev": Int64(1), **more,
    }  # fmt: skip


def _sent(user):
    return Binary.from_uuid(user) if isinstance(user, uuid.UUID) else user


def settings(ties="ordinal", order="userId", **more):
    return config(ranking={"ties": ties, "order": ["score", order]}, **more)


def put(database, entries, order="userId"):
    database["leaderboard_entries"].delete_many({})
    database["leaderboard_entries"].insert_many(entries)
    row = {"_id": "entries", "until": "", "moving": False, "order": order}
    database["lbmigrate_state"].replace_one({"_id": "entries"}, row, upsert=True)


def paged(board, n):
    found, cursor = [], None
    while True:
        page = board.page(WEEK, n, cursor)
        found += page.places
        assert len(found) < 100, "pages that never end"
        if (cursor := page.next) is None:
            return found


def told(places):
    return [(place.original, place.rank) for place in places]


def assert_agrees(board, wanted):
    """Every question gives the same users the same ranks."""
    top = board.top(WEEK)
    assert told(top) == wanted
    assert told(paged(board, 1)) == told(paged(board, 4)) == told(board.among(top, WEEK)) == wanted
    assert told(board.among(top[::2], WEEK)) == wanted[::2]
    for number, place in enumerate(top):
        assert told([board.rank(place, WEEK)]) == [wanted[number]]
        assert told(board.around(place, WEEK, 1)) == wanted[max(0, number - 1) : number + 2]
        assert told(board.around(place, WEEK, 20)) == wanted
        assert [past.rank for past in board.history(place)] == [wanted[number][1]]


def ranks(standing, ties):
    """Of all who count, best first, each with the rank that somebody would give them."""
    scores = [score for _, score in standing]
    above = {
        "competition": lambda place: scores.index(scores[place]),
        "dense": lambda place: len(set(scores[:place]) - {scores[place]}),
        "ordinal": lambda place: place,
    }[ties]
    return [(user, 1 + above(place)) for place, (user, _) in enumerate(standing)]


def test_users_of_every_type_and_odd_ones_stand_in_one_order_at_one_score(database):
    good = [oid(1), uuid.UUID(int=7), "~", "anna", 2**40, 7, 5]
    unrevised = {name: value for name, value in entry(oid(9), Int64(10)).items() if name != "rev"}
    put(database, [*(entry(_sent(user), Int64(10)) for user in (*good, *ODD_USERS)), unrevised])
    by_index = [AT, True, oid(9), oid(1), uuid.UUID(int=7), {"a": 1}, *good[2:], 1.5, None]
    for ties in ("ordinal", "competition"):
        wanted = [each for each in ranks([(user, 10) for user in by_index], ties) if each[0] in good]
        assert_agrees(Board(database, settings(ties)), wanted)


@pytest.mark.parametrize("order", ["earliest", "latest"])
def test_moments_that_are_none_count_and_are_passed_over(database, order):
    made = [entry(oid(n), Int64(10), reachedAt=MOMENTS[n % len(MOMENTS)]) for n in range(1, 13)]
    put(database, made, order)
    by_index = sorted(made, key=lambda each: each["userId"], reverse=True)
    by_index.sort(key=lambda each: MOMENTS.index(each["reachedAt"]), reverse=order == "latest")
    good = [each["userId"] for each in made if each["reachedAt"] in (None, AT, LATER)]
    wanted = [each for each in ranks([(each["userId"], 10) for each in by_index], "ordinal") if each[0] in good]
    assert_agrees(Board(database, settings("ordinal", order)), wanted)


def test_scores_of_every_type_count_alike_in_every_question_and_with_ranks_from_redis(database, valkey):
    good = [(oid(1), 30), (oid(2), 10), (oid(3), 10), (oid(4), 5)]
    odd = [(oid(50 + number), score) for number, score in enumerate(ODD_SCORES)]
    put(database, [entry(user, score) for user, score in odd] + [entry(user, Int64(score)) for user, score in good])
    counted = [
        (oid(54), float("inf")),
        good[0],
        (oid(51), 12.5),
        (oid(53), 10.5),
        (oid(52), 10),
        (oid(50), 10),
        *good[2:0:-1],
        good[3],
    ]
    for ties in ("ordinal", "competition", "dense"):
        wanted = [each for each in ranks(counted, ties) if each[0] in dict(good)]
        assert_agrees(Board(database, settings(ties)), wanted)
    assert Board(database, settings()).total(WEEK) == len(counted)
    in_redis = settings("competition", redis={"url": valkey.url})
    boards = Boards.of(in_redis, database, State(database))
    assert dict(boards.rebuild_all()) == {WEEK: len(counted)}
    assert_agrees(Board(database, in_redis), [e for e in ranks(counted, "competition") if e[0] in dict(good)])
    assert list(boards.differences()) == []


def test_a_good_entry_counts_beside_odd_ones_of_the_same_user_and_behind_many_at_the_top(database):
    odd = [{"_id": f"0{number}", "userId": oid(1), "period": WEEK, "score": "9"} for number in range(80)]
    past = [
        {"_id": f"1{number}", "userId": oid(1), "period": f"2026-W{number}", "score": 9} for number in range(10, 40)
    ]
    put(database, [*odd, *past, entry(oid(2), Int64(5)), entry(oid(1), Int64(10))])
    board = Board(database, settings())
    assert_agrees(board, [(oid(1), 1), (oid(2), 2)])
    assert board.percentile(oid(1), WEEK) == 50


# --- whatever the app's client makes of values --------------------------------------------------------------------


def test_uuids_stand_and_are_paged_as_the_server_has_them_whatever_the_client_reads(database, server_uri):
    """Java's and C#'s orders of the bytes turn some around, a server sorts them as they are."""
    raw = [bytes([a, 0, 0, b, 0, c, 0, b, a, 0, 0, 0, 0, 0, 0, a]) for a, b, c in ((1, 9, 5), (5, 5, 9), (9, 1, 1))]
    for subtype in (3, 4):
        put(database, [entry(Binary(each, subtype), Int64(10)) for each in raw])
        for how in LEGACY:
            with MongoClient(server_uri, uuidRepresentation=how) as client:
                board = Board(client[database.name], settings())
                users = [place.original for place in board.top(WEEK)]
                assert len(set(users)) == len(raw)
                assert_agrees(board, [(user, rank) for rank, user in enumerate(users, start=1)])


def test_moments_are_naive_utc_and_paged_whatever_the_client_reads(database, server_uri):
    put(database, [entry(oid(number), Int64(10), reachedAt=AT) for number in (3, 2, 1)], "earliest")
    zone = dt.timezone(dt.timedelta(hours=5))
    with MongoClient(server_uri, tz_aware=True, tzinfo=zone) as client:
        board = Board(client[database.name], settings(order="earliest"))
        assert_agrees(board, [(oid(3), 1), (oid(2), 2), (oid(1), 3)])
        assert {place.reached for place in board.top(WEEK)} == {AT}


# --- many at once ---------------------------------------------------------------------------------------------------


def test_many_places_and_periods_are_asked_for_at_once(database):
    days = [(dt.date(2023, 1, 1) + dt.timedelta(days=number)).isoformat() for number in range(1_001)]
    made = [entry(oid(number), Int64(number // 2)) for number in range(1_200, 0, -1)]  # best first
    database["leaderboard_entries"].create_index([("period", 1), ("score", -1), ("userId", -1)])
    put(database, [*made, *(entry(oid(2_000), Int64(5), day) for day in days)])
    board, standing = Board(database, settings()), [(each["userId"], rank) for rank, each in enumerate(made, start=1)]
    first = board.page(WEEK, 500)
    second = board.page(WEEK, 500, first.next)
    assert told(first.places) + told(second.places) == standing[:1_000]
    assert told(board.among([user for user, _ in standing[:1_000]], WEEK)) == standing[:1_000]
    assert told(board.around(standing[600][0], WEEK, 550)) == standing[50:1_151]
    assert len(board.history(oid(2_000), 2_000)) == len(days)
