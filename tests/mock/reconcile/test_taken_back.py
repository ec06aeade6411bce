"""Much of a source is taken back only when its number was agreed to; before that nothing is written."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from bson import Int64

from lbmigrate import commands
from lbmigrate.config.model import Config
from lbmigrate.config.pace import Reconcile
from lbmigrate.errors import Refused
from lbmigrate.ledger.budget import MANY, Budget, TooMuch
from lbmigrate.ledger.settle import actions
from lbmigrate.migration.runner import Terms
from lbmigrate.mongo import fake
from lbmigrate.reconcile import taken_back
from lbmigrate.run.connection import Connection
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.state import State
from tests.apps import SESSIONS, TASKS, config, oid, picture, session, task, user

pytestmark = pytest.mark.sampled

FULL = VerifyOptions(full=True)
HIGH = {**TASKS, "where": {"status": "done", "priority": "high"}}
UNHURRIED = Terms(lock_ttl=86_400.0)


def connected(client, settings: Config) -> Connection:
    return Connection(client, settings, client["app"], client["app"], State(client["app"]))


@pytest.fixture
def app():
    """Three users with two hundred tasks, two thirds of them of high priority, and four sessions; migrated."""
    with fake.client() as client:
        connection = connected(client, config(TASKS, SESSIONS, backfill={"chunk_size": 500}))
        connection.target["users"].insert_many([user(number) for number in (1, 2, 3)])
        documents = [task(n, owner=1 + n % 3, priority="high" if n % 3 else "low", helper=oid(4)) for n in range(200)]
        connection.target["tasks"].insert_many(documents)
        connection.target["sessions"].insert_many([session(number, owner=1) for number in range(4)])
        commands.run(connection, no_backup=True, terms=UNHURRIED)
        yield connection


def under(app, *sources, **parts):
    return connected(app.client, config(*sources, backfill={"chunk_size": 500}, **parts))


def derived(app):
    shown = picture(app.target, times=False)
    return {name: shown[name]["documents"] for name in ("score_events", "leaderboard_entries")}


RULES = {
    "fewer documents count": (HIGH, 67, "`where` of tasks has changed"),
    "fewer points": ({**TASKS, "points": 3}, 200, "`points` of tasks has changed"),
    "other people": ({**TASKS, "user": "helper"}, 200, "`user` of tasks has changed"),
    "another action": ({**TASKS, "action": "task_done"}, 200, "`action` of tasks has changed"),
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_that_take_back_much_stop_before_anything_is_written_and_the_number_that_is_named_goes_on(app, rule):
    source, number, why = RULES[rule]
    changed, before = under(app, source, SESSIONS), derived(app)
    with pytest.raises(Refused, match=rf"(?s){re.escape(why)}.*: {number} actions") as refused:
        commands.reconcile(changed, terms=UNHURRIED)
    assert refused.value.exit_code == 6
    assert len(refused.value.details) == taken_back.EXAMPLES
    assert derived(app) == before
    [named] = re.findall(r"lbmigrate reconcile --allow (\d+)$", refused.value.hint)
    commands.reconcile(changed, allow=int(named), terms=UNHURRIED)
    assert derived(app) != before
    assert commands.reconcile(changed, terms=UNHURRIED).reasons == {}


def test_what_is_within_the_share_or_few_is_taken_back_without_being_asked(app):
    gone = [oid(1000 + number) for number in range(20)]
    app.target["tasks"].delete_many({"_id": {"$in": gone}})
    assert commands.reconcile(app, terms=UNHURRIED).reasons == {"voided": 20}


def test_the_share_is_what_the_configuration_says(app):
    app.target["tasks"].delete_many({"_id": {"$in": [oid(1000 + number) for number in range(60)]}})
    with pytest.raises(Refused, match=r"30\.0% of task_complete would be taken back, 600 points \(60 voided\)"):
        commands.reconcile(under(app, TASKS, SESSIONS, reconcile={"at_most": "29.5 %"}), terms=UNHURRIED)
    bold = under(app, TASKS, SESSIONS, reconcile={"at_most": 0.3})
    assert commands.reconcile(bold, terms=UNHURRIED).reasons == {"voided": 60}


@pytest.mark.parametrize("written", ["5 %", "5%", 0.05, "5.0 %"])
def test_a_share_is_written_as_a_percentage_or_as_a_number(written):
    assert Reconcile.model_validate({"at_most": written}).at_most == 0.05


@pytest.mark.parametrize("written", ["five %", 5, "101 %", -0.1])
def test_what_is_no_share_is_refused(written):
    with pytest.raises(ValueError, match="at_most"):
        Reconcile.model_validate({"at_most": written})


def test_of_a_large_ledger_a_part_that_is_spread_evenly_is_looked_at_and_then_all_is_counted(app, monkeypatch):
    monkeypatch.setattr(taken_back, "LOOKED_AT", 100)
    monkeypatch.setattr(taken_back, "PIECES", 10)
    with pytest.raises(Refused, match=": 67 actions"):
        commands.reconcile(under(app, HIGH, SESSIONS), terms=UNHURRIED)


def test_what_was_not_seen_before_stops_while_it_goes_on(app):
    budget = Budget(app.context())
    [action, _] = actions(app.config)
    taking = [{"points": Int64(-10), "meta": {"reason": "voided"}}]
    for _ in range(20):
        budget.take(action, taking)
    with pytest.raises(TooMuch):
        budget.take(action, taking)
    allowed = Budget(app.context(), allowed=200)
    allowed.take(action, taking * 200)


def test_a_backfill_leaves_what_is_too_much_standing_and_names_what_settles_it(app):
    at = dt.datetime(2099, 1, 1)
    app.target["tasks"].update_many(
        {"_id": {"$gte": oid(1000), "$lte": oid(1000 + MANY)}}, {"$set": {"status": "todo", "updatedAt": at}}
    )
    before, told = derived(app), []
    terms = Terms(lock_ttl=86_400.0, listen=lambda report: told.append(report.piece.warning if report.piece else ""))
    commands.backfill(app, terms=terms)
    assert derived(app) == before
    assert any("101 of task_complete were not taken back; next: lbmigrate reconcile" in each for each in told)
    with pytest.raises(Refused, match=": 101 actions"):
        commands.reconcile(app, terms=UNHURRIED)


def test_a_repair_stops_first_as_well_and_goes_on_by_the_number(app):
    changed, before = under(app, HIGH, SESSIONS), derived(app)
    with pytest.raises(Refused, match=": 67 actions") as refused:
        commands.repair(changed, options=FULL, terms=UNHURRIED)
    assert derived(app) == before
    assert refused.value.hint.endswith("lbmigrate verify --full --repair --allow 67")
    assert commands.repair(changed, options=FULL, allow=67, terms=UNHURRIED)["passed"]


def test_plan_names_the_number_that_has_to_be_agreed_to(app):
    changed = under(app, HIGH, SESSIONS)
    found = commands.plan(changed)
    assert found.drift.next == "lbmigrate reconcile --allow 67"
    assert [str(moved) for moved in found.drift.actions.values()] == ["67 adjustments, -670 points"]
    assert (found.drift.rise, found.drift.fall, found.drift.exact) == (0, 1, True)


def test_a_source_of_which_nothing_counts_is_not_cut_over(app):
    commands.rollback(app, to=5, terms=UNHURRIED)
    app.target["sessions"].update_many({}, {"$set": {"type": "Focus"}})
    commands.reconcile(app, allow=4, terms=UNHURRIED)
    with pytest.raises(Refused, match="nothing of a source counts: sessions: no document of sessions meets"):
        commands.run(app, no_backup=True, terms=UNHURRIED)
    assert not app.target["feature_flags"].find_one()["read"]
    without = under(app, TASKS)
    commands.reconcile(without, terms=UNHURRIED)
    commands.run(without, no_backup=True, confirmed=True, terms=UNHURRIED)
    assert app.target["feature_flags"].find_one()["read"]


def test_events_of_an_entry_are_the_actions_that_stand(app):
    for status in ("todo", "done", "todo", "done"):
        app.target["tasks"].update_many({"userId": oid(1)}, {"$set": {"status": status}})
        commands.reconcile(app, allow=200, terms=UNHURRIED)
    entry = app.target["leaderboard_entries"].find_one({"_id": f"global:{oid(1)}"})
    assert (entry["events"], entry["counted"], entry["score"]) == (67 + 4, 67 * 5 + 4, 770)
    assert commands.verify(app, options=FULL, terms=UNHURRIED)["passed"]


def test_an_entry_of_an_earlier_version_passes_and_counts_actions_after_the_next_whole_backfill(app):
    app.target["tasks"].update_one({"_id": oid(1000)}, {"$set": {"status": "todo"}})
    commands.reconcile(app, terms=UNHURRIED)
    name = f"global:{oid(1)}"
    before = app.target["leaderboard_entries"].find_one({"_id": name})
    app.target["leaderboard_entries"].update_one(
        {"_id": name}, {"$set": {"events": before["counted"]}, "$unset": {"counted": ""}}
    )
    assert commands.verify(app, options=FULL, terms=UNHURRIED)["passed"]
    commands.backfill(app, scope=Scope(full=True), terms=UNHURRIED)
    after = app.target["leaderboard_entries"].find_one({"_id": name})
    assert (after["events"], after["counted"]) == (before["events"], before["counted"])


def test_who_would_be_forgotten_is_told_before_anybody_is(app):
    before = derived(app)
    found = commands.preview_forget(app, str(oid(1)))
    assert str(found).startswith("'User 1', who has 71 events and 770 points; ")
    assert found.entries == app.target["leaderboard_entries"].count_documents({"userId": oid(1)})
    assert derived(app) == before
