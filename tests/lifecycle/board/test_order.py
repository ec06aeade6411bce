"""Who reached a score first stands first (or last): after a migration, live actions, and changes of the order."""

from __future__ import annotations

import datetime as dt
import itertools
import random

import pytest

from lbmigrate import commands
from lbmigrate.board.asked import CursorRefused
from lbmigrate.board.board import Board
from lbmigrate.errors import Mismatch
from lbmigrate.explain.explain import explain
from lbmigrate.live.recorder import ScoreRecorder
from lbmigrate.migration.driver import Driver
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import STEPS, s2_create_indexes
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import VerifyOptions
from lbmigrate.state import State, layouts
from tests.apps import NEW_YEAR, TASKS, App, config, oid, picture, task, user

pytestmark = pytest.mark.sampled

WAYS = ("earliest", "latest", "userId")
PEOPLE = 8
UNHURRIED = Terms(lock_ttl=86_400.0)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(layouts, "GRACE", 0)
    monkeypatch.setattr(layouts, "LOOK_AGAIN", 0)


def scored(number, owner, hours, points=10):
    return task(number, owner=owner, hours=hours, worth=points)


def settings(order, **parts):
    rule = {**TASKS, "let": {"worth": {"path": "worth"}}, "points": "worth", "points_range": [-50, 50]}
    return config(rule, ranking={"order": ["score", order], **parts.pop("ranking", {})}, **parts)


def fill(database, seed=1, count=36):
    """Tasks of few different worths, some of nothing, some that take points, at few different hours."""
    rng = random.Random(seed)
    database["users"].insert_many([user(number) for number in range(1, PEOPLE + 1)])
    worths = [rng.choice([10, 10, 10, 0, -10]) for _ in range(count)]
    database["tasks"].insert_many(
        [scored(n, 1 + rng.randrange(PEOPLE), rng.randrange(400), worth) for n, worth in enumerate(worths)]
    )


def migrated(database, order, **parts):
    app = App(database, settings(order, **parts))
    app.apply(STEPS[:4])
    return app


def since(database):
    """The global score of every user, and since when it has been that, by the documents alone."""
    found = {}
    for owner in range(1, PEOPLE + 1):
        theirs = list(database["tasks"].find({"userId": oid(owner), "status": "done"}))
        moments = sorted({each["completedAt"] for each in theirs})
        at = {moment: sum(t["worth"] for t in theirs if t["completedAt"] <= moment) for moment in moments}
        if moments:
            end = at[moments[-1]]
            before = [0, *at.values()]
            changes = [moment for moment, earlier in zip(moments, before, strict=False) if at[moment] != earlier]
            found[oid(owner)] = (end, changes[-1] if changes else moments[0])
    return found


def standing(database, order):
    """Everybody, best first."""
    way = {"earliest": 1, "latest": -1, "userId": 0}[order]
    ages = {who: (score, (at - NEW_YEAR).total_seconds()) for who, (score, at) in since(database).items()}
    return sorted(sorted(ages, reverse=True), key=lambda who: (-ages[who][0], way * ages[who][1]))


def paged(board, n, period="global"):
    found, cursor = [], None
    while True:
        page = board.page(period, n, cursor)
        found += [place.original for place in page.places]
        if (cursor := page.next) is None:
            return found


def assert_stands(app, order):
    wanted, board = standing(app.database, order), Board(app.database, app.config)
    assert [place.original for place in board.top(n=100)] == wanted
    assert paged(board, 1) == paged(board, 3) == wanted
    assert [place.original for place in board.among(wanted[::-1])] == wanted
    for place, who in enumerate(wanted):
        near = [each.original for each in board.around(who, n=2)]
        assert near == wanted[max(0, place - 2) : place + 3]


def moments(app):
    entries = app.database["leaderboard_entries"].find({"period": "global"})
    return {entry["userId"]: entry.get("reachedAt") for entry in entries}


def verified(app):
    app.apply(STEPS[4:5], verify=VerifyOptions(full=True))
    return bool(app.state.get("verdict")["passed"])


def indexes(app):
    found = app.database["leaderboard_entries"].index_information()
    return sorted(name for name in found if "reachedAt" in name)


@pytest.mark.parametrize("order", WAYS)
def test_every_question_goes_by_who_reached_the_score_first_or_last(database, order):
    fill(database)
    app = migrated(database, order)
    assert_stands(app, order)
    assert verified(app)
    if order == "userId":
        assert set(moments(app).values()) == {None}
        assert indexes(app) == []
        assert layouts.now(app.state) == layouts.Layout()
    else:
        assert moments(app) == {who: at for who, (_, at) in since(database).items()}
        assert len(indexes(app)) == 1


@pytest.mark.parametrize("order", ["earliest", "latest"])
def test_nobody_shares_an_ordinal_rank_and_it_is_that_of_the_order(database, order):
    fill(database, seed=2)
    app = migrated(database, order, ranking={"ties": "ordinal"})
    wanted, board = standing(database, order), Board(database, app.config)
    ranks = {who: place for place, who in enumerate(wanted, start=1)}
    assert {place.original: place.rank for place in board.top(n=100)} == ranks
    assert {place.original: place.rank for place in board.among(wanted)} == ranks
    assert {who: board.rank(who).rank for who in wanted} == ranks
    assert {who: next(p.rank for p in board.history(who) if p.period == "global") for who in wanted} == ranks
    some = wanted[1::3]
    assert [place.rank for place in board.among(some)] == [ranks[who] for who in some]


