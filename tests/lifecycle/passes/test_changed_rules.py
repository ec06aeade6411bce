"""A configuration that is corrected later: what the old one left out is found, and nothing that is told is in vain.

A table of changes. For each: what plan and status name ends in a board that equals one made by the new rules alone.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from dataclasses import replace

import pytest

from lbmigrate.errors import Mismatch, Refused
from lbmigrate.migration import plan
from lbmigrate.migration.status import status
from lbmigrate.migration.steps import STEPS, s4_backfill, s5_verify, s6_cut_over
from lbmigrate.passes import watermark
from lbmigrate.passes.scored_by import RULES
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.verify import verdict
from tests.apps import NEW_YEAR, TASKS, App, config, oid, stopped_after, task, user

pytestmark = pytest.mark.sampled

DAY = dt.timedelta(days=1)
NUMBERS = itertools.count()
FULL = VerifyOptions(full=True)
FORMULA = {"let": {"minutes": {"path": "took", "unit": "seconds", "to": "minutes"}}, "points": "floor(minutes)"}
MILLISECONDS = {"minutes": {"path": "took", "unit": "ms", "to": "minutes"}}
LISTS = {"unwind": "parts", "where": {}, "at": ["parts.at"], "updated": None}

# A change of the source `tasks`: what was said before, what is said now, and which of both commands it takes.
CHANGES = {
    "where is widened": ({}, {"where": {"status": {"$in": ["done", "archived"]}}}, True, True),
    "where is narrowed": ({"where": {}}, {}, True, True),
    "the collection is corrected": ({"collection": "sessions"}, {}, True, True),
    "at is corrected": ({"at": ["finishedAt"]}, {}, True, True),
    "at is another field": ({"at": ["updatedAt"]}, {}, False, True),
    "the user is corrected": ({"user": "ownerId"}, {}, True, True),
    "the user is another field": ({"user": "helper"}, {}, False, True),
    "elements instead of documents": ({}, LISTS, True, True),
    "other elements": (LISTS, {**LISTS, "unwind": "more", "at": ["more.at"]}, True, True),
    "the unit of a duration": (FORMULA, {**FORMULA, "let": MILLISECONDS}, False, True),
    "another field for a duration": ({**FORMULA, "let": {"minutes": {"path": "span"}}}, FORMULA, True, True),
    "a formula for a number": ({}, FORMULA, False, True),
    "another number": ({}, {"points": 15}, False, True),
    "a range of points": ({**FORMULA, "points_range": [0, 12]}, FORMULA, True, True),
    "the field that grows": ({"updated": "madeAt"}, {}, True, True),
    "another action": ({"action": "task_done"}, {}, True, True),
    "what is copied": ({"meta": {}}, {}, False, True),
}  # fmt: skip
every_change = pytest.mark.parametrize("change", CHANGES)


def documents():
    """Forty tasks; later ones lack what an earlier rule would have asked for."""
    for number in range(40):
        at = NEW_YEAR + number * DAY
        fields = {
            "status": "archived" if number % 3 == 0 else "done",
            "helper": oid(4),
            "took": 600 + 60 * number,
            "madeAt": NEW_YEAR,
            "updatedAt": at + DAY,
            "parts": [{"id": f"p{number}", "at": at}],
            "more": [{"id": f"m{number}", "at": at}],
        }
        yield task(number, owner=1 + number % 3, hours=24 * number, **fields)


def fill(database):
    database["users"].insert_many([user(number) for number in (1, 2, 3, 4)])
    database["tasks"].insert_many(list(documents()))
    database["sessions"].insert_many([task(900 + number, status="done") for number in range(3)])
    database["tasks"].create_index("updatedAt")
    return database


@pytest.fixture
def home(database):
    return fill(database)


def source(**said):
    return {**TASKS, **said}


def under(app, *sources, **parts):
    return replace(app, config=config(*sources, **parts))


def changed(home, change, apply=True):
    """The app migrated by the old rules, the same under the new ones, and whether it takes a backfill, a reconcile."""
    before, after, *takes = CHANGES[change]
    app = App(home, config(source(**before)))
    if apply:
        app.apply(STEPS[:4])
    return app, under(app, source(**after)), *takes


def board(app):
    """Scores by entry; one of nothing is none."""
    return {name: entry["score"] for name, entry in app.entries().items() if entry["score"]}


def made_again(home, app):
    """The board that the rules in force make of the same documents."""
    other = home.client[f"{home.name}_{next(NUMBERS)}"]
    fresh = App(fill(other), app.config)
    fresh.apply(STEPS[:4])
    return board(fresh)


def findings(app):
    return {each.subject: each for each in plan.look(app.context()).findings}


def told(app):
    return " | ".join(status(app.context()).rules)


def refused_by(call):
    """What a call refuses with; None where it goes through."""
    try:
        call()
    except (Refused, Mismatch) as error:
        return error
    return None


@every_change
def test_what_plan_names_ends_in_the_board_that_the_new_rules_make(home, change):
    _, app, takes_backfill, takes_reconcile = changed(home, change)
    found = findings(app)
    assert ("history" in found, "rules" in found) == (takes_backfill, takes_reconcile)
    assert re.fullmatch(r"lbmigrate reconcile( --allow [0-9]+)?", found["rules"].fix)  # where much is taken back
    assert "next: lbmigrate reconcile" in told(app)
    if takes_backfill:
        app.backfill()
    app.reconcile()
    assert board(app) == made_again(home, app)
    assert not {"history", "rules"} & findings(app).keys()
    app.apply(STEPS[4:], verify=FULL)
    assert told(app) == ""


@pytest.mark.slow
@every_change
def test_a_reconciliation_does_not_silence_what_is_still_to_be_read(home, change):
    _, app, takes_backfill, _ = changed(home, change)
    app.reconcile()
    assert ("history" in findings(app)) == takes_backfill
    assert ("next: lbmigrate backfill" in told(app)) == takes_backfill
    if takes_backfill:
        assert "changed since it was read" in plan.look(app.context()).steps[3].todo[0]
        app.backfill()
    assert board(app) == made_again(home, app)


@pytest.mark.slow
@every_change
def test_a_run_reads_again_what_other_rules_have_read_and_shows_no_board_of_both(home, change):
    _, app, takes_backfill, _ = changed(home, change)
    if takes_backfill:
        with pytest.raises(Refused, match="without all of its history") as refused:
            app.apply([s6_cut_over])
        assert refused.value.hint == "lbmigrate reconcile, then: lbmigrate run"
    refusal = refused_by(app.apply)
    if refusal:  # the ledger has points, or actions, of the old rules
        assert refusal.hint.startswith("lbmigrate reconcile, then: lbmigrate ")
        app.reconcile()
        app.apply()
    assert board(app) == made_again(home, app)
    assert home["feature_flags"].find_one()["read"] is True


@pytest.mark.slow
@every_change
def test_an_open_first_pass_starts_over_under_the_new_rules(home, change):
    app, now, takes_backfill, _ = changed(home, change, apply=False)
    app.apply(STEPS[:3])
    stopped_after(s4_backfill, app.context(), 4, saved=True)
    before = app.state.watermark("tasks")["pass"]
    now.backfill()
    now.reconcile()
    assert (app.state.watermark("tasks")["pass"]["number"] > before["number"]) == takes_backfill
    assert board(now) == made_again(home, now)
    assert app.chunks(status="claimed") == []


@pytest.mark.parametrize("change", ["where is widened", "at is corrected", "the collection is corrected"])
def test_a_full_or_an_incremental_backfill_that_is_stopped_starts_over_as_well(home, change):
    app, now, _, _ = changed(home, change)
    for scope in (Scope(), Scope(full=True)):
        stopped_after(s4_backfill, app.context(scope=scope), 2, saved=True)
        now.backfill(scope=scope)
        now.reconcile()
        assert board(now) == made_again(home, now)


def test_a_verification_does_not_vouch_for_history_that_is_not_read(home):
    _, app, _, _ = changed(home, "where is widened")
    app.reconcile()
    with pytest.raises(Mismatch, match="`where` has changed since it was read") as found:
        app.apply([s5_verify], verify=FULL)
    assert found.value.hint == "lbmigrate backfill, then: lbmigrate verify"
    app.backfill()
    app.apply([s5_verify], verify=FULL)
    assert app.state.get("verdict")["passed"]


def test_a_verdict_about_another_configuration_does_not_allow_the_cut_over(home):
    app = App(home, config(TASKS))
    app.apply(STEPS[:5])
    monthly = under(app, TASKS, periods=["global", "week", "month"])
    assert verdict.is_current(app.context())
    assert not verdict.is_current(monthly.context())
    assert "the verdict is about another configuration; next: lbmigrate verify" in told(monthly)
    assert "the configuration has changed" in plan.look(monthly.context()).steps[4].todo[0]
    with pytest.raises(Refused, match="the configuration has changed since the last one") as refused:
        monthly.apply([s6_cut_over])
    assert refused.value.hint == "lbmigrate verify"
    monthly.reconcile()
    monthly.apply([s5_verify], verify=FULL)
    monthly.apply([s6_cut_over])


def test_a_source_that_is_added_or_renamed_is_read_from_its_beginning(home):
    app = App(home, config(TASKS))
    app.apply()
    more = {**TASKS, "name": "focus", "collection": "sessions", "action": "focus_session"}
    both = under(app, {**TASKS, "name": "chores"}, more)
    assert [step.todo for step in plan.look(both.context()).steps][3][0].startswith("backfill 26 documents of tasks")
    assert both.backfill().emitted == 3
    both.reconcile()
    assert board(both) == made_again(home, both)
    assert findings(both).keys().isdisjoint({"history", "rules"})


def test_two_sources_that_change_names_are_both_read_again(home):
    one, other = source(), source(name="focus", collection="sessions", action="focus_session")
    app = App(home, config(one, other))
    app.apply(STEPS[:5])
    swapped = under(app, {**one, "name": "focus"}, {**other, "name": "tasks"})
    assert len(watermark.to_be_read_again(swapped.context())) == 2
    swapped.backfill()
    swapped.reconcile()
    assert board(swapped) == made_again(home, swapped)


def test_going_back_to_the_old_rules_does_not_hide_what_the_new_ones_have_added(home):
    app = App(home, config(TASKS))
    app.apply(STEPS[:5])
    under(app, source(where={})).backfill()
    assert findings(app)["rules"].fix == "lbmigrate reconcile"
    app.backfill()
    app.reconcile()
    assert board(app) == made_again(home, app)
    assert findings(app).keys().isdisjoint({"history", "rules"})


def test_a_limit_on_the_future_that_is_lifted_takes_in_what_it_had_rejected(home):
    home["tasks"].insert_one(task(700, hours=24 * 400))
    noon = NEW_YEAR + 60 * DAY
    app = App(home, config(TASKS), clock=lambda: noon)
    app.backfill()
    lifted = replace(app, config=config(TASKS, backfill={"future_limit": None}))
    assert lifted.backfill().emitted == 1


def test_an_idle_backfill_still_reads_only_what_is_new(home):
    app = App(home, config(TASKS))
    app.apply()
    assert app.backfill().read <= 2
    app.reconcile()
    assert app.backfill().read <= 2


# --- what an earlier version has left ------------------------------------------------------------------------------


def as_an_earlier_version(app):
    """The state without what says by which rules anything was read."""
    gone = ("rules", "start", "pass.rules", "pass.start", "pass.anew")
    app.state.rows.update_many({"kind": "watermark", "digest": {"$exists": False}}, {"$unset": dict.fromkeys(gone, "")})
    app.state.rows.update_many({"_id": "verdict"}, {"$unset": {"rules": ""}})
    app.state.rows.update_many({"_id": RULES}, {"$unset": {"mixed": ""}})


def test_a_watermark_of_an_earlier_version_holds_under_the_rules_that_the_ledger_was_scored_by(home):
    app = App(home, config(TASKS))
    app.apply()
    as_an_earlier_version(app)
    assert not plan.look(app.context()).pending
    assert told(app) == ""
    assert app.backfill().read <= 2
    assert "rules" in app.state.watermark("tasks")


def test_a_watermark_of_an_earlier_version_does_not_hold_under_other_rules(home):
    app, now, _, _ = changed(home, "where is widened")
    as_an_earlier_version(app)
    assert "may have changed since it was read" in told(now)
    assert not verdict.is_current(now.context())
    now.backfill()
    assert board(now) == made_again(home, now)


def test_an_open_pass_of_an_earlier_version_goes_on_under_its_rules_and_starts_over_under_others(home):
    app, now, _, _ = changed(home, "where is widened", apply=False)
    app.apply(STEPS[:3])
    stopped_after(s4_backfill, app.context(), 4, saved=True)
    as_an_earlier_version(app)
    number = app.state.watermark("tasks")["pass"]["number"]
    stopped_after(s4_backfill, app.context(), 2, saved=True)
    assert app.state.watermark("tasks")["pass"]["number"] == number
    now.backfill()
    assert board(now) == made_again(home, now)


def test_what_a_reconciliation_of_an_earlier_version_has_silenced_is_read(home):
    app, now, _, _ = changed(home, "where is widened")
    now.reconcile()
    as_an_earlier_version(app)
    since = app.state.get(RULES)["since"]
    record = {"_id": "run:old", "kind": "run", "verb": "reconcile", "startedAt": since - DAY, "endedAt": since + DAY}
    app.state.rows.insert_one(record)
    now.backfill()
    assert board(now) == made_again(home, now)
    assert now.backfill().read <= 2
