"""Who is hidden or nameless, and why: entries, the board, the refresh of profiles, verification and doctor agree."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from lbmigrate.board.board import Board
from lbmigrate.checks.data import check_data
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope, VerifyOptions
from tests.apps import NEW_YEAR, TASKS, USERS, App, config, oid, task, user

LATER = NEW_YEAR + dt.timedelta(days=30)
REASONS = {
    "opt_out": {"path": "privacy", "missing": False},
    "hidden": [
        {"path": "deletedAt", "exists": True},
        {"path": "status", "in": ["banned", "shadow"]},
        {"path": "roles", "equals": "staff"},
        {"path": "active", "equals": True, "negate": True},
    ],
    "anonymous": {"path": "minor", "equals": True},
    "missing": "hide",
    "updated": "updatedAt",
}
PEOPLE = {  # what a document says, and how that user is on the board
    1: ({}, "User 1"),
    2: ({"privacy": True}, "hidden"),
    3: ({"privacy": "private"}, "hidden"),
    4: ({"deletedAt": NEW_YEAR}, "hidden"),
    5: ({"deletedAt": None}, "User 5"),
    6: ({"status": "Banned"}, "hidden"),
    7: ({"roles": ["user", "staff"]}, "hidden"),
    8: ({"active": False}, "hidden"),
    9: ({"minor": True}, None),
    10: ({"privacy": "no"}, "User 10"),
    11: (None, "hidden"),
}


def document(number, fields):
    return user(number, updatedAt=NEW_YEAR, **{"active": True, **fields})


@pytest.fixture
def app(database):
    database["users"].insert_many(document(n, fields) for n, (fields, _) in PEOPLE.items() if fields is not None)
    database["users"].create_index("updatedAt")
    database["tasks"].insert_many([task(number, owner=number) for number in PEOPLE])
    made = App(database, config(users={**USERS, **REASONS}))
    made.apply(STEPS[:4])
    return made


def shown(app):
    """Who is on the board, with the name."""
    return {str(place.original): place.name for place in Board(app.database, app.config).top(n=50)}


def expected(people):
    return {str(oid(number)): name for number, (_, name) in people.items() if name != "hidden"}


def snapshots(app):
    names = {}
    for entry in app.entries().values():
        if not entry["optOutSnapshot"]:
            names[str(entry["userId"])] = entry["displayNameSnapshot"]
    return names


def test_entries_and_the_board_show_the_same_people(app):
    assert shown(app) == snapshots(app) == expected(PEOPLE)


def test_a_full_verification_agrees_with_every_reason(app):
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))


@pytest.mark.parametrize("number", [number for number in PEOPLE if number != 1 and PEOPLE[number][0] is not None])
def test_who_gets_a_reason_is_off_the_board_at_once_and_off_the_entries_with_the_next_backfill(app, number):
    fields, name = PEOPLE[number]
    app.database["users"].update_one({"_id": oid(1)}, {"$set": {**fields, "updatedAt": LATER}})
    now = {**PEOPLE, 1: (fields, "User 1" if name not in ("hidden", None) else name)}
    assert shown(app) == expected(now)
    app.backfill()
    assert shown(app) == snapshots(app) == expected(now)


def test_whose_document_is_deleted_is_off_the_board_at_once(app):
    app.database["users"].delete_one({"_id": oid(1)})
    assert shown(app) == expected({**PEOPLE, 1: (None, "hidden")})
    app.backfill(scope=Scope(full=True))
    assert snapshots(app) == expected({**PEOPLE, 1: (None, "hidden")})


@pytest.mark.parametrize("missing", ["hide", "anonymous", "show"])
def test_an_entry_that_shows_whose_document_is_gone_is_found_by_a_verification_until_it_is_made_again(
    database, missing
):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(1, owner=1), task(2, owner=2)])
    app = App(database, config(users={**USERS, "missing": missing}))
    app.apply(STEPS[:4])
    database["users"].delete_one({"_id": oid(2)})
    assert set(found(app)) == {"roll-up"}
    app.backfill(scope=Scope(full=True))
    assert found(app) == {}
    left = {entry["userId"]: entry for entry in app.entries().values()}[oid(2)]
    assert (left["displayNameSnapshot"], left["optOutSnapshot"]) == (None, missing == "hide")


def found(app):
    """What a full verification that passes has found all the same, by what settles it."""
    app.apply([STEPS[4]], verify=VerifyOptions(full=True))
    return app.state.get("verdict")["findings"]


def test_doctor_counts_who_is_hidden_unforeseen_and_without_a_document(app):
    told = {finding.fact: finding.level for finding in check_data(app.context()) if finding.subject == "users"}
    assert told["of 10 users looked at, 6 are not shown, 1 without name and avatar"] == "ok"
    assert (
        told["1 user: users.privacy says neither yes nor no, for example string 'private'; they are not shown"]
        == "warning"
    )
    assert told["of 11 users with points looked at, 1 has no document in users; they are not shown"] == "ok"


def test_those_without_a_document_are_told_until_it_is_said_what_they_are(database):
    database["users"].insert_many([user(1), user(2)])
    database["tasks"].insert_many([task(number, owner=number) for number in range(1, 6)])
    for missing, level in ((None, "warning"), ("show", "ok"), ("anonymous", "ok"), ("hide", "ok")):
        app = App(database, config(TASKS, users={**USERS, "missing": missing}))
        is_shown = "not shown" if missing == "hide" else "shown without a name"
        fact = f"of 5 users with points looked at, 3 have no document in users; they are {is_shown}"
        assert {each.fact: each.level for each in check_data(app.context())}[fact] == level


def test_a_user_whose_id_is_a_double_is_the_one_whom_tasks_call_by_the_integer(database):
    database["users"].insert_many([{"_id": 1.0, "name": "Ann", "hidden": True}, {"_id": 2.0, "name": "Bob"}])
    database["tasks"].insert_many([task(1, userId=1), task(2, userId=2)])
    app = App(database)
    app.apply(STEPS[:4])
    assert {place.name for place in Board(database, app.config).top()} == {"Bob"}
    assert {entry["userId"]: entry["optOutSnapshot"] for entry in app.entries().values()} == {1: True, 2: False}


def test_of_two_documents_under_one_key_the_one_that_says_no_is_heard(database):
    accounts = [{"_id": 1, "uid": "ann", "name": "Ann"}, {"_id": 2, "uid": "ann", "name": "Ann", "hidden": True}]
    database["users"].insert_many([*accounts, {"_id": 3, "uid": "bob", "name": "Bob"}])
    database["tasks"].insert_many([task(1, userId="ann"), task(2, userId="bob")])
    app = App(database, config(users={**USERS, "key": "uid"}))
    app.apply(STEPS[:4])
    assert {place.name for place in Board(database, app.config).top()} == {"Bob"}
    assert {entry["userId"]: entry["optOutSnapshot"] for entry in app.entries().values()} == {"ann": True, "bob": False}


# --- wishes that are kept apart from the users -------------------------------------------------------------------

APART = {
    **USERS,
    "opt_out": {
        "from": {"collection": "settings", "key": "user", "where": {"name": "hide"}, "updated": "at"},
        "path": "value",
        "missing": False,
    },
    "updated": "updatedAt",
}


def setting(number, value, name="hide", who=None, at=NEW_YEAR):
    return {"_id": number, "user": oid(number) if who is None else who, "name": name, "value": value, "at": at}


@pytest.fixture
def apart(database):
    database["users"].insert_many([user(number, updatedAt=NEW_YEAR) for number in range(1, 6)])
    wishes = [setting(1, "true"), setting(2, "false"), setting(3, True, name="dark"), setting(4, "friends")]
    database["settings"].insert_many([*wishes, setting(5, "no"), setting(6, "yes", who=str(oid(5)))])
    database["users"].create_index("updatedAt")
    database["tasks"].insert_many([task(number, owner=number) for number in range(1, 7)])
    made = App(database, config(users=APART))
    made.apply(STEPS[:4])
    return made


def numbers(shown):
    return sorted(int(who, 16) for who in shown)


def test_a_wish_in_a_collection_of_settings_is_heard_in_entries_and_on_the_board(apart):
    assert numbers(shown(apart)) == numbers(snapshots(apart)) == [2, 3, 6]
    told = {finding.fact for finding in check_data(apart.context())}
    assert "1 user: settings.value says neither yes nor no, for example string 'friends'; they are not shown" in told


def test_a_full_verification_hears_the_settings(apart):
    apart.apply([STEPS[4]], verify=VerifyOptions(full=True))


def test_a_wish_that_changes_is_heard_at_once_and_in_entries_with_the_next_backfill(apart):
    apart.database["settings"].update_one({"_id": 2}, {"$set": {"value": "true", "at": LATER}})
    apart.database["settings"].update_one({"_id": 1}, {"$set": {"value": "false", "at": LATER}})
    assert numbers(shown(apart)) == [3, 6]
    apart.backfill()
    assert numbers(shown(apart)) == numbers(snapshots(apart)) == [1, 3, 6]


def test_where_no_setting_is_kept_the_configuration_says_what_that_means(apart):
    silent = {**APART, "opt_out": {**APART["opt_out"], "missing": True}}
    app = replace(apart, config=config(users=silent))
    app.backfill(scope=Scope(full=True))
    assert numbers(shown(app)) == numbers(snapshots(app)) == [2]
