"""`config init` at a terminal: what it looks at, what it writes, and what it leaves alone."""

from __future__ import annotations

import random

import pytest
import yaml

from lbmigrate.config.load import starter
from lbmigrate.mongo.process import HOST, free_port
from tests.shapes import SHAPES


@pytest.fixture
def app(database, terminal, monkeypatch):
    """An app of a shape of its own, and a terminal in an empty directory."""
    data, _ = SHAPES["another language"](random.Random(7))
    for name, documents in data.items():
        database[name].insert_many(documents)
    monkeypatch.chdir(terminal.config.parent)
    monkeypatch.delenv("MONGODB_URI", raising=False)
    return database


def test_what_it_writes_passes_doctor_and_a_run_goes_by_it(app, terminal):
    made = terminal("config", "init", "made.yaml", "--uri", terminal.uri, "--database", app.name, "--json")
    assert made.code == 0, made.err
    assert made.result["users"] == "benutzer"
    assert [source["collection"] for source in made.result["sources"]] == ["aufgaben", "sitzungen"]
    before = {name: app[name].count_documents({}) for name in app.list_collection_names()}
    assert set(before) == {"benutzer", "aufgaben", "sitzungen"}, "it only looks"
    there = ("--config", "made.yaml", "--uri", terminal.uri)
    assert terminal("doctor", *there).code == 0
    assert terminal("run", *there).code == 0
    assert app["score_events"].count_documents({}) == app["aufgaben"].count_documents({"zustand": "erledigt"}) + app[
        "sitzungen"
    ].count_documents({"art": "arbeit"})


def test_a_file_that_somebody_wrote_is_left_as_it_is_and_the_template_as_shipped_is_replaced(app, terminal):
    terminal.config.parent.joinpath("made.yaml").write_text("version: 1\n")
    refused = terminal("config", "init", "made.yaml", "--uri", terminal.uri, "-d", app.name)
    assert refused.code == 2
    assert "lbmigrate config init NAME.yaml" in refused.err
    made = terminal.config.parent / "made.yaml"
    assert made.read_text() == "version: 1\n"
    made.write_text(starter())
    again = terminal("config", "init", "made.yaml", "--uri", terminal.uri, "-d", app.name)
    assert again.code == 0
    assert "made.yaml was the template as it is shipped: it is replaced" in " ".join(again.err.split())
    assert yaml.safe_load(made.read_text())["users"]["collection"] == "benutzer"


@pytest.mark.parametrize("name", [".", "a-file/board.yaml", "x" * 300])
def test_where_nothing_can_be_written_another_name_is_asked_for(terminal, tmp_path, name):
    (tmp_path / "a-file").write_text("somebody's")
    refused = terminal("config", "init", name, "--template")
    assert (refused.code, "Traceback" in refused.err, "unexpected" in refused.err) == (2, False, False)
    assert "lbmigrate config init NAME.yaml" in refused.hint
    assert terminal("config", "init", "NAME.yaml", "--template").code == 0


def test_without_a_server_it_is_the_template(terminal, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.delenv("LBMIGRATE_URI", raising=False)
    assert terminal("config", "init").code == 0
    assert (tmp_path / "config" / "leaderboard.yaml").read_text() == starter()
    assert terminal("config", "init", "other.yaml", "--template", "--uri", "mongodb://nowhere.example").code == 0
    assert (tmp_path / "other.yaml").read_text() == starter()


def test_a_server_that_does_not_answer_leaves_no_file(terminal, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    uri = f"mongodb://{HOST}:{free_port()}/?serverSelectionTimeoutMS=100"
    refused = terminal("config", "init", "made.yaml", "--uri", uri)
    assert (refused.code, "cannot be reached" in refused.err) == (1, True)
    assert not (tmp_path / "made.yaml").exists()


def test_a_database_without_users_or_actions_is_refused_with_what_was_seen(database, terminal, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused = terminal("config", "init", "made.yaml", "--uri", terminal.uri, "-d", database.name)
    assert (refused.code, "has no collection with documents" in " ".join(refused.err.split())) == (6, True)
    database["weather"].insert_many([{"town": f"t{n}", "degrees": n} for n in range(50)])
    refused = terminal("config", "init", "made.yaml", "--uri", terminal.uri, "-d", database.name)
    assert (refused.code, "config init --template" in refused.err) == (6, True)
    assert not (tmp_path / "made.yaml").exists()


def test_of_several_databases_the_hint_says_how_to_name_the_one_that_is_meant(app, terminal):
    app.client[f"{app.name}_too"]["notes"].insert_one({})
    try:
        refused = terminal("config", "init", "made.yaml", "--uri", terminal.uri)
        assert (refused.code, "lbmigrate config init --database NAME" in refused.err) == (6, True)
        assert terminal("config", "init", "made.yaml", "--uri", terminal.uri, "--database", app.name).code == 0
    finally:
        app.client.drop_database(f"{app.name}_too")


def test_users_who_are_named_by_their_address_are_found_by_the_server_among_thousands(database, terminal, monkeypatch):
    monkeypatch.chdir(terminal.config.parent)
    people = [{"_id": f"u{n}", "email": f"Person{n}@X.org", "handle": f"h{n}"} for n in range(3_000)]
    database["people"].insert_many(people)
    database["cards"].insert_many(
        {"owner_email": f"person{n * 29}@x.org", "column": ["Done", "Doing"][n % 2], "movedAt": 1_762_164_000_000 + n}
        for n in range(100)
    )
    database["audit"].insert_many({"ip": f"10.0.0.{n}"} for n in range(200))
    made = terminal("config", "init", "made.yaml", "--uri", terminal.uri, "-d", database.name, "--json", "--yes")
    assert made.code == 0, made.err
    (cards,) = made.result["sources"]
    assert cards["user"] == {"path": "owner_email", "lookup": "users.email"}
    assert "audit is left out: no field of it has ids of users" in " ".join(made.err.split())
