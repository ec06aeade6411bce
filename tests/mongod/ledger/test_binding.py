"""What a server knows its collections by, and what every verb says at a terminal when they are not those any more."""

from __future__ import annotations

import itertools

import pytest

from lbmigrate import load_config
from lbmigrate.commands._tail import _Follower
from lbmigrate.errors import Refused
from lbmigrate.ledger.binding import ROW
from lbmigrate.migration.runner import Terms
from lbmigrate.run.connection import connect
from lbmigrate.run.stop import Stop
from lbmigrate.state import COLLECTION
from tests.apps import oid, picture, task, user

EVENTS, ENTRIES = "score_events", "leaderboard_entries"
FOLLOW = ("tail", "--max-runtime", "1s")


@pytest.fixture
def app(database, terminal):
    """An app that is migrated, its board on, its state in a database of its own."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    database["tasks"].create_index("updatedAt")
    database["sessions"].create_index("endedAt")
    terminal.configure(state={"database": f"{database.name}_meta"})
    assert terminal("run").code == 0
    return database


@pytest.fixture
def state(app, client):
    return client[f"{app.name}_meta"][COLLECTION]


def board(app):
    shown = picture(app, times=False)
    return {name: shown[name] for name in (EVENTS, ENTRIES)}


def restored(app):
    """The database is dumped and dropped, and the dump restored: the same documents, options and indexes."""
    dump = [(info["name"], info["options"]) for info in app.list_collections()]
    rows = {name: (list(app[name].find()), app[name].index_information()) for name, _ in dump}
    app.client.drop_database(app)
    for name, options in dump:
        documents, indexes = rows[name]
        app.create_collection(name, **options)
        if documents:
            app[name].insert_many(documents)
        for label, spec in indexes.items():
            if label != "_id_":
                app[name].create_index(spec.pop("key"), name=label, **{key: spec[key] for key in spec if key != "v"})


# Each verb, its exit code where both collections were dropped.
VERBS = [
    ("plan", 3), ("status", 0), ("doctor", 0), ("history", 0), ("rejects", 0), ("top", 0), (f"rank {oid(1)}", 2),
    (f"around {oid(1)}", 2), ("flag show", 0), ("backup", 0), ("rollback --dry-run", 0), ("run --dry-run", 0),
    ("run --only 4", 6), ("pause", 0), ("resume", 0), ("unlock", 0), ("verify", 5), ("backfill", 6),
    ("backfill --full", 6), ("reconcile", 6), ("reconcile --dry-run", 6), ("tail", 6), ("flag read on", 6),
]  # fmt: skip


@pytest.mark.slow
def test_every_verb_tells_that_the_leaderboard_was_dropped_and_the_named_one_brings_it_back(app, terminal):
    before = board(app)
    app.drop_collection(EVENTS)
    app.drop_collection(ENTRIES)
    for words, code in VERBS:
        said = terminal(*words.split())
        assert said.code == code, (words, said)
        told = "".join((said.out + said.err).split())  # as narrow as the terminal is
        assert f"{EVENTS}isgone" in told, (words, said)
        assert "lbmigraterun" in told, (words, said)
        assert EVENTS not in app.list_collection_names()
    assert terminal("run").code == 0
    assert board(app) == before
    for words in ("plan", "verify --full", "backfill"):
        said = terminal(*words.split())
        assert said.code == 0
        assert "is gone" not in said.err


@pytest.mark.slow
def test_a_database_that_was_dropped_and_restored_is_followed_again(app, terminal, state):
    assert terminal(*FOLLOW).code == 0
    assert state.find_one({"_id": "tail"})["token"]
    before = board(app)
    restored(app)
    for _ in range(2):
        refused = terminal(*FOLLOW)
        assert refused.code == 6
        assert "dropped and made again, or restored" in " ".join(refused.err.split())
        assert "next: lbmigrate run\n" in refused.err
    assert terminal("run").code == 0
    assert board(app) == before
    assert terminal("plan").code == 0
    assert terminal(*FOLLOW).code == 0


@pytest.mark.slow
def test_a_tail_that_follows_ends_when_the_ledger_goes(app, terminal):
    with connect(load_config(terminal.config)) as connection:
        stop = Stop(sleep=lambda _: None)
        context = connection.context(live=True, stop=stop, state=connection.state.unfenced())
        clock = itertools.count(0, 60).__next__
        pieces = _Follower(connection, context, Terms(stop=stop), False, clock).pieces()
        assert next(pieces).note == "following from now on"
        app.drop_collection(EVENTS)
        with pytest.raises(Refused, match="is gone"):
            list(pieces)
    assert EVENTS not in app.list_collection_names()


@pytest.mark.slow
def test_a_backup_of_ours_that_was_restored_is_nothing_to_complain_about(app, terminal, state):
    assert terminal(*FOLLOW).code == 0
    assert terminal("backup", "--sources", "--out", "here").code == 0
    before = board(app)
    app.client.drop_database(app)
    app.client.drop_database(state.database)
    assert terminal("backup", "restore", "here", "--yes").code == 0
    for words in (["verify"], ["backfill"], ["run"], ["plan"], FOLLOW):
        assert terminal(*words).code == 0, words
    assert board(app) == before


@pytest.mark.slow
def test_a_backup_that_was_made_when_they_had_come_apart_is_still_told_so(app, terminal, state):
    restored(app)
    assert terminal("backup", "--sources", "--out", "here").code == 0
    app.client.drop_database(app)
    app.client.drop_database(state.database)
    assert terminal("backup", "restore", "here", "--yes").code == 0
    assert terminal("backfill").code == 6
    assert terminal("run").code == 0
    assert terminal("plan").code == 0


@pytest.mark.slow
def test_a_rename_is_another_collection_and_its_return_the_old_one(app, terminal):
    app[EVENTS].rename("aside")
    app[EVENTS].insert_many(app["aside"].find())
    assert terminal("backfill").code == 6
    app["aside"].rename(EVENTS, dropTarget=True)
    assert terminal("backfill").code == 0


@pytest.mark.slow
def test_documents_are_not_counted_where_the_metadata_says_enough(app, terminal, state):
    app.command("profile", 2)
    try:
        assert terminal("backfill").code == 0
    finally:
        app.command("profile", 0)
    commands = [row["command"] for row in app["system.profile"].find({"ns": {"$regex": f"{EVENTS}|{ENTRIES}"}})]
    assert not [each for each in commands if "aggregate" in each and {"$match": {}} in each["pipeline"]]
    assert state.find_one({"_id": ROW})["counts"] == {EVENTS: 30, ENTRIES: app[ENTRIES].count_documents({})}
