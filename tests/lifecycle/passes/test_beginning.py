"""Where the board begins: chosen once, and kept by every backfill that follows until somebody says otherwise."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from lbmigrate.cli import options
from lbmigrate.errors import UsageError
from lbmigrate.migration import plan
from lbmigrate.migration.status import status
from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.passes.beginning import settled
from lbmigrate.run.context import Scope
from lbmigrate.run.stop import Limits, Stop
from tests.apps import NEW_YEAR, TASKS, App, config, oid, stopped_after, task, user

pytestmark = pytest.mark.sampled

DAY = dt.timedelta(days=1)
HALF = NEW_YEAR + 50 * DAY
indexed_or_not = pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not-indexed"])
every_later_backfill = pytest.mark.parametrize(
    "scope",
    [Scope(), Scope(full=True), Scope(user=str(oid(1))), Scope(since=NEW_YEAR), Scope(until=HALF + 90 * DAY)],
    ids=["cron", "full", "by name", "since", "until"],
)


def run_since(at, words=""):
    return Scope(since=at, words=words, lasting=True)


@pytest.fixture
def app(database):
    """A hundred tasks, one a day, of two users."""
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2, hours=24 * number) for number in range(100)])
    database["tasks"].create_index("updatedAt")
    return App(database, config())


def said(app, **parts):
    return replace(app, config=config(TASKS, **parts))


def counted(app):
    return len(app.events())


@indexed_or_not
@every_later_backfill
def test_the_since_of_a_run_is_kept_by_every_later_backfill(app, scope, indexed):
    if indexed:
        app.database["tasks"].create_index("completedAt")
    app.apply(scope=run_since(HALF))
    assert counted(app) == 50
    app.backfill(scope=scope)
    app.reconcile()
    assert counted(app) == 50
    assert min(event["createdAt"] for event in app.events()) == HALF
    assert app.database["feature_flags"].find_one()["read"] is True


def test_a_run_with_since_is_followed_by_incremental_backfills_and_nothing_is_pending(app):
    app.apply(scope=run_since(HALF))
    assert not plan.look(app.context()).pending
    assert app.backfill().read <= 2


def test_an_old_task_that_changes_later_does_not_come_onto_the_board(app):
    app.apply(scope=run_since(HALF))
    app.database["tasks"].update_one({"_id": oid(1003)}, {"$set": {"updatedAt": NEW_YEAR + 101 * DAY}})
    app.database["tasks"].insert_one(task(101, hours=24 * 101))
    counts = app.backfill()
    assert (counts.emitted, counts.skipped) == (1, 1)


def test_plan_and_status_say_where_the_board_begins_who_said_so_and_how_to_reach_further_back(app):
    app.apply(scope=run_since(HALF, "6mo"))
    (found,) = [each for each in plan.look(app.context()).findings if each.subject == "history"]
    for text in (f"{found.fact} {found.fix}", *status(app.context()).rules):
        assert "actions before 2025-02-20T00:00:00Z are left out, as `run --since 6mo` of " in text
        assert "lbmigrate run --since DATE, or --since all" in text


@pytest.mark.parametrize(("words", "expected"), [("2025-01-21", 80), ("all", 100)])
def test_an_earlier_since_makes_the_board_reach_further_back_for_good(app, words, expected):
    app.apply(scope=run_since(HALF))
    app.apply(scope=replace(options.scope(words, None), lasting=True))
    assert counted(app) == expected
    app.backfill()
    assert counted(app) == expected
    assert app.backfill().read <= 2


@pytest.mark.parametrize(("expected", "words"), [(80, "2025-01-21"), (100, "all")])
def test_reaching_further_back_may_be_stopped_and_is_finished_by_cron(app, expected, words):
    app.apply(scope=run_since(HALF))
    scope = replace(options.scope(words, None), lasting=True)
    app.apply(scope=scope, stop=Stop(Limits(documents=10)))
    assert 50 <= counted(app) < expected
    app.backfill()
    assert counted(app) == expected


def test_the_same_command_goes_on_a_day_later_though_so_long_ago_is_another_day_then(app):
    app.apply(STEPS[:4], scope=run_since(HALF, "6mo"), stop=Stop(Limits(documents=10)))
    assert counted(app) < 50
    app.apply(scope=run_since(HALF + DAY, "6mo"))
    assert counted(app) == 50
    app.apply(scope=run_since(HALF + 9 * DAY, "6mo"))
    assert "watermark:tasks:bounded" not in {row["_id"] for row in app.state.of_kind("watermark")}


def test_a_later_since_on_a_board_that_is_filled_bounds_one_run_and_takes_nothing_away(app):
    app.apply(scope=run_since(HALF))
    context = app.context(scope=run_since(HALF + 20 * DAY))
    assert "bound it alone" in settled(context).told
    app.apply(scope=context.scope)
    assert counted(app) == 50
    app.backfill()
    assert counted(app) == 50


def test_since_on_a_board_that_has_everything_bounds_one_run(app):
    app.apply()
    app.apply(scope=run_since(HALF))
    assert counted(app) == 100
    app.database["score_events"].delete_one({"sourceId": oid(1003)})
    app.backfill(scope=Scope(full=True))
    assert counted(app) == 100


@pytest.mark.parametrize("bounds", [{"since": HALF}, {"until": HALF}], ids=["since", "until"])
def test_bounds_of_a_backfill_are_for_it_alone_and_it_says_so(app, bounds):
    notes = [piece.note for piece in s4_backfill.apply(app.context(scope=Scope(**bounds)))]
    assert f"--{next(iter(bounds))} of this backfill bound it alone: " in notes[0]
    app.backfill()
    assert counted(app) == 100


def test_until_of_a_run_is_for_it_alone_and_its_since_lasts(app):
    app.apply(STEPS[:4], scope=replace(run_since(HALF), until=HALF + 10 * DAY))
    assert counted(app) == 10
    app.backfill()
    assert counted(app) == 50


def test_a_rollback_forgets_where_the_board_began(app):
    app.apply(scope=run_since(HALF))
    app.revert()
    app.apply()
    assert counted(app) == 100


# --- said by the configuration -------------------------------------------------------------------------------------


@every_later_backfill
def test_the_configuration_says_where_the_board_begins(app, scope):
    app = said(app, backfill={"since": "2025-02-20"})
    app.apply()
    assert counted(app) == 50
    app.backfill(scope=scope)
    assert counted(app) == 50
    assert "as backfill.since (2025-02-20) says" in status(app.context()).rules[0]


def test_so_long_ago_in_the_configuration_is_counted_from_the_first_backfill(app):
    now = NEW_YEAR + 100 * DAY
    app = replace(said(app, backfill={"since": "50d"}), clock=lambda: now)
    app.backfill()
    assert counted(app) == 50
    later = replace(app, clock=lambda: now + 30 * DAY)
    later.backfill(scope=Scope(full=True))
    app.database["tasks"].insert_one(task(300, hours=24 * 60 + 1))
    later.backfill(scope=Scope(full=True))
    assert counted(app) == 51


@pytest.mark.parametrize(("parts", "expected"), [({"since": "2025-01-21"}, 80), ({"since": "all"}, 100), ({}, 100)])
def test_an_earlier_one_in_the_configuration_or_none_any_more_is_read_by_the_next_backfill(app, parts, expected):
    said(app, backfill={"since": "2025-02-20"}).apply()
    wider = said(app, backfill=parts)
    assert "actions from before 2025-02-20 are to be counted as well" in plan.look(wider.context()).steps[3].todo[0]
    wider.backfill()
    assert counted(app) == expected
    assert wider.backfill().read <= 2


def test_a_later_one_in_the_configuration_takes_nothing_away_and_what_it_left_out_is_read_when_it_goes(app):
    said(app, backfill={"since": "2025-02-20"}).apply()
    later = said(app, backfill={"since": "2025-03-20"})
    app.database["tasks"].insert_one(task(200, hours=24 * 60 + 1, updatedAt=NEW_YEAR + 101 * DAY))
    later.backfill()
    assert counted(app) == 50
    said(app, backfill={"since": "2025-02-20"}).backfill()
    assert counted(app) == 51


def test_an_earlier_since_of_a_run_than_the_configuration_says_is_refused_with_what_helps(app):
    said(app, backfill={"since": "2025-02-20"}).apply()
    configured = said(app, backfill={"since": "2025-02-20"})
    with pytest.raises(UsageError, match="is earlier than where the board begins") as refused:
        configured.apply(scope=run_since(NEW_YEAR, "2025-01-01"))
    assert refused.value.hint == "an earlier `backfill.since`, then: lbmigrate backfill"


def test_a_pass_that_is_open_starts_over_when_the_board_is_to_begin_earlier(app):
    later = said(app, backfill={"since": "2025-02-20"})
    later.apply(STEPS[:3])
    stopped_after(s4_backfill, later.context(), 5, saved=True)
    said(app, backfill={"since": "2025-01-21"}).backfill()
    assert counted(app) == 80
