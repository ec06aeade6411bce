"""What an app's action asks for before its event: one question to the database, the answers of several."""

from __future__ import annotations

import pytest

from lbmigrate.board.profiles import profiles_of
from lbmigrate.ledger.first_look import first_look
from lbmigrate.ledger.leavers import Leavers
from lbmigrate.ledger.looked_at import LookedAt, entries_of
from lbmigrate.migration.steps import STEPS
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.state import layouts
from tests.apps import NEW_YEAR, TASKS, USERS, App, config, oid, task, user


@pytest.fixture(params=["single", "partitioned"])
def layout(request):
    return request.param


@pytest.fixture(params=["here", "elsewhere"])
def app(request, database, layout):
    """Three users with an action each; one of them has left. The state is in the same database or in another."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=number) for number in (1, 2, 3)])
    home = database.client[f"{database.name}_state"] if request.param == "elsewhere" else None
    app = App(database, config(TASKS, layout=layout), home)
    app.apply(STEPS[:4])
    app.forget(str(oid(3)))
    yield app
    if home is not None:
        database.client.drop_database(home.name)


def looked(app, *users):
    """What is known for an event of each of these users when it is about to be inserted."""
    context = app.context()
    events = [{"_id": f"task_complete:{n}", "userId": oid(n), "createdAt": NEW_YEAR} for n in users]
    found = LookedAt(context)
    leavers = first_look(context, found, events)
    found.look(events)  # which reads what is not known by then
    return leavers, found


def test_it_says_of_leavers_and_entries_what_two_questions_say(app):
    leavers, found = looked(app, 1, 2, 3)
    apart = Leavers(app.state)
    assert [oid(number) in leavers for number in (1, 2, 3)] == [False, False, True]
    assert (leavers.fence, len(leavers)) == (apart.fence, len(apart)) != (None, 0)
    entries, odd = entries_of(app.database, layouts.layout(app.state), [*found.entries, (oid(1), "2031-W01")])
    assert found.entries | {(oid(1), "2031-W01"): None} == entries
    assert found.unclear == odd == {}


def test_the_entries_that_are_there_are_those_of_who_stays(app):
    _, found = looked(app, 1, 3)
    there = {user for (user, period), entry in found.entries.items() if entry is not None and period == "global"}
    assert there == {oid(1)}


def test_an_entry_that_is_another_users_is_for_the_ledger_to_say(app):
    app.database["leaderboard_entries"].update_one({"_id": f"global:{oid(2)}"}, {"$set": {"userId": oid(1)}})
    _, found = looked(app, 2)
    assert list(found.unclear) == [oid(2)]


def shown_of(app, *users):
    """What is shown of these users, by a question of its own."""
    context = app.context()
    return profiles_of(context.sources, context.config, users)


def test_what_is_shown_of_a_user_is_what_a_question_of_its_own_says(app):
    app.database["users"].update_one({"_id": oid(2)}, {"$set": {"hidden": True}})
    _, found = looked(app, 1, 2)
    assert found.people.shown([oid(1), oid(2)]) == shown_of(app, oid(1), oid(2))
    assert [found.people.shown([oid(n)])[oid(n)]["optOutSnapshot"] for n in (1, 2)] == [False, True]


def test_a_user_is_shown_as_at_the_moment_of_the_entries(app):
    _, found = looked(app, 1)
    before = shown_of(app, oid(1))
    app.database["users"].update_one({"_id": oid(1)}, {"$set": {"name": "Somebody else"}})
    read_with_entries = not is_fake(app.database) and app.state.rows.database == app.database
    assert (found.people.shown([oid(1)]) == before) == read_with_entries


def test_a_user_who_is_known_under_another_form_of_the_id_is_found(app):
    app.database["users"].delete_one({"_id": oid(1)})
    app.database["users"].insert_one({"_id": str(oid(1)), "name": "By digits"})
    _, found = looked(app, 1)
    assert found.people.shown([oid(1)])[oid(1)]["displayNameSnapshot"] == "By digits"


def test_of_a_user_with_two_documents_the_stricter_one_counts(app):
    app = App(app.database, config(TASKS, users={**USERS, "key": "account"}), app.state.rows.database)
    app.database["users"].insert_many([{"account": oid(1), "name": "Ann"}, {"account": oid(1), "hidden": True}])
    _, found = looked(app, 1)
    assert found.people.shown([oid(1)]) == shown_of(app, oid(1))
    assert found.people.shown([oid(1)])[oid(1)]["optOutSnapshot"] is True


def test_ids_that_are_text_are_compared_as_the_users_collection_does_it(app):
    app.database["users"].insert_one({"_id": "ann", "name": "Ann"})
    context = app.context()
    found = LookedAt(context)
    first_look(context, found, [{"_id": "task_complete:1", "userId": "ann", "createdAt": NEW_YEAR}])
    assert found.people.unread(["ann"]) == ["ann"]
    assert found.people.shown(["ann"])["ann"]["displayNameSnapshot"] == "Ann"
