"""Verification finds whatever is wrong with the entries, and nothing is shown before it has passed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from bson import Int64

from lbmigrate import feature_flag
from lbmigrate.errors import Mismatch, Refused
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, VerifyOptions
from lbmigrate.verify.departed import TOLD
from tests.apps import SESSIONS, TASKS, App, config, oid, picture, pieces, session, task, user

pytestmark = pytest.mark.sampled

VERIFY, CUT_OVER = STEPS[4:5], STEPS[5:6]
EVERYONE = VerifyOptions(full=True)
GLOBAL = f"global:{oid(2)}"


@pytest.fixture
def app(database):
    """Nine users with tasks and sessions, emitted and rolled up but not verified."""
    database["users"].insert_many([user(number) for number in range(1, 10)])
    database["tasks"].insert_many([task(number, owner=1 + number % 9) for number in range(45)])
    database["sessions"].insert_many([session(number, owner=1 + number % 4) for number in range(20)])
    app = App(database, config(TASKS, SESSIONS, periods=["global", "day", "week", "month", "year"]))
    app.apply(STEPS[:4])
    return app


def verdict(app: App) -> Any:
    return app.state.get("verdict")


def test_entries_as_the_ledger_says_pass_and_every_one_of_them_was_compared(app):
    app.apply(VERIFY, verify=EVERYONE)
    assert verdict(app)["passed"]
    assert verdict(app)["entries"] == len(app.entries())
    assert verdict(app)["users"] == 9


def test_verifying_writes_nothing_but_the_verdict(app):
    before = picture(app.database)
    app.apply(VERIFY, verify=EVERYONE)
    assert picture(app.database) == before


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Apia"])
def test_streaks_are_verified_whatever_was_taken_back_moved_or_restored(database, zone):
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3, hours=7 * number) for number in range(60)])
    app = App(database, config(timezone=zone, periods=["global", "day", "week", "month", "year"]))
    app.apply(STEPS[:4])
    for number in range(0, 60, 4):
        database["tasks"].update_one({"_id": oid(1000 + number)}, {"$set": {"status": "todo"}})
    database["tasks"].update_many({"_id": {"$gt": oid(1050)}}, {"$set": {"userId": oid(1)}})
    app.reconcile()
    database["tasks"].update_many({"_id": {"$lt": oid(1020)}}, {"$set": {"status": "done"}})
    app.reconcile()
    app.apply(VERIFY, verify=EVERYONE)
    app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$inc": {"streak": 1}})
    with pytest.raises(Mismatch, match=r"user 0*2 in global: the entry has a streak of"):
        app.apply(VERIFY, verify=EVERYONE)


@pytest.mark.parametrize("zone", ["America/St_Johns", "Pacific/Auckland", "Asia/Kathmandu"])
def test_periods_of_other_time_zones_pass_too(database, zone):
    database["users"].insert_many([user(1)])
    new_year = [task(number, hours=number / 4 - 16) for number in range(128)]  # 2025 begins at another time everywhere
    summer_time = [task(200 + number, hours=24 * 88 + number / 2) for number in range(100)]
    database["tasks"].insert_many(new_year + summer_time)
    app = App(database, config(timezone=zone, periods=["global", "day", "week", "month", "year"]))
    app.apply(STEPS[:4])
    app.apply(VERIFY, verify=EVERYONE)
    assert verdict(app)["passed"]
    assert f"2024:{oid(1)}" in app.entries()


def a_score(entries, events):
    entries.update_one({"_id": GLOBAL}, {"$inc": {"score": Int64(1)}})


def a_count(entries, events):
    entries.update_one({"_id": GLOBAL}, {"$inc": {"events": Int64(1)}})


def a_newest_time(entries, events):
    entries.update_one({"_id": GLOBAL}, {"$set": {"lastEventAt": dt.datetime(2020, 1, 1)}})


def a_streak(entries, events):
    entries.update_one({"_id": GLOBAL}, {"$set": {"streak": 999}})


def a_streak_of_a_day(entries, events):
    entries.update_one({"userId": oid(2), "period": {"$regex": "^2025-01-"}}, {"$inc": {"streak": 1}})


def no_streak(entries, events):
    entries.update_one({"_id": GLOBAL}, {"$unset": {"streak": 1}})


def a_missing_entry(entries, events):
    entries.delete_one({"_id": GLOBAL})


def a_missing_user(entries, events):
    entries.delete_many({"userId": oid(2)})


def an_extra_period(entries, events):
    entry = entries.find_one({"_id": GLOBAL})
    entries.insert_one({**entry, "_id": f"1999:{oid(2)}", "period": "1999"})


def an_extra_user(entries, events):
    entry = entries.find_one({"_id": GLOBAL})
    entries.insert_one({**entry, "_id": f"global:{oid(77)}", "userId": oid(77)})


def a_lost_event(entries, events):
    events.delete_one({"userId": oid(2)})


def an_added_event(entries, events):
    event = events.find_one({"userId": oid(2)})
    events.insert_one({**event, "_id": "task_complete:added", "sourceId": "added"})


def changed_points(entries, events):
    events.update_one({"userId": oid(2)}, {"$set": {"points": Int64(1000)}})


def lost_events(entries, events):
    events.delete_many({})


WRONGS = [
    a_streak, a_streak_of_a_day, no_streak,
    a_score, a_count, a_newest_time, a_missing_entry, a_missing_user, an_extra_period, an_extra_user,
    a_lost_event, an_added_event, changed_points, lost_events,
]  # fmt: skip


@pytest.mark.parametrize("spoil", WRONGS, ids=lambda spoil: spoil.__name__)
def test_verification_fails_for(app, spoil):
    spoil(app.database["leaderboard_entries"], app.database["score_events"])
    for looking in (VerifyOptions(sample=50, top=0), EVERYONE):
        with pytest.raises(Mismatch, match="mismatch"):
            app.apply(VERIFY, verify=looking)
    assert verdict(app)["passed"] is False
    assert verdict(app)["mismatches"] >= 1
    with pytest.raises(Refused, match="mismatch"):
        app.apply(CUT_OVER)
    assert feature_flag.read(app.database, app.config).read is False


def test_a_mismatch_names_the_user_the_period_and_both_figures(app):
    app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$set": {"score": Int64(31)}})
    events = app.entries()[GLOBAL]["events"]
    with pytest.raises(Mismatch) as caught:
        app.apply(VERIFY, verify=EVERYONE)
    for part in (f"user {oid(2)}", "global", f"31 points in {events} events", "the ledger"):
        assert part in caught.value.message
    assert caught.value.hint.startswith("lbmigrate ")


def test_the_first_of_every_period_are_looked_at_whatever_the_sample(app):
    best = max(
        (entry for entry in app.entries().values() if entry["period"] == "2025-01"),
        key=lambda entry: (entry["score"], entry["userId"]),
    )
    app.database["leaderboard_entries"].update_one({"_id": best["_id"]}, {"$inc": {"score": Int64(1)}})
    with pytest.raises(Mismatch):
        app.apply(VERIFY, verify=VerifyOptions(sample=0, top=1))


def test_a_sample_is_the_same_for_the_same_seed(app):
    def wrong_for(seed):
        try:
            app.apply(VERIFY, verify=VerifyOptions(sample=3, top=0, seed=seed))
        except Mismatch:
            return True
        return False

    app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$set": {"streak": 99}})  # which no sum shows
    found = [wrong_for(seed) for seed in range(12)]
    assert True in found
    assert False in found
    assert [wrong_for(seed) for seed in range(12)] == found


@pytest.mark.parametrize("strangers", [0, 2], ids=["empty", "with documents of another program"])
def test_a_ledger_without_events_fails_while_sources_have_documents(database, strangers):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(3)])
    database["score_events"].insert_many([{"_id": number, "text": "no event"} for number in range(strangers)] or [{}])
    if not strangers:
        database["score_events"].delete_many({})
    app = App(database, config())
    app.apply(STEPS[:2])
    with pytest.raises(Mismatch, match="is empty, but tasks has documents in scope"):
        app.apply(VERIFY)


@pytest.mark.parametrize("name", ["score_events", "leaderboard_entries"])
def test_a_ttl_index_on_leaderboard_data_fails(app, name):
    app.database[name].create_index("createdAt", expireAfterSeconds=10**8)
    with pytest.raises(Mismatch, match=f"{name}.createdAt_1 has a TTL"):
        app.apply(VERIFY)


def test_documents_of_another_program_among_the_entries_do_not_matter(database):
    database["leaderboard_entries"].insert_one({"_id": "theirs", "userId": oid(1), "period": "global", "score": 5})
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number) for number in range(3)])
    app = App(database, config())
    app.apply()
    assert verdict(app)["passed"]


# --- the cut-over -------------------------------------------------------------------------------------------------


def told(app):
    return [piece.warning for piece in STEPS[4].apply(app.context(verify=EVERYONE)) if piece.warning]


@pytest.mark.parametrize(
    "change", [{"displayNameSnapshot": "Mallory"}, {"optOutSnapshot": True}, {"avatarSnapshot": "https://x/y.png"}]
)
def test_what_an_entry_shows_otherwise_than_its_users_document_is_told_and_the_named_command_ends_it(app, change):
    assert told(app) == []
    app.database["leaderboard_entries"].update_one({"_id": GLOBAL}, {"$set": change})
    [sentence] = told(app)
    assert sentence.startswith("1 user is shown with a name, a picture or an opt-out")
    assert sentence.endswith("next: lbmigrate backfill --full")
    app.backfill(scope=Scope(full=True))
    assert told(app) == []


def test_cutting_over_without_a_verdict_is_refused(app):
    with pytest.raises(Refused, match="nothing was verified yet") as caught:
        app.apply(CUT_OVER)
    assert caught.value.hint == "lbmigrate verify"
    assert feature_flag.read(app.database, app.config).read is False


def test_cutting_over_with_events_added_since_the_verdict_is_refused(app):
    app.apply(VERIFY)
    app.database["tasks"].insert_one(task(900))
    app.backfill()
    with pytest.raises(Refused, match="events were added since"):
        app.apply(CUT_OVER)
    app.apply(VERIFY)
    app.apply(CUT_OVER)
    assert feature_flag.read(app.database, app.config).read is True


def test_a_backfill_without_new_events_leaves_the_verdict_good(app):
    app.apply(VERIFY)
    app.backfill(scope=Scope(full=True))
    app.apply(CUT_OVER)
    assert feature_flag.read(app.database, app.config).read is True


def test_cutting_over_on_a_verdict_of_the_day_before_yesterday_is_refused(app):
    app.apply(VERIFY)
    later = app.clock() + dt.timedelta(days=2)
    with pytest.raises(Refused, match="more than a day ago"):
        app.apply(CUT_OVER, clock=lambda: later)


def test_a_reverted_verification_must_be_repeated(app):
    app.apply(VERIFY)
    app.revert(VERIFY)
    with pytest.raises(Refused, match="nothing was verified yet"):
        app.apply(CUT_OVER)


def test_a_ledger_that_is_empty_because_everybody_has_left_passes_and_says_so(database):
    database["users"].insert_many([user(number) for number in (1, 2)])
    database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(4)])
    app = App(database, config())
    app.apply(STEPS[:4])
    for number in (1, 2):
        app.forget(str(oid(number)))
    app.revert([STEPS[3]])
    app.apply(STEPS[:4])
    assert app.events() == []
    assert TOLD in [piece.warning for piece in pieces(STEPS[4], app.context(verify=EVERYONE))]
    app.apply(VERIFY, verify=EVERYONE)
    assert verdict(app)["passed"]
    app.apply(CUT_OVER)
    database["tasks"].insert_one(task(9, owner=3))
    with pytest.raises(Mismatch, match="score_events is empty, but tasks has documents in scope"):
        app.apply(VERIFY, verify=EVERYONE)
