"""What a database user may do, judged by the privileges that the server lists."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from pymongo.database import Database

from lbmigrate.checks import rights
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from tests.apps import config

READ = ["collStats", "dbStats", "find", "listCollections", "listIndexes"]
READ_WRITE = [
    *READ, "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update",
]  # fmt: skip
MADE = ["createCollection", "createIndex", "find", "insert", "listIndexes"]
LEAST = {
    "score_events": [*MADE, "update"], "leaderboard_entries": [*MADE, "update"], "lbmigrate_rejects": [*MADE, "remove"],
    "lbmigrate_state": ["find", "insert", "remove", "update"],
    "feature_flags": ["find", "insert", "update"],
    "tasks": ["find", "listIndexes"], "users": ["find", "listIndexes"],
}  # fmt: skip


def grant(actions: list[str], **resource: Any) -> Document:
    return {"resource": resource, "actions": actions}


def on(collection: str, *actions: str, db: str = "app") -> Document:
    return grant(list(actions), db=db, collection=collection)


def asked(*privileges: Document, users: Any = ({"user": "ops", "db": "admin"},), state: str = "app") -> Any:
    """The findings for a user with these privileges, as {subject: level or fact}."""
    answer = {"authInfo": {"authenticatedUsers": list(users), "authenticatedUserPrivileges": list(privileges)}}
    client = SimpleNamespace(admin=SimpleNamespace(command=lambda name, **options: answer))
    app, home = (MagicMock(Database, client=client) for _ in range(2))
    app.name, home.name = "app", state
    app.with_options.return_value = app
    kept: Any = SimpleNamespace(rows=SimpleNamespace(database=home))
    database: Any = app
    return list(rights.findings(Context(config(), database, database, kept)))


def levels(*privileges: Document, **more: Any) -> Document:
    return {finding.subject: finding.level for finding in asked(*privileges, **more)}


def least(**changed: list[str]) -> list[Document]:
    return [on("", "listCollections"), *(on(name, *actions) for name, actions in (LEAST | changed).items())]


def test_a_server_without_passwords_allows_everything():
    [finding] = asked(users=[])
    assert (finding.level, finding.subject) == ("ok", "rights")


EVERYTHING = {
    "any resource": [grant(READ_WRITE, anyResource=True)],
    "any database": [grant(READ_WRITE, db="", collection="")],
    "the app's database": [grant(READ_WRITE, db="app", collection="")],
    "reading here and writing there": [grant(READ, db="app", collection=""), grant(READ_WRITE, db="", collection="")],
    "each collection": least(),
    "root, with resources of other kinds": [
        grant(["addShard"], cluster=True),
        grant(["find"], db="", system_buckets=""),
        grant(READ_WRITE, anyResource=True),
    ],
}


@pytest.mark.parametrize("privileges", EVERYTHING.values(), ids=EVERYTHING)
def test_privileges_that_cover_all_that_a_run_does_are_enough(privileges):
    assert levels(*privileges) == {"rights to read": "ok", "rights to write": "ok"}


NOTHING = {
    "none": [],
    "another database": [grant(READ_WRITE, db="other", collection="")],
    "another collection": [on("notes", *READ_WRITE)],
    "the cluster": [grant(READ_WRITE, cluster=True)],
}


@pytest.mark.parametrize("privileges", NOTHING.values(), ids=NOTHING)
def test_privileges_elsewhere_are_none(privileges):
    assert levels(*privileges) == {"rights to read": "refusal", "rights to write": "refusal"}


def test_reading_alone_is_enough_to_look():
    assert levels(grant(READ, db="app", collection="")) == {"rights to read": "ok", "rights to write": "refusal"}


NEEDED = [(name, action) for name, actions in LEAST.items() for action in actions]


@pytest.mark.parametrize(("collection", "action"), NEEDED)
def test_each_right_that_is_missing_is_named_with_the_collection_and_the_fix(collection, action):
    rest = [each for each in LEAST[collection] if each != action]
    reading = action in READ
    refused = [finding for finding in asked(*least(**{collection: rest})) if finding.level == "refusal"]
    assert [(finding.subject, finding.fact) for finding in refused] == [
        (f"rights to {'read' if reading else 'write'}", f"ops may not {action} on app.{collection}")
    ]
    assert "runbooks/rights.md" in refused[0].fix


def test_listing_collections_is_a_right_on_the_database():
    [finding] = [each for each in asked(*least()[1:]) if each.level == "refusal"]
    assert finding.fact == "ops may not listCollections on app"


def test_many_missing_rights_are_counted():
    fact = asked(grant(READ, db="app", collection=""))[1].fact
    assert fact.startswith("ops may not createCollection on app.score_events and ")
    assert fact.endswith(" more")


def test_a_state_in_another_database_needs_its_rights_there():
    assert levels(*least(), state="ops") == {"rights to read": "refusal", "rights to write": "refusal"}
    there = [on("", "listCollections", db="ops"), on("lbmigrate_state", "find", "insert", "remove", "update", db="ops")]
    assert levels(*least(), *there, state="ops") == {"rights to read": "ok", "rights to write": "ok"}
