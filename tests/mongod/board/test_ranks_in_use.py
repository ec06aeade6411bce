"""Histograms in use: steps, recorders and boards on a server, in either layout and on the way between them."""

from __future__ import annotations

import pytest
from bson import Int64
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from lbmigrate import Board, ScoreRecorder, schema
from lbmigrate.board import histogram, numbering, reading
from lbmigrate.board.order import BY_USER
from lbmigrate.ledger import make_histograms, moving
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.make_histograms import Making
from lbmigrate.live import settling
from lbmigrate.migration.steps import STEPS, s1_create_collections
from lbmigrate.run.context import Scope
from lbmigrate.schema import ENTRIES, ENTRIES_BY_RANK, ENTRIES_MOVED
from lbmigrate.schema.layout import homes, partition
from lbmigrate.state import layouts
from tests.apps import App, config, oid, task, user
from tests.mongod.board.test_board import QUESTIONS, Commands, filled, listened  # noqa: F401  fixtures
from tests.runs import PATIENCE

PEOPLE, PERIODS = 12, ["global", "2025-W01", "2025-W02"]


@pytest.fixture(autouse=True)
def small_and_unhurried(monkeypatch):
    """Boards so small that every bucket is met, and moves that nobody waits for."""
    monkeypatch.setattr(histogram, "SIZE", 3)
    monkeypatch.setattr(numbering.Histogram, "helps", lambda *_: True)
    monkeypatch.setattr(make_histograms, "LEAST", 1)
    monkeypatch.setattr(settling, "SECONDS", PATIENCE)
    monkeypatch.setattr(layouts, "GRACE", 0)
    monkeypatch.setattr(layouts, "LOOK_AGAIN", 0)
    monkeypatch.setattr("lbmigrate.board.whereabouts.LOOK_AGAIN", 0)


@pytest.fixture(params=["single", "partitioned"])
def app(database, request):
    """People with one task more each, on the board, and recorded live from now on."""
    app = App(database, config(layout=request.param))
    database["users"].insert_many([user(number) for number in range(1, PEOPLE + 1)])
    tasks = [task(100 * who + number, who, hours=20 * number) for who in range(1, PEOPLE + 1) for number in range(who)]
    database["tasks"].insert_many(tasks)
    app.apply(STEPS[:4])
    return app


def as_(app, layout):
    return App(app.database, config(layout=layout), clock=app.clock)


def entries(app, period):
    return app.database[layouts.now(app.state).home(period)]


def ranks(app):
    """The rank of everybody in each period, as a board says."""
    board, users = Board(app.database, app.config), [oid(number) for number in range(1, PEOPLE + 1)]
    return {period: {each.original: each.rank for each in board.among(users, period)} for period in PERIODS}


def counted(app):
    """The same, counted entry by entry."""
    found = {}
    for period in PERIODS:
        scores = {entry["userId"]: entry["score"] for entry in entries(app, period).find({"period": period})}
        found[period] = {who: 1 + sum(other > own for other in scores.values()) for who, own in scores.items()}
    return found


