"""An incremental backfill brings the entries of users who changed up to their documents, and leaves others alone."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate import fake
from lbmigrate.context import Scope
from lbmigrate.steps import STEPS, s4_backfill
from tests.apps import NEW_YEAR, USERS, App, config, oid, picture, pieces, task, untimed, user

LATER = NEW_YEAR + dt.timedelta(days=30)
PROFILE = ("displayNameSnapshot", "avatarSnapshot", "optOutSnapshot")


def people(*numbers):
    return [user(number, updatedAt=NEW_YEAR) for number in numbers]


@pytest.fixture
def app(database):
    """Three users with a task each, migrated."""
    database["users"].insert_many(people(1, 2, 3))
    database["tasks"].insert_many([task(number, owner=number) for number in (1, 2, 3)])
    app = App(database, config(users={**USERS, "updated": "updatedAt"}))
    app.climb(STEPS[:4])
    return app


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
    database["tasks"].insert_many([task(number, owner=number) for number in (1, 2, 3)])
    app = App(database, config(users={**USERS, "updated": "updatedAt"}, backfill={"lag": "1s"}))
    app.climb(STEPS[:3])
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
        database = client["app"]
        database["users"].insert_many(people(1, 2, 3))
        database["tasks"].insert_many([task(number, owner=number) for number in (1, 2, 3)])
        app = App(database, config())
        app.climb(STEPS[:4])
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
    app.descend(list(reversed(STEPS[:4])))
    app.climb(STEPS[:4])
    assert {key: untimed("leaderboard_entries", entry) for key, entry in app.entries().items()} == found
