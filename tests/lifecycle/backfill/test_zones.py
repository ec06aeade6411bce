"""Days, weeks and streaks by each user's own clocks, from the first backfill on, with live actions and moves."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from lbmigrate.board import calendar
from lbmigrate.board.place import Freshness
from lbmigrate.checks import users as people_checks
from lbmigrate.explain.explain import explain
from lbmigrate.ledger.partitions import near_periods
from lbmigrate.live.recorder import ScoreRecorder
from lbmigrate.migration.status import status
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.schema.layout import partitions
from tests.apps import NEW_YEAR, USERS, App, config, oid, picture, task, untimed, user
from tests.zoned import CHANGES, Board, board, shown

pytestmark = pytest.mark.sampled

ZONE = "timezoneSnapshot"
EVERYONE = VerifyOptions(full=True)
VERIFY = STEPS[4:5]
HOME = {1: "Pacific/Apia", 2: "Asia/Kathmandu", 3: "America/St_Johns", 4: "Africa/Casablanca", 5: "+05:45"}
OWN = {oid(number): zone for number, zone in HOME.items()}
LATER, AHEAD = NEW_YEAR + dt.timedelta(days=30), dt.datetime(2100, 1, 1)
KINDS = ["global", "day", "week", "month", "year"]
HOUR = dt.timedelta(hours=1)


def times(number: int) -> dt.datetime:
    """Every five hours around changes of clocks, some days before and after each."""
    change, place = divmod(number, 30)
    return CHANGES[change % len(CHANGES)] + (place - 15) * 5 * HOUR


def at(number: int, owner: int, when: dt.datetime) -> dict[str, Any]:
    return task(number, owner=owner, completedAt=when, updatedAt=when)


def migrated(database: Any, count: int = 60, **parts: Any) -> App:
    """Five users with zones, one with a zone that nobody knows, one without, and tasks of all of them."""
    users = [user(number, tz=zone, updatedAt=NEW_YEAR) for number, zone in HOME.items()]
    database["users"].insert_many([*users, user(6, tz="Middle-earth", updatedAt=NEW_YEAR), user(7, updatedAt=NEW_YEAR)])
    database["users"].insert_one(user(8, tz="UTC", updatedAt=NEW_YEAR + dt.timedelta(days=1)))  # the last who changed
    database["users"].create_index("updatedAt")
    database["tasks"].insert_many([at(number, 1 + number % 7, times(number * 4)) for number in range(count)])
    parts = {"periods": KINDS, "users": {**USERS, "timezone": "tz", "updated": "updatedAt"}, **parts}
    app = App(database, config(**parts))
    app.apply(STEPS[:4])
    return app


def expected(app: App, zones: dict[Any, str] | None = None) -> Board:
    events = [(each["userId"], 10, each["completedAt"]) for each in app.database["tasks"].find()]
    return board(events, OWN if zones is None else zones, app.config.timezone, app.config.day_begins)


def verified(app: App, **options: Any) -> bool:
    app.apply(VERIFY, verify=VerifyOptions(**{"full": True, **options}))
    return bool(app.state.get("verdict")["passed"])


def move(app: App, number: int, zone: str | None, when: dt.datetime = LATER) -> None:
    """Let a user move, and somebody else change after that: the last who changed is not looked at closely."""
    app.database["users"].update_one({"_id": oid(number)}, {"$set": {"tz": zone, "updatedAt": when}})
    app.database["users"].update_one({"_id": oid(8)}, {"$set": {"updatedAt": when + HOUR}})


def derived(app: App) -> dict[str, Any]:
    """The entries without what depends on when they were written."""
    return {name: untimed("leaderboard_entries", each) for name, each in app.entries().items()}


def zones_of(app: App, number: int) -> set[str | None]:
    return {entry[ZONE] for entry in app.entries().values() if entry["userId"] == oid(number)}


@pytest.mark.parametrize("starts", ["00:00", "04:00"])
def test_a_backfill_gives_everybody_their_own_days_and_a_verification_agrees(database, starts):
    app = migrated(database, day_starts=starts, timezone="Europe/Paris")
    assert shown(database) == expected(app)
    assert verified(app)
    assert verified(app, full=False)
    told = {row["period"]: (row["points"], row["ledger_points"]) for row in app.state.get("verdict")["periods"]}
    assert told == dict.fromkeys(KINDS, (600, 600))  # nobody but the sample was compared one by one
    assert [zones_of(app, number) for number in (1, 5, 6, 7)] == [{HOME[1]}, {"+05:45"}, {None}, {None}]


def test_days_may_begin_later_where_nobody_has_a_zone_of_their_own(database):
    app = migrated(database, users={**USERS, "updated": "updatedAt"}, timezone="America/St_Johns", day_starts="04:00")
    assert shown(database) == expected(app, zones={})
    assert verified(app)
    assert verified(app, full=False)
    assert not any(ZONE in entry for entry in app.entries().values())


def test_everybody_in_utc_have_the_entries_of_those_without_zones(anyclient, database):
    with_zones = migrated(database, users={**USERS, "timezone": "where", "updated": "updatedAt"})
    database["users"].update_many({}, {"$set": {"where": "UTC"}})
    with_zones.backfill(scope=Scope(full=True))
    plain = App(database, config(periods=KINDS, users={**USERS, "updated": "updatedAt"}))
    entries = {name: {**each, ZONE: None} for name, each in derived(with_zones).items()}
    plain.backfill(scope=Scope(full=True))
    assert {name: {**each, ZONE: None} for name, each in derived(plain).items()} == entries


def test_a_backfill_with_nothing_new_writes_nothing(database):
    app = migrated(database)
    before = picture(database)
    app.backfill()
    assert picture(database) == before


# --- who moves ------------------------------------------------------------------------------------------------------


def test_who_moves_has_all_days_by_the_new_clocks_after_the_next_backfill(database):
    app = migrated(database)
    move(app, 1, "America/St_Johns")
    app.backfill()
    assert shown(database) == expected(app, {**OWN, oid(1): "America/St_Johns"})
    assert zones_of(app, 1) == {"America/St_Johns"}
    assert verified(app)


@pytest.mark.parametrize("zone", [None, "Middle-earth", "UTC"])
def test_who_gives_up_a_zone_has_the_days_of_everybody(database, zone):
    app = migrated(database)
    move(app, 1, zone)
    app.backfill()
    assert shown(database) == expected(app, {**OWN, oid(1): "UTC"})
    assert verified(app)


def test_others_are_not_touched_by_a_move_and_neither_is_who_changed_something_else(database):
    app = migrated(database)
    before = app.entries()
    move(app, 1, "America/St_Johns")
    database["users"].update_one({"_id": oid(2)}, {"$set": {"seenAt": LATER, "updatedAt": LATER}})
    app.backfill()
    others = {name for name, each in before.items() if each["userId"] != oid(1)}
    assert {name: app.entries()[name] for name in others} == {name: before[name] for name in others}


def test_a_verification_between_a_move_and_the_next_backfill_is_not_alarmed(database):
    app = migrated(database)
    move(app, 1, "America/St_Johns", when=AHEAD)
    assert verified(app)
    assert verified(app, full=False)


def test_who_moves_and_acts_is_in_between_until_the_next_backfill_which_leaves_no_old_period(database):
    app = migrated(database)
    app.apply(STEPS[2:3])
    recorder = ScoreRecorder(database, app.config, strict=True, clock=lambda: AHEAD)
    move(app, 1, "America/St_Johns", when=AHEAD)
    database["tasks"].insert_one(new := at(900, 1, NEW_YEAR + dt.timedelta(days=200)))
    assert recorder.record_source("tasks", new["_id"])
    assert len(zones_of(app, 1)) == 2
    assert verified(app)
    app.backfill()
    assert shown(database) == expected(app, {**OWN, oid(1): "America/St_Johns"})
    assert verified(app)


def test_a_recorder_tells_the_days_of_live_actions_by_the_users_clocks_also_from_what_it_knows(database):
    app = migrated(database)
    recorder = ScoreRecorder(database, app.config, strict=True, clock=lambda: AHEAD)
    for number in range(12):
        when = NEW_YEAR + dt.timedelta(hours=7 * number)
        database["tasks"].insert_one(at(700 + number, 1 + number % 3, when))
        recorder.record("task_complete", oid(1 + number % 3), oid(1700 + number), at=when)
    assert shown(database) == expected(app)
    assert verified(app)


def test_a_recorder_forgets_what_it_knows_by_clocks_that_a_user_has_no_more(database):
    app = migrated(database, count=1)
    recorder = ScoreRecorder(database, app.config, strict=True, clock=lambda: AHEAD)
    when = dt.datetime(2025, 6, 1, 12)
    recorder.record("task_complete", oid(2), oid(1001), at=when)
    move(app, 2, "Pacific/Apia")
    recorder.record("task_complete", oid(2), oid(1002), at=when + 24 * HOUR)
    both = board([(oid(2), 10, when), (oid(2), 10, when + 24 * HOUR)], {oid(2): "Pacific/Apia"}, "UTC", 0 * HOUR)
    assert {key: row for key, row in shown(database).items() if key in both} == both


def test_without_a_time_of_change_who_moves_is_told_and_a_full_backfill_settles_it(database):
    app = migrated(database, users={**USERS, "timezone": "tz"})
    move(app, 1, "America/St_Johns")
    app.backfill()
    assert zones_of(app, 1) == {HOME[1]}
    assert verified(app)
    assert app.state.get("verdict")["findings"]
    app.backfill(scope=Scope(full=True))
    assert shown(database) == expected(app, {**OWN, oid(1): "America/St_Johns"})
    assert verified(app)
    assert not app.state.get("verdict")["findings"]


@pytest.mark.parametrize("missing", [None, "hide", "anonymous", "show"])
def test_who_is_gone_keeps_the_days_until_everybody_is_computed_again(database, missing):
    app = migrated(database, users={**USERS, "timezone": "tz", "updated": "updatedAt", "missing": missing})
    database["users"].delete_one({"_id": oid(1)})
    assert verified(app)
    app.backfill(scope=Scope(full=True))
    assert shown(database) == expected(app, {**OWN, oid(1): "UTC"})
    assert zones_of(app, 1) == {None}
    assert verified(app)


def test_of_two_documents_under_one_key_the_first_zone_by_name_counts_in_whatever_order(database):
    other = {"_id": str(oid(1)), "tz": "Africa/Casablanca", "updatedAt": NEW_YEAR, "key": "one"}
    database["users"].insert_many([{"_id": 1, "key": "one", "tz": "Pacific/Apia"}, {**other, "_id": 2}])
    database["users"].insert_many([{"_id": 3, "key": "two", "tz": "Asia/Tokyo"}, {"_id": 4, "key": "two", "name": "B"}])
    tasks = [{**at(number, 1, times(number)), "userId": ("one", "two")[number % 2]} for number in range(20)]
    database["tasks"].insert_many(tasks)
    app = App(database, config(periods=KINDS, users={**USERS, "key": "key", "timezone": "tz"}))
    app.apply(STEPS[:4])
    assert {entry["userId"]: entry[ZONE] for entry in app.entries().values()} == {
        "one": "Africa/Casablanca",
        "two": "Asia/Tokyo",
    }
    assert verified(app)


# --- what a verification finds --------------------------------------------------------------------------------------


def wrong(app: App) -> set[str]:
    with pytest.raises(Exception, match="verification found"):
        app.apply(VERIFY, verify=EVERYONE)
    return set(app.state.get("verdict")["kinds"])


def test_an_entry_on_the_wrong_day_is_found_and_healed(database):
    app = migrated(database)
    name = next(name for name, each in app.entries().items() if each["userId"] == oid(1) and len(each["period"]) == 10)
    entry = app.entries()[name]
    database["leaderboard_entries"].delete_one({"_id": name})
    database["leaderboard_entries"].insert_one({**entry, "_id": f"1999-01-01:{oid(1)}", "period": "1999-01-01"})
    assert wrong(app) == {"missing", "extra"}
    app.backfill(scope=Scope(full=True))
    assert verified(app)


@pytest.mark.parametrize("zone", ["UTC", None, "Asia/Kathmandu", 7, ""])
def test_a_wrong_zone_of_an_entry_is_found_and_healed(database, zone):
    app = migrated(database)
    database["leaderboard_entries"].update_one({"_id": f"global:{oid(1)}"}, {"$set": {ZONE: zone}})
    assert wrong(app) == {"snapshot"}
    app.backfill(scope=Scope(full=True))
    assert verified(app)


def test_entries_of_all_periods_in_another_zone_than_the_user_are_found(database):
    app = migrated(database)
    database["users"].update_one({"_id": oid(1)}, {"$set": {"tz": "Asia/Kathmandu"}})  # without a new time
    assert wrong(app) == {"snapshot"}
    app.backfill(scope=Scope(full=True))
    assert verified(app)


def test_a_sample_that_misses_an_entry_finds_it_by_the_sums_of_its_kind(database):
    app = migrated(database)
    for name in [name for name, each in app.entries().items() if each["userId"] == oid(3) and len(each["period"]) == 7]:
        database["leaderboard_entries"].delete_one({"_id": name})
    with pytest.raises(Exception, match="verification found"):
        app.apply(VERIFY, verify=VerifyOptions(sample=0))


# --- another configuration ------------------------------------------------------------------------------------------

CHANGED = {
    "zones are given": ({"users": {**USERS, "updated": "updatedAt"}}, {}),
    "zones are taken away": ({}, {"users": {**USERS, "updated": "updatedAt"}}),
    "another path": ({}, {"users": {**USERS, "timezone": "elsewhere", "updated": "updatedAt"}}),
    "days begin later": ({}, {"day_starts": "04:00"}),
    "days begin at midnight again": ({"day_starts": "04:00"}, {}),
    "everybody else moves": ({}, {"timezone": "Asia/Tokyo"}),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_reconciliation_as_status_says_leaves_nothing_of_other_clocks(anyclient, database, change):
    before, after = ({"periods": KINDS, **parts} for parts in CHANGED[change])
    app = migrated(database, **before)
    app.apply(VERIFY, verify=EVERYONE)
    usual = {"users": {**USERS, "timezone": "tz", "updated": "updatedAt"}}
    app.config = config(**{**usual, **after})
    told = status(app.context()).rules
    assert any("has changed since" in each and each.endswith("; next: lbmigrate reconcile") for each in told)
    assert "the verdict is about another configuration; next: lbmigrate verify" in told
    app.reconcile()
    assert verified(app)
    left = derived(app)
    database["leaderboard_entries"].delete_many({})
    app.backfill(scope=Scope(full=True))
    assert derived(app) == left


# --- who looks ------------------------------------------------------------------------------------------------------


def test_status_and_doctor_say_who_has_no_zone_that_is_known(database):
    app = migrated(database)
    told = (
        "of 8 users 1 user has a time zone that is not known, such as string 'Middle-earth', and 1 user has none: "
        "their days are those of UTC"
    )
    assert told in status(app.context()).rules
    found = people_checks.findings(app.context(), {"users": {}}, {}, bounded=False)
    assert [(each.level, each.fact) for each in found if each.subject == "time zones"] == [("warning", told)]
    database["users"].update_many({"_id": {"$in": [oid(6), oid(7)]}}, {"$set": {"tz": "UTC", "updatedAt": LATER}})
    app.backfill()
    assert not any("time zone" in each for each in status(app.context()).rules)


def test_doctor_says_that_moves_are_not_noticed_without_a_time_of_change(database):
    app = migrated(database, users={**USERS, "timezone": "tz"})
    found = people_checks.findings(app.context(), {"users": {}}, {}, bounded=True)
    (told,) = [each.fix for each in found if each.fact.startswith("users.updated is not set")]
    assert told == "set users.updated, or schedule lbmigrate backfill --full"
    app.config = config(users={**USERS, "timezone": "tz", "updated": "updatedAt"})
    found = people_checks.findings(app.context(), {"users": {}}, {}, bounded=True)
    assert not any(each.fact.startswith("users.updated is not set") for each in found)


def test_an_explanation_has_the_days_of_the_user(database):
    app = migrated(database)
    for number, zone in {1: HOME[1], 7: "UTC"}.items():
        for (period, owner), (score, events, _) in expected(app).items():
            if owner == oid(number):
                told = explain(app.context(), str(oid(number)), period)
                assert (told.points, told.events, told.differences) == (score, events, ())
        assert f"days are those of {zone}" in told.notes


def test_an_explanation_says_that_the_entry_is_of_other_clocks(database):
    app = migrated(database)
    move(app, 1, "Asia/Kathmandu")
    told = explain(app.context(), str(oid(1)))
    assert [each.subject for each in told.differences if "zone" in each.subject] == ["time zone of the entry"]
    assert told.next == (f"lbmigrate backfill --user {oid(1)}",)
    app.backfill(scope=Scope(user=str(oid(1))))
    assert explain(app.context(), str(oid(1))).differences == ()


def test_a_period_lasts_until_it_is_over_for_all():
    rules = config(users={**USERS, "timezone": "tz"}, day_starts="04:00", backfill={"lag": "0s"})
    week = dt.datetime(2025, 11, 3, 4)
    until = week + dt.timedelta(days=7, hours=12)
    told = calendar.about("2025-W45", rules, Freshness(until - HOUR, 0.0))
    assert (told.begins, told.ends, told.settled) == (week - 14 * HOUR, until, False)
    assert calendar.about("2025-W45", rules, Freshness(until, 0.0)).settled


def test_collections_are_made_ahead_for_who_is_first_and_last():
    rules = config(users={**USERS, "timezone": "tz"}, periods=["day"])
    days = near_periods(rules, dt.datetime(2025, 11, 3, 11))
    assert (days[0], days[-1]) == ("2025-11-02", "2025-11-11")
    assert near_periods(config(periods=["day"], day_starts="04:00"), dt.datetime(2025, 11, 3, 3))[0] == "2025-11-02"


def moved(app: App) -> dict[Any, str]:
    """A user moves, and the next backfill notices; the zones by then."""
    move(app, 1, "America/St_Johns")
    app.backfill()
    return {**OWN, oid(1): "America/St_Johns"}


def elsewhere(app: App) -> dict[Any, str]:
    """Everybody else moves, by the configuration, and a reconciliation settles it."""
    app.config = app.config.model_copy(update={"timezone": "Asia/Tokyo"})
    app.reconcile()
    return OWN


@pytest.mark.parametrize("change", [moved, elsewhere])
def test_periods_with_collections_of_their_own_follow_other_clocks(database, change):
    app = migrated(database, layout="partitioned")
    assert len(partitions(database)) > 20
    zones = change(app)
    found = [each for name in ("leaderboard_entries", *partitions(database)) for each in database[name].find()]
    told = {(e["period"], e["userId"]): (e["score"], e["events"], e["streak"]) for e in found}
    assert told == expected(app, zones)
    assert verified(app)
