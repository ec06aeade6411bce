"""Collections of single periods, as an operator has to do with them."""

from __future__ import annotations

import pytest

from lbmigrate.board.board import Board
from lbmigrate.config.load import read_config
from lbmigrate.rehearsal.outcome import summary
from lbmigrate.schema import ENTRIES
from lbmigrate.schema.layout import partitions
from lbmigrate.state import layouts
from tests.apps import TASKS, task, user

pytestmark = pytest.mark.slow  # verbs typed one after the other at a server: a quick run has others of their kind

OLD = {f"{ENTRIES}__2024_W52", f"{ENTRIES}__2025_W01"}


@pytest.fixture
def app(terminal, database, monkeypatch):
    """A leaderboard whose weeks have collections of their own; the newest task is of this year's end."""
    monkeypatch.setattr(layouts, "GRACE", 0)
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].create_index("updatedAt")
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(60)])
    terminal.configure(TASKS, layout="partitioned")
    assert terminal("run").code == 0
    return database


def board(app, terminal):
    return Board(app, read_config(terminal.config).config)


@pytest.mark.slow
def test_every_verb_finds_entries_in_the_collections_of_their_weeks(app, terminal):
    assert app[ENTRIES].distinct("period") == ["global"]
    assert {spec["name"] for spec in app[f"{ENTRIES}__2025_W01"].list_indexes()} > {"userId_1"}
    assert terminal("verify", "--full").code == 0
    assert terminal("reconcile").code == 0
    assert "2025-W02" in terminal("top", "--period", "2025-W02", "--json").out
    assert [each.period for each in board(app, terminal).history(1 and user(1)["_id"], 3)] == [
        "global", "2025-W04", "2025-W03"
    ]  # fmt: skip
    assert terminal("forget", str(user(2)["_id"]), "--yes").code == 0
    for name in (ENTRIES, *partitions(app)):
        assert app[name].count_documents({"userId": user(2)["_id"]}) == 0
    assert terminal("backup", "--out", "kept").code == 0
    before = summary(app)
    assert terminal("rollback", "--yes").code == 0
    assert not [name for name in app.list_collection_names() if name.startswith(ENTRIES)]
    app.drop_collection("lbmigrate_state")
    assert terminal("backup", "restore", "kept", "--yes").code == 0
    assert summary(app) == before
    assert terminal("verify", "--full").code == 0


def test_a_ttl_on_the_collection_of_a_week_is_named_by_doctor_and_fails_a_verification(app, terminal):
    app[f"{ENTRIES}__2025_W02"].create_index("updatedAt", expireAfterSeconds=3600)
    told = terminal("doctor")
    assert f"{ENTRIES}__2025_W02.updatedAt_1 has a TTL" in told.out + told.err
    assert terminal("verify").code == 5


def test_the_collection_of_a_week_that_was_dropped_is_made_again(app, terminal):
    whole = summary(app)
    app.drop_collection(f"{ENTRIES}__2025_W02")
    assert "some entries" in terminal("status", "--json").out or "holds" in terminal("plan").out
    assert terminal("backfill").code == 0
    assert summary(app) == whole
    assert {spec["name"] for spec in app[f"{ENTRIES}__2025_W02"].list_indexes()} > {"userId_1"}


@pytest.mark.slow
def test_settled_weeks_go_into_a_backup_and_come_back_as_the_ledger_has_them_by_now(app, terminal):
    whole, shown = summary(app), board(app, terminal).top("2025-W02")
    assert terminal("boards", "archive", "--before", "2025-W03", "--out", "old", "--yes").code == 0
    assert board(app, terminal).top("2025-W02") == []
    assert f"{ENTRIES}__2025_W02" not in partitions(app)
    assert f"{ENTRIES}__2025_W03" in partitions(app)
    assert terminal("verify", "--full").code == 0, "an archived week is no mismatch"
    assert terminal("backfill", "--full").code == 0
    assert f"{ENTRIES}__2025_W02" not in partitions(app), "no roll-up brings back a part of it"
    assert terminal("run").code == 0
    assert terminal("boards", "archive", "--before", "2025-W03", "--out", "other", "--yes").code == 0
    assert terminal("boards", "restore", "old").code == 0
    assert summary(app) == whole
    assert board(app, terminal).top("2025-W02") == shown
    assert terminal("verify", "--full").code == 0
    assert terminal("boards", "restore", "old").code == 0
    assert summary(app) == whole, "a repeat changes nothing"


def test_only_weeks_with_collections_of_their_own_are_archived(app, terminal):
    terminal.configure(TASKS, layout="single")
    assert terminal("run").code == 0
    assert partitions(app) == []
    done = terminal("boards", "archive", "--before", "2025-W03", "--yes")
    assert done.code == 6
    assert "layout: partitioned" in done.err
    assert terminal("boards", "archive", "--before", "soon", "--yes").code == 2


def test_a_server_that_is_no_mongos_is_not_asked_to_shard(app, terminal):
    done = terminal("run", "--shard")
    assert done.code == 6
    assert "no mongos" in done.err
    assert terminal("run").code == 0


def test_doctor_says_that_entries_are_not_where_the_configuration_wants_them(app, terminal):
    assert "layout" not in terminal("doctor").out
    terminal.configure(TASKS, layout="single")
    told = terminal("doctor").out
    assert "layout: single is configured" in told
    assert "lbmigrate run" in told
    assert terminal("run").code == 0
    assert "layout: single is configured" not in terminal("doctor").out
