"""A source that has nothing in scope any more takes nothing back, until somebody agrees by the number."""

from __future__ import annotations

import re

import pytest

from lbmigrate import commands
from lbmigrate.config.model import Config
from lbmigrate.errors import Refused
from lbmigrate.mongo import fake
from lbmigrate.run.connection import Connection
from lbmigrate.state import State
from tests.apps import SESSIONS, TASKS, config, oid, picture, session, task, user

OLDER = {**TASKS, "name": "older", "where": {"status": "archived"}}


def connected(client, settings: Config) -> Connection:
    return Connection(client, settings, client["app"], client["app"], State(client["app"]))


@pytest.fixture
def app():
    """Three users with twelve tasks and four sessions, migrated."""
    with fake.client() as client:
        connection = connected(client, config(TASKS, SESSIONS))
        connection.target["users"].insert_many([user(number) for number in (1, 2, 3)])
        connection.target["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(12)])
        connection.target["sessions"].insert_many([session(number, owner=1) for number in range(4)])
        commands.run(connection, no_backup=True)
        yield connection


def derived(app):
    shown = picture(app.target, times=False)
    return {name: shown[name]["documents"] for name in ("score_events", "leaderboard_entries")}


def scored(app):
    return sum(entry["score"] for entry in app.target["leaderboard_entries"].find({"period": "global"}))


def clear(app, name):
    """Remove every document; in memory, a collection that was not created goes with its last one."""
    app.target[name].delete_many({})
    if name not in app.target.list_collection_names():
        app.target.create_collection(name)


def nothing_left(app):
    clear(app, "tasks")


def nothing_done(app):
    app.target["tasks"].update_many({}, {"$set": {"status": "archived"}})


EMPTIED = pytest.mark.parametrize("emptied", [nothing_left, nothing_done], ids=lambda each: each.__name__)


@EMPTIED
def test_a_source_that_is_empty_takes_nothing_back_and_the_number_that_is_named_does(app, emptied):
    emptied(app)
    before = derived(app)
    with pytest.raises(Refused, match=r"no document of tasks meets .*: 12 actions") as refused:
        commands.reconcile(app)
    assert derived(app) == before
    [number] = re.findall(r"lbmigrate reconcile --allow (\d+)$", refused.value.hint)
    assert commands.reconcile(app, allow=int(number)).reasons == {"voided": 12}
    assert scored(app) == 4 * 25
    assert commands.reconcile(app).reasons == {}


@EMPTIED
def test_a_number_that_was_agreed_to_when_there_were_fewer_is_not_enough(app, emptied):
    emptied(app)
    with pytest.raises(Refused):
        commands.reconcile(app, allow=11)
    assert scored(app) == 12 * 10 + 4 * 25


def test_what_is_said_shows_the_value_that_the_documents_have(app):
    mistyped = connected(app.client, config({**TASKS, "where": {"status": "Done"}}, SESSIONS))
    with pytest.raises(Refused, match=r"status.*Done.*done"):
        commands.reconcile(mistyped)


def test_one_document_that_is_left_is_no_empty_source(app):
    app.target["tasks"].delete_many({"_id": {"$ne": oid(1000)}})
    assert commands.reconcile(app).reasons == {"voided": 11}


def test_of_two_sources_of_one_action_one_may_be_empty(app):
    app.target["tasks"].update_one({"_id": oid(1000)}, {"$set": {"status": "archived"}})
    app.target["tasks"].update_many({"status": "done"}, {"$set": {"status": "todo"}})
    both = connected(app.client, config(TASKS, OLDER, SESSIONS))
    assert commands.reconcile(both).reasons == {"voided": 11}


def test_all_that_are_empty_are_named_at_once(app):
    nothing_left(app)
    clear(app, "sessions")
    with pytest.raises(Refused, match=r"tasks meets.*sessions meets.*: 16 actions") as refused:
        commands.reconcile(app)
    assert refused.value.hint.endswith("lbmigrate reconcile --allow 16")


def test_an_app_that_never_had_anything_is_reconciled():
    with fake.client() as client:
        app = connected(client, config())
        app.target["users"].insert_one(user(1))
        app.target.create_collection("tasks")
        commands.run(app, no_backup=True)
        assert commands.reconcile(app).reasons == {}


def test_looking_is_not_refused(app):
    nothing_left(app)
    assert commands.preview_reconcile(app).reasons == {"voided": 12}