def test_what_is_taken_back_was_never_there_and_what_is_worth_nothing_reaches_nothing(database):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([scored(1, 1, 1), scored(2, 1, 9), scored(3, 2, 3), scored(4, 1, 10, points=0)])
    app = migrated(database, "earliest")
    assert moments(app)[oid(1)] == NEW_YEAR + dt.timedelta(hours=9)
    later = dt.datetime(2030, 1, 1)
    database["tasks"].update_one({"_id": oid(1002)}, {"$set": {"status": "open", "updatedAt": later}})
    app.backfill()
    assert moments(app)[oid(1)] == NEW_YEAR + dt.timedelta(hours=1)
    assert [place.original for place in Board(database, app.config).top()] == [oid(1), oid(2)]
    assert verified(app)


def test_a_live_action_moves_its_user_behind_those_who_had_the_score_before(database):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([scored(1, 1, 1), scored(2, 1, 2), scored(3, 2, 0)])
    app = migrated(database, "earliest")
    app.apply(STEPS[2:3])
    recorder = ScoreRecorder(database, app.config, strict=True)
    for number, hours in ((4, 5), (5, 6)):
        database["tasks"].insert_one(scored(number, 2, hours))
        assert recorder.record_source("tasks", oid(1000 + number))
        assert_stands(app, "earliest")
    assert verified(app)


def test_a_recorder_that_remembers_its_user_knows_since_when(database):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_one(scored(1, 1, 1))
    app = migrated(database, "latest")
    recorder = ScoreRecorder(database, app.config, strict=True)
    for number in range(2, 6):
        at = NEW_YEAR + dt.timedelta(days=number)
        recorder.record("task_complete", oid(2), oid(1000 + number), points=10, at=at)
        assert moments(app)[oid(2)] == at


# --- another order ---------------------------------------------------------------------------------------------------


def connected(database, order, **parts):
    return Connection(database.client, settings(order, **parts), database, database, State(database))


def run(connection):
    commands.run(connection, to=4, no_backup=True, terms=UNHURRIED)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(WAYS, 2)))
def test_a_run_changes_the_order_and_leaves_what_a_new_migration_makes(anyclient, database, before, after):
    fill(database)
    run(connected(database, before))
    aim = connected(database, after)
    told = {each.subject: each for each in commands.plan(aim).findings}["rules"]
    assert "`ranking.order` has changed since the ledger was scored: who shares a score stands in another" in told.fact
    assert told.fix == "lbmigrate run"
    # Until a run has prepared another order the old one stays; that of users needs nothing.
    assert_stands(App(database, aim.config), "userId" if after == "userId" else before)
    run(aim)
    app = App(database, aim.config)
    assert_stands(app, after)
    assert commands.verify(aim, options=VerifyOptions(full=True), terms=UNHURRIED)["passed"]
    assert "rules" not in {each.subject for each in commands.plan(aim).findings}
    assert not [told for step in commands.plan(aim).steps[:4] for told in step.todo]
    other = anyclient[f"{database.name}_fresh"]
    fill(other)
    run(connected(other, after))
    assert moments(app) == moments(App(other, aim.config))
    assert indexes(app) == indexes(App(other, aim.config))
    settled = picture(database)
    run(aim)
    commands.reconcile(aim, terms=UNHURRIED)
    assert picture(database) == settled


def test_a_backfill_leaves_the_order_to_a_run_and_says_so(database):
    fill(database)
    run(connected(database, "userId"))
    aim, heard = connected(database, "earliest"), []
    listen = lambda report: heard.append(report.piece.warning if report.piece else "")  # noqa: E731
    commands.backfill(aim, terms=Terms(lock_ttl=86_400.0, listen=listen))
    assert any("next: lbmigrate run" in each for each in heard)
    assert set(moments(App(database, aim.config)).values()) == {None}


def test_pages_go_on_in_the_order_in_which_they_have_begun(database):
    fill(database)
    run(connected(database, "userId"))
    board = Board(database, settings("earliest"))
    first = board.page(n=3)
    run(connected(database, "earliest"))
    rest, cursor = [place.original for place in first.places], first.next
    while cursor:
        page = board.page(n=3, after=cursor)
        rest, cursor = rest + [place.original for place in page.places], page.next
    assert rest == standing(database, "userId")
    begun = Board(database, settings("earliest")).page(n=3).next
    run(connected(database, "latest"))
    with pytest.raises(CursorRefused, match="another order"):
        Board(database, settings("latest")).page(n=3, after=begun)
    assert paged(Board(database, settings("latest")), 3) == standing(database, "latest")


def test_an_action_that_is_recorded_while_a_run_changes_the_order_has_its_moment(database, monkeypatch):
    fill(database)
    app = migrated(database, "userId")
    aim = App(database, settings("earliest"))
    recorder = ScoreRecorder(database, app.config, strict=True)  # still by the old configuration
    calls = itertools.count(500)

    def record(seconds):
        number = next(calls)
        database["tasks"].insert_one(scored(number, 1 + number % PEOPLE, number))
        assert recorder.record_source("tasks", oid(1000 + number))

    context = aim.context()
    monkeypatch.setattr(context.stop, "wait", record)
    Driver(context).apply([s2_create_indexes])
    assert next(calls) > 501
    assert_stands(aim, "earliest")
    assert verified(aim)


def test_an_explanation_says_since_when_the_score_is_what_it_is(database):
    fill(database)
    app = migrated(database, "earliest")
    who, (_, at) = next(iter(since(database).items()))
    assert explain(app.context(), str(who)).entry.reached == at
    database["leaderboard_entries"].update_one({"_id": f"global:{who}"}, {"$set": {"reachedAt": NEW_YEAR}})
    [told] = [each for each in explain(app.context(), str(who)).differences if "score of the entry" in each.subject]
    assert told.next.startswith("lbmigrate backfill")
    with pytest.raises(Mismatch, match="has had its score since 2025-01-01T00:00:00Z, by the ledger since"):
        verified(app)
