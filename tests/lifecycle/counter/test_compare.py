"""The board beside a counter that the app had before."""

from __future__ import annotations

import pytest
from bson import Decimal128, Int64

from lbmigrate.config.model import Config
from lbmigrate.counter import compare as comparing
from lbmigrate.counter.compare import compare
from lbmigrate.counter.numbers import Counter, check
from lbmigrate.errors import UsageError
from lbmigrate.migration.steps import STEPS
from tests.apps import App, config, oid, picture, task, user

PLAYERS = 24


@pytest.fixture
def app(database):
    """Users whose score is ten times their number, and whose old counter, `points`, says the same."""
    database["users"].insert_many([user(number, points=10 * number) for number in range(1, PLAYERS + 1)])
    owners = [number for number in range(1, PLAYERS + 1) for _ in range(number)]
    database["tasks"].insert_many([task(place, owner=owner, hours=place) for place, owner in enumerate(owners)])
    app = App(database, config(backfill={"chunk_size": 200}))
    app.apply(STEPS[:4])
    return app


def compared(app, words="users:points"):
    return compare(app.context(), check(app.context(), words))


def change(app, number, **fields):
    app.database["users"].update_one({"_id": oid(number)}, {"$set": fields})


def test_a_counter_that_agrees_is_told_to(app):
    found = compared(app)
    assert (found.both, found.equal, found.higher, found.lower) == (PLAYERS, PLAYERS, 0, 0)
    assert (found.only_counter, found.only_board, found.share) == (0, 0, 1)
    assert found.spearman == found.kendall == pytest.approx(1)
    assert (found.differ, found.without_counter, found.told) == ((), (), ())


def test_who_differs_most_comes_first(app):
    change(app, 3, points=5_000)
    change(app, 7, points=1)
    change(app, 9, points=91)
    found = compared(app)
    assert [(each.user, each.counter, each.score, each.difference) for each in found.differ] == [
        (str(oid(3)), 5_000, 30, -4_970),
        (str(oid(7)), 1, 70, 69),
        (str(oid(9)), 91, 90, -1),
    ]
    assert found.differ[0].name == "User 3"
    assert "deleted" in found.differ[0].why
    assert (found.equal, found.higher, found.lower, found.both) == (PLAYERS - 3, 1, 2, PLAYERS)
    assert found.spearman < 1


def test_who_is_on_one_side_only_is_counted_and_named(app):
    app.database["users"].insert_one(user(99, points=700))
    app.database["users"].insert_one(user(98, points=0))
    app.database["users"].update_one({"_id": oid(PLAYERS)}, {"$unset": {"points": 1}})
    found = compared(app)
    assert (found.only_counter, found.only_board, found.both) == (1, 1, PLAYERS - 1)
    assert [each.user for each in found.differ] == [str(oid(99))]
    assert [(each.user, each.counter) for each in found.without_counter] == [(str(oid(PLAYERS)), None)]


def test_who_was_forgotten_is_counted_and_not_named(app):
    app.forget(str(oid(5)))
    found = compared(app)
    assert (found.left, found.only_counter, found.differ) == (1, 0, ())
    assert "1 user of the counter left by forget and is not compared" in found.told


def test_one_factor_that_explains_all_is_found(app):
    for number in range(1, PLAYERS + 1):
        change(app, number, points=25 * number)
    found = compared(app)
    assert found.ratio == pytest.approx(2.5)
    assert found.spearman == pytest.approx(1)
    assert "nearly every counter is about 2.5 times its score: the same actions under other points" in found.told


def test_numbers_of_every_type_count_and_what_is_none_is_told(app):
    for number, value in enumerate([Int64(10), 20.0, Decimal128("30"), "40", "many", {"a": 1}, True], start=1):
        change(app, number, points=value)
    found = compared(app)
    assert (found.unreadable, found.both, found.equal) == (3, PLAYERS - 3, PLAYERS - 3)


def test_a_collection_of_its_own_may_name_users_in_another_form(app):
    rows = [{"_id": f"row{n}", "player": {"id": str(oid(n)).upper()}, "total": {"all": 10 * n}} for n in range(1, 11)]
    app.database["old_board"].insert_many([*rows, {"_id": "again", "player": {"id": str(oid(3))}, "total": {"all": 1}}])
    app.database["old_board"].insert_one({"_id": "nobody", "total": {"all": 1}})
    found = compared(app, "old_board:total.all:player.id")
    assert (found.both, found.equal, found.unnamed, found.only_board) == (10, 10, 1, PLAYERS - 10)


def test_of_several_counters_of_one_user_the_largest_counts(app):
    app.database["old_board"].insert_many([{"_id": n, "who": oid(2), "n": 20 * (n == 1)} for n in range(3)])
    found = compared(app, "old_board:n:who")
    assert (found.counters, found.repeated, found.equal) == (1, 2, 1)
    assert "some users have several counters; the largest of each counts" in found.told


def test_what_is_kept_while_reading_is_bounded(app, monkeypatch):
    monkeypatch.setattr(comparing, "DRAWN", 5)
    monkeypatch.setattr(comparing, "AT_ONCE", 4)
    for number in range(1, PLAYERS + 1):
        change(app, number, points=10 * number + number % 7)
    found = compared(app)
    assert (found.drawn, found.both) == (5, PLAYERS)
    assert len(found.differ) == comparing.FIRST


def test_comparing_writes_nothing(app):
    before = picture(app.database)
    compared(app)
    assert picture(app.database) == before


@pytest.mark.parametrize("words", ["users", "users:", ":points", "a:b:c:d", "users:$where", "users:points:$key", ""])
def test_words_that_name_no_counter_are_refused(app, words):
    with pytest.raises(UsageError, match="names no counter") as refused:
        check(app.context(), words)
    assert refused.value.hint == "write COLLECTION:PATH or COLLECTION:PATH:KEY"


def test_a_collection_that_does_not_exist_is_refused(app):
    with pytest.raises(UsageError, match="there is no collection 'old'"):
        check(app.context(), "old:points")


def test_users_are_known_by_the_key_that_the_configuration_has():
    given = config().model_dump(by_alias=True, exclude={"flag"}) | {"users": {"collection": "people", "key": "email"}}
    known = Config.model_validate(given)
    assert Counter.of("people:points", known).key == "email"
    assert Counter.of("other:points", known).key == "_id"
    assert Counter.of("other:points:who", known).key == "who"