def from_histograms(app):
    """The same as a board says that may not count."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(numbering, "_counts", lambda *_: pytest.fail("counted"))
        return ranks(app)


def moved(app):
    names = homes(app.database, layouts.now(app.state))
    return sum(app.database[name].count_documents({"moved": {"$exists": True}}) for name in names)


def record(app, *people):
    recorder = ScoreRecorder(app.database, app.config, strict=True, budget=PATIENCE, clock=app.clock)
    for who in people:
        number = 90_000 + app.database["score_events"].count_documents({})
        recorder.record("task_complete", oid(who), oid(number), at=task(1, hours=30)["completedAt"])


def test_in_either_layout_ranks_come_from_histograms_while_people_act_come_and_leave(app):
    assert Histograms(app.context()).periods() == {*PERIODS}
    assert from_histograms(app) == counted(app)
    record(app, 2, 2, 7)
    assert moved(app) == 4  # two people, each in all time and in a week
    assert from_histograms(app) == counted(app)
    app.backfill()
    assert moved(app) == 0
    assert from_histograms(app) == counted(app)
    app.forget(str(oid(5)))
    assert oid(5) not in from_histograms(app)["global"]
    assert from_histograms(app) == counted(app)
    app.database["tasks"].insert_one(task(9_999, 3, hours=30))
    app.backfill()
    assert from_histograms(app) == counted(app)


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [None, 5, 9])
def test_ranks_are_right_all_the_way_to_the_other_layout_and_come_from_histograms_there(app, killed_after):
    other = as_(app, "single" if app.config.layout == "partitioned" else "partitioned")
    record(app, 1, 4)
    for number, _ in enumerate(moving.pieces(other.context())):
        assert ranks(other) == counted(other)
        record(app, 1 + number % PEOPLE)
        assert ranks(other) == counted(other)
        if layouts.now(other.state).moving:
            assert list(Making(other.context()).heal()) == []
        if number == killed_after:
            break
    other.apply([s1_create_collections])
    assert Histograms(other.context()).periods() == frozenset()
    other.backfill()
    assert Histograms(other.context()).periods() == {*PERIODS}
    assert from_histograms(other) == counted(other)
    record(other, 3, 9)
    assert from_histograms(other) == counted(other)


def test_who_began_to_make_a_histogram_before_entries_moved_does_not_complete_it(app):
    Histograms(app.context()).void()
    steps, making = Histograms(app.context()), Making(app.context())
    row, home = steps.free("2025-W01"), layouts.now(app.state).home("2025-W01")
    made = histogram.Histogram.made(row["version"], making._scores(home, "2025-W01"))
    as_(app, "single" if app.config.layout == "partitioned" else "partitioned").apply([s1_create_collections])
    assert steps.write(row, made.row()) is None


def test_a_server_that_is_behind_when_it_is_asked_and_not_any_more_by_the_end_is_asked_to_count(app):
    """The row comes from one server, what is read by it from another, which learns of the last changes meanwhile."""
    record(app, 2, 7)
    homes = {"entries": entries(app, "global"), "state": app.state.rows, "users": app.database["users"]}
    behind = {name: list(home.find()) for name, home in homes.items()}
    record(app, 1, 1, 1, 3)
    app.backfill()
    now, expected = {name: list(home.find()) for name, home in homes.items()}, counted(app)["global"][oid(5)]

    def put(documents):
        for name, home in homes.items():
            home.delete_many({})
            home.insert_many(documents[name])

    def answers(asks):
        return [[ask.keep(row) for row in homes[ask.where].aggregate(ask.stages)] for ask in asks]

    question = reading.rank(app.config, lambda: BY_USER, "global", [oid(5)], hidden=False)
    *asks, last = question.send(answers(next(question)))
    put(behind)
    found = answers(asks)
    put(now)
    with pytest.raises(StopIteration) as over:
        question.send(answers(question.send([*found, *answers([last])])))
    assert over.value.value.rank == expected


def test_a_full_backfill_makes_the_histograms_again_so_a_score_written_by_hand_is_out_of_them(app):
    by_hand = {"$set": {"score": Int64(999)}}
    entries(app, "global").update_one({"userId": oid(2), "period": "global"}, by_hand)
    app.backfill(scope=Scope(full=True))
    assert from_histograms(app) == counted(app)


@pytest.mark.slow
def test_where_no_entries_have_come_a_run_looks_only_at_periods_that_had_a_histogram(app, monkeypatch):
    app.backfill()
    monkeypatch.setattr(Making, "_is_indexed", lambda *_: pytest.fail("looked at all"))
    app.backfill()
    Histograms(app.context()).void()
    app.backfill()
    assert Histograms(app.context()).periods() == {*PERIODS}


def test_a_histogram_of_a_collection_that_was_dropped_is_forgotten(app):
    app.database.drop_collection(ENTRIES if app.config.layout == "single" else partition("2025-W01"))
    Histograms(app.context()).forget_others()
    left = set() if app.config.layout == "single" else {"global", "2025-W02"}
    assert Histograms(app.context()).periods() == left


def test_entries_that_a_run_computes_again_since_some_were_lost_are_counted_once(app):
    entries(app, "2025-W01").delete_many({"userId": {"$in": [oid(3), oid(11)]}, "period": "2025-W01"})
    app.apply(STEPS[:2])
    app.backfill()
    assert from_histograms(app) == counted(app)


def test_every_home_of_entries_has_the_index_of_those_that_have_moved(app):
    for name in homes(app.database, layouts.now(app.state)):
        found = {tuple(spec["key"].items()): spec for spec in app.database[name].list_indexes()}
        assert found[ENTRIES_MOVED.keys]["sparse"] is True


def test_no_question_takes_more_than_three_commands_where_ranks_come_from_a_histogram(listened):  # noqa: F811
    database, heard = listened
    database[ENTRIES].create_index("moved.period", sparse=True)
    assert {period for period, _ in Making(App(database).context()).heal()} == {"global", "2025-W10", "2025-W11"}
    board = Board(database, config())
    for name, ask in QUESTIONS.items():
        heard.names.clear()
        assert ask(board) is not None
        assert len(heard.names) <= 3, (name, heard.names)


def test_a_period_gets_a_histogram_when_enough_entries_have_come_to_it(database, monkeypatch):
    monkeypatch.setattr(make_histograms, "LEAST", 10)
    schema.create_collection(database, ENTRIES)
    for index in (ENTRIES_BY_RANK, ENTRIES_MOVED):
        database[ENTRIES].create_index(list(index.keys), **index.options)
    app = App(database)

    def come(period, *numbers):
        made = {"events": Int64(1), "score": Int64(1), "rev": Int64(1)}
        rows = ({"_id": f"{period}:{oid(n)}", "userId": oid(n), "period": period, **made} for n in numbers)
        database[ENTRIES].insert_many(list(rows))
        making = Making(app.context())
        found = {period for period, _ in making.heal()}
        if looked := making.looked():
            app.state.rows.update_one({"_id": looked.row}, {"$set": {**looked.fields, "fence": 0}}, upsert=True)
        return found

    assert come("global", *range(12)) == {"global"}
    assert come("2025-W01", *range(9)) == set()
    assert come("2025-W02", *range(9)) == set()
    assert come("2025-W01", 9) == set()  # fewer than make it worth a look
    assert come("2025-W01", 10, 11) == {"2025-W01"}
    assert come("2025-W02", 9, 10) == {"2025-W02"}


@pytest.mark.slow
def test_a_board_counts_where_the_row_of_the_histogram_was_edited_and_where_it_is_gone(app):
    listed = {"counted": True, "entries": [{"entry": 1, "rev": "x", "from": "y"}]}
    for change in ({"counts": b"odd"}, {"version": 1}, {"changing": []}, {"changing": listed}):
        app.state.rows.update_many({"kind": "ranks"}, {"$set": change})
        assert ranks(app) == counted(app)
        app.backfill()
        assert from_histograms(app) == counted(app)
    app.state.rows.delete_many({"kind": "ranks"})
    assert ranks(app) == counted(app)


def test_a_board_on_a_client_of_the_app_finds_what_one_of_ours_finds(app, server_uri):
    with MongoClient(server_uri) as client:
        theirs = App(client[app.database.name], app.config)
        assert from_histograms(theirs) == counted(app)


def test_a_recorder_takes_what_it_has_changed_into_the_histograms_before_that_is_much(app, monkeypatch):
    monkeypatch.setattr(settling, "EVERY", 4)
    monkeypatch.setattr(settling, "MOST_MOVED", 2)
    record(app, 1, 2, 3)
    assert moved(app) == 6
    record(app, 1, 2, 3, 4)
    assert moved(app) == 0
    assert from_histograms(app) == counted(app)


def test_a_recorder_that_may_not_write_to_the_state_records_all_the_same(app, monkeypatch):
    monkeypatch.setattr(settling, "EVERY", 2)
    asked = []

    def refused(*given):
        asked.append(given)
        raise OperationFailure("not authorized", 13)

    monkeypatch.setattr(Histograms, "settle", refused)
    record(app, 1, 2, 3, 4, 5, 6)
    assert len(asked) == 1
    assert from_histograms(app) == counted(app)
