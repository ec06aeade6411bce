"""An incremental backfill brings the entries of users who changed up to their documents, and leaves others alone."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.mongo import fake
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.context import Scope
from tests.apps import NEW_YEAR, USERS, App, config, oid, picture, pieces, task, untimed, user

LATER = NEW_YEAR + dt.timedelta(days=30)
AHEAD = dt.datetime(2100, 1, 1)
PROFILE = ("displayNameSnapshot", "avatarSnapshot", "optOutSnapshot")


def people(*numbers):
    return [user(number, updatedAt=NEW_YEAR) for number in numbers]


def migrated(database, users, updated="updatedAt", home="users"):
    """Three users with a task each, migrated."""
    database[home].insert_many(users)
    if updated == "updatedAt":
        database[home].create_index(updated)
    database["tasks"].insert_many([task(number, owner=number) for number in (1, 2, 3)])
    app = App(database, config(users={**USERS, "updated": updated}))
    app.apply(STEPS[:4])
    return app


@pytest.fixture
def app(database):
    return migrated(database, people(1, 2, 3))


def change(app, number, at=LATER, **fields):
    app.database["users"].update_one({"_id": oid(number)}, {"$set": {"updatedAt": at, **fields}})


def profiles(app, number):
    entries = app.entries().values()
    return {tuple(entry[name] for name in PROFILE) for entry in entries if entry["userId"] == oid(number)}


def test_a_new_name_and_an_opt_out_are_on_every_entry_after_the_next_backfill(app):
    change(app, 1, name="Ada", avatar="ada.png", hidden=True)
    app.backfill()
    assert profiles(app, 1) == {("Ada", "ada.png", True)}


def test_entries_of_others_are_not_touched(app):
    before = app.entries()
    change(app, 1, name="Ada")
    change(app, 2, seenAt=LATER)  # nothing that the board shows
    app.backfill()
    after = app.entries()
    assert {key for key in after if after[key] != before[key]} == {f"global:{oid(1)}", f"2025-W01:{oid(1)}"}
    assert after[f"global:{oid(1)}"]["lastUpdated"] == before[f"global:{oid(1)}"]["lastUpdated"], "the score stands"


def test_a_second_backfill_changes_nothing_more(app):
    change(app, 1, name="Ada")
    app.backfill()
    before = picture(app.database)
    app.backfill()
    assert picture(app.database) == before


@pytest.mark.parametrize("stamp", [LATER, LATER.replace(tzinfo=dt.UTC).timestamp(), 1000 * 1_738_281_600])
def test_the_field_may_hold_dates_seconds_or_milliseconds(app, stamp):
    change(app, 1, at=stamp, name="Ada")
    app.backfill()
    assert {name for name, *_ in profiles(app, 1)} == {"Ada"}


def test_a_user_who_is_stored_under_another_form_of_the_id_is_found(app):
    app.database["users"].delete_one({"_id": oid(1)})
    app.database["users"].insert_one({"_id": str(oid(1)), "name": "Ada", "updatedAt": LATER})
    app.backfill()
    assert {name for name, *_ in profiles(app, 1)} == {"Ada"}


def test_who_changes_while_the_first_backfill_runs_is_refreshed_by_the_next_run(database):
    database["users"].insert_many(people(1, 2, 3))
    database["users"].create_index("updatedAt")
    database["tasks"].insert_many([task(number, owner=number) for number in (1, 2, 3)])
    app = App(database, config(users={**USERS, "updated": "updatedAt"}, backfill={"lag": "1s"}))
    app.apply(STEPS[:3])
    for piece in pieces(s4_backfill, app.context()):
        if piece.checkpoint is not None:
            app.state.save(piece.checkpoint)
        if piece.subject == "entries" and piece.done:
            break  # killed right after the entries were made
    change(app, 1, name="Ada")
    app.backfill()
    assert {name for name, *_ in profiles(app, 1)} == {"Ada"}


def test_a_bounded_backfill_neither_refreshes_nor_forgets_who_changed(app):
    change(app, 1, name="Ada")
    app.backfill(scope=Scope(until=NEW_YEAR))
    assert {name for name, *_ in profiles(app, 1)} == {"User 1"}
    app.backfill()
    assert {name for name, *_ in profiles(app, 1)} == {"Ada"}


def test_without_such_a_field_only_a_full_backfill_looks_at_everybody():
    with fake.client() as client:
        app = migrated(client["app"], people(1, 2, 3), updated=None)
        change(app, 1, name="Ada")
        app.backfill()
        assert {name for name, *_ in profiles(app, 1)} == {"User 1"}
        app.backfill(scope=Scope(full=True))
        assert {name for name, *_ in profiles(app, 1)} == {"Ada"}


def test_what_comes_of_it_is_what_a_fresh_migration_gives(app):
    change(app, 1, name="Ada")
    change(app, 3, hidden=True)
    app.backfill()
    found = {key: untimed("leaderboard_entries", entry) for key, entry in app.entries().items()}
    app.revert(list(reversed(STEPS[:4])))
    app.apply(STEPS[:4])
    assert {key: untimed("leaderboard_entries", entry) for key, entry in app.entries().items()} == found


def test_strings_that_sort_as_their_times_do_are_understood(database):
    app = migrated(database, [user(number, updatedAt="2025-01-01T00:00:00Z") for number in (1, 2, 3)])
    change(app, 1, at="2100-02-01T00:00:00Z", name="Ada")
    app.backfill()
    assert {name for name, *_ in profiles(app, 1)} == {"Ada"}


def test_where_entries_are_older_than_the_setting_everybody_is_looked_at_once(database):
    app = migrated(database, people(1, 2, 3), updated=None)
    change(app, 1, at=NEW_YEAR, name="Ada")
    change(app, 2, at=LATER)
    app.config = config(users={**USERS, "updated": "updatedAt"})
    app.backfill()
    assert {name for name, *_ in profiles(app, 1)} == {"Ada"}


@pytest.mark.parametrize(
    ("updated", "fields"),
    [
        ("updatedAt", {"updatedAt": dt.datetime(1, 1, 1)}),
        ("updatedAt", {"updatedAt": [NEW_YEAR, LATER]}),
        ("updatedAt", {"updatedAt": float("nan")}),
        ("history.at", {"history": [{"at": NEW_YEAR}]}),
        ("a.at", {"a": None}),
    ],
)
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "never indexed"])
def test_an_odd_value_in_the_field_stops_nothing(database, updated, fields, indexed):
    app = migrated(database, [user(number, **fields) for number in (1, 2, 3)], updated=updated)
    if indexed:
        database["users"].create_index(updated)
        app.backfill()
    database["users"].drop_indexes()
    app.backfill()
    assert len(app.entries()) == 6


def test_users_may_be_a_view(database):
    if is_fake(database):
        pytest.skip("the fake has no views")
    database.create_collection("users", viewOn="members", pipeline=[])
    app = migrated(database, people(1, 2, 3), home="members")
    app.database["members"].update_one({"_id": oid(1)}, {"$set": {"updatedAt": AHEAD, "name": "Ada"}})
    app.backfill()
    assert {name for name, *_ in profiles(app, 1)} == {"Ada"}


def test_without_an_index_the_servers_clock_is_what_changes_are_measured_by(app):
    app.database["users"].drop_indexes()
    app.backfill()
    change(app, 1, at=AHEAD, name="Ada")
    app.backfill()
    assert {name for name, *_ in profiles(app, 1)} == {"Ada"}
