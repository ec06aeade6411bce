"""A database that the URI names beside the one of the configuration: told apart, or refused with what confirms it."""

from __future__ import annotations

import pytest

from lbmigrate.config.load import read_config
from lbmigrate.errors import ConfigError
from lbmigrate.telling import secrets

FILE = """
database: {{uri: "${{MONGODB_URI}}", name: app{more}}}
{rest}sources:
  - {{name: tasks, collection: tasks, action: done, user: userId, at: doneAt, points: 1}}
"""


@pytest.fixture
def load(tmp_path):
    """Reads a configuration whose URI is this."""

    def read(uri, overrides=None, environ=None, more="", rest=""):
        secrets.know_nothing()
        file = tmp_path / "leaderboard.yaml"
        file.write_text(FILE.format(more=more, rest=rest))
        return read_config(file, overrides, {"MONGODB_URI": uri, **(environ or {})}).config

    return read


@pytest.mark.parametrize(
    "uri",
    [
        "local:.lbmigrate",
        "mongodb://db",
        "mongodb://db/",
        "mongodb://db/?replicaSet=rs0",
        "mongodb://u:p@db/app",
        "mongodb://u:p@a:27017,b:27018/app?replicaSet=rs0",
        "mongodb+srv://u:p@cluster.example/app?retryWrites=true",
        "mongodb://db/app.tasks",
        "mongodb://%2Ftmp%2Fmongodb.sock/app",
        "mongodb://u:p@db/admin",
        "mongodb://u:p@db/admin?replicaSet=rs0",
        "mongodb://u:p@db/?authSource=accounts",
        "mongodb://u:p@db/app?authSource=accounts",
    ],
)
def test_a_uri_that_names_the_same_database_or_none_or_only_where_the_user_is_kept_is_fine(load, uri):
    assert load(uri).database.name == "app"


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://db/staging",
        "mongodb://u:p@db/staging?authSource=admin",
        "mongodb://u:p@db/staging?authSource=staging",
        "mongodb+srv://u:p@cluster.example/staging",
        "mongodb://a,b/st%61ging?replicaSet=rs0",
        "mongodb://db/App",
    ],
)
def test_another_database_in_the_uri_is_refused_with_both_names(load, uri):
    with pytest.raises(ConfigError) as refused:
        load(uri)
    (problem,) = refused.value.problems
    assert (problem.path, problem.line) == ("database.name", 2)
    name = "App" if "App" in uri else "staging"
    assert f"is app, and the URI names the database {name}" in problem.message
    assert "u:p" not in problem.message


def test_what_a_refusal_names_ends_it(load):
    uri = "mongodb://u:p@db/staging"
    with pytest.raises(ConfigError) as refused:
        load(uri)
    assert "name it here" in refused.value.problems[0].message
    assert load(uri, {"database.name": "staging"}).database.name == "staging"
    assert "`database.auth_source: staging`" in refused.value.problems[0].message
    assert load(uri, more=", auth_source: staging").database.name == "app"


@pytest.mark.parametrize(
    ("overrides", "environ", "origin"),
    [({"database.name": "other"}, {}, "flag"), ({}, {"LBMIGRATE_DATABASE": "other"}, "environment LBMIGRATE_DATABASE")],
)
def test_an_option_or_a_variable_is_held_against_the_uri_as_well_and_named(load, overrides, environ, origin):
    with pytest.raises(ConfigError) as refused:
        load("mongodb://db/app", overrides, environ)
    assert refused.value.problems[0].message.startswith("is other, and the URI names the database app")
    assert refused.value.problems[0].message.endswith(f"({origin})")


def test_a_uri_of_the_command_line_is_held_against_the_file(load):
    with pytest.raises(ConfigError, match="1 problem"):
        load("mongodb://db/app", {"database.uri": "mongodb://db/staging"})


def test_a_uri_that_names_the_database_of_the_state_is_refused(load):
    with pytest.raises(ConfigError) as refused:
        load("mongodb://db/state", rest="state: {database: state}\n")
    assert "leave /state out of the URI" in refused.value.problems[0].message
    assert load("mongodb://db/", rest="state: {database: state}\n").state.database == "state"
