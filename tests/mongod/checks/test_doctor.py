"""The check-up: what is found, how bad it is, what fixes it; and what a database user needs for which verb."""

from __future__ import annotations

import copy
import datetime as dt
import os
import re
import uuid
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml
from pymongo import MongoClient
from pymongo.database import Database

from lbmigrate import demodata
from lbmigrate.checks import data, server
from lbmigrate.config.model import Config
from lbmigrate.mongo.client import open_client, server_time
from lbmigrate.mongo.process import free_port, prepare_home, start_mongod
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.state import State
from tests.apps import SESSIONS, TASKS, USERS, oid, picture, session, task, user
from tests.guarded import as_user

ROOT = Path(__file__).parents[3]


@pytest.fixture
def app(database, terminal):
    """An app about which there is nothing to say."""
    fill(database)
    return database


def fill(database):
    database["users"].insert_many([user(number, avatar="a.png", hidden=False) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(12)])
    database["tasks"].create_index("updatedAt")
    database["sessions"].create_index("endedAt")


def found(terminal, level):
    """The findings of a level as {subject: its facts}; no test here takes a backup."""
    told: dict[str, list[str]] = {}
    for finding in terminal("doctor", "--json").result["findings"]:
        if finding["level"] == level and finding["subject"] != "backup":
            told.setdefault(finding["subject"], []).append(finding["fact"])
    return told


# --- a healthy app --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_healthy_app_has_a_line_for_everything_that_was_looked_at(app, terminal):
    done = terminal("doctor", "--json")
    assert done.code == 0
    findings = done.result["findings"]
    assert found(terminal, "warning") == found(terminal, "refusal") == {}
    assert {"server", "write concern", "clock", "disk", "lock", "tasks", "sessions", "user ids"} <= {
        finding["subject"] for finding in findings
    }
    told = found(terminal, "ok")
    assert "replica set" in told["server"][0]
    assert told["tasks"] == ["of 30 documents in scope: userId 100%, completedAt 100%, priority 100%, updatedAt 100%"]
    assert told["user ids"] == ["of one type: objectId"]


def test_the_table_says_the_fact_and_the_fix_of_each_finding(app, terminal):
    app["tasks"].drop_index("updatedAt_1")
    said = terminal("doctor")
    assert said.code == 0
    shown = " ".join((said.out + said.err).split())
    assert "tasks.updatedAt has no index: each incremental backfill reads the whole collection" in shown
    assert "db.tasks.createIndex({'updatedAt': 1})" in shown


def test_looking_for_trouble_writes_nothing(app, terminal):
    before = picture(app)
    terminal("doctor")
    assert picture(app) == before
    assert set(app.list_collection_names()) == {"users", "tasks", "sessions"}


def test_a_database_that_is_not_there_is_told_and_not_made(database, terminal):
    refused = terminal("doctor")
    assert refused.code == 6
    assert "collection 'tasks' does not exist" in refused.err
    assert database.name not in database.client.list_database_names()


def test_a_server_that_is_not_there_is_told(terminal):
    done = terminal("doctor", "--uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")
    assert done.code == 1
    assert "cannot be reached" in done.err


# --- what can be wrong ----------------------------------------------------------------------------------------------


def no_index(app):
    app["tasks"].drop_index("updatedAt_1")


def an_index_with_holes(app):
    app["tasks"].drop_index("updatedAt_1")
    app["tasks"].create_index("updatedAt", sparse=True)


def nothing_in_scope(app):
    app["tasks"].update_many({}, {"$set": {"status": "Done"}})


def approximate_times(app):
    app["sessions"].update_many({"_id": {"$lt": oid(5006)}}, {"$rename": {"endedAt": "startedAt"}})


def odd_durations(app):
    app["sessions"].update_one({"_id": oid(5000)}, {"$set": {"durationSec": "long"}})


def no_names(app):
    app["users"].update_one({"_id": oid(2)}, {"$set": {"name": "user2@example.com"}})


def too_long_names(app):
    app["users"].update_one({"_id": oid(2)}, {"$set": {"name": "n" * 121}})


def too_long_avatars(app):
    app["users"].update_many({}, {"$set": {"avatar": "a" * 2_049}})


def names_that_are_no_text(app):
    app["users"].update_one({"_id": oid(2)}, {"$set": {"name": {"first": "Ann"}}})


def nobody(app):
    app["users"].delete_many({})


def other_events(app):
    app["score_events"].insert_one({"_id": 1, "what": "ours"})


def another_validator(app):
    app.create_collection("leaderboard_entries", validator={"score": {"$exists": True}})


def a_pause(app):
    State(app).note("control", paused={"by": "ops@web1", "at": dt.datetime(2025, 1, 1)})


def a_lock(app):
    holder = {"host": "web1", "pid": 7, "born": 1.0}
    State(app).note("lock", holder=holder, expiresAt=dt.datetime(2100, 1, 1))


def a_failed_run(app):
    told = {"options": {"command": "lbmigrate run"}, "startedAt": dt.datetime(2025, 1, 1)}
    State(app).note("run:1", verb="run", outcome="failed", error="boom", **told)


WARNED = [
    (no_index, "tasks", "tasks.updatedAt has no index"),
    (an_index_with_holes, "tasks", "tasks.updatedAt has no index"),
    (nothing_in_scope, "tasks", "no document of tasks meets {'status': 'done'}"),
    (approximate_times, "sessions", "50% of the events would have an approximate time (startedAt)"),
    (odd_durations, "sessions", "8.3% would be rejected, for example: minutes:"),
    (no_names, "users", "1 of 3 users looked at have no name"),
    (too_long_names, "users", "1 name of 3 users looked at is longer than 120 characters, and shown up to there"),
    (too_long_avatars, "users", "3 avatars of 3 users looked at are longer than 2,048 characters, and left out"),
    (names_that_are_no_text, "users", "1 name of 3 users looked at is no text, and left out"),
    (nobody, "users", "users is empty: the board will have no names"),
    (other_events, "leftovers", "score_events was here before, with 1 document"),
    (another_validator, "schema", "leaderboard_entries has another validator"),
    (a_pause, "control", "paused by ops@web1 since 2025-01-01T00:00:00Z"),
    (a_lock, "lock", "another run holds the lock: pid 7 on web1"),
    (a_failed_run, "last run", "the last run (run) ended in failed: boom"),
]


@pytest.mark.parametrize(("wrong", "subject", "fact"), WARNED, ids=[wrong.__name__ for wrong, *_ in WARNED])
def test_what_a_run_can_live_with_is_a_warning(app, terminal, wrong, subject, fact):
    terminal.configure(TASKS, {**SESSIONS, "at": ["endedAt", "startedAt"]})
    wrong(app)
    assert terminal("doctor").code == 0
    warnings = found(terminal, "warning")
    assert [told for told in warnings[subject] if fact in told], warnings
    findings = terminal("doctor", "--json").result["findings"]
    assert all(finding["fix"] for finding in findings if finding["level"] != "ok")


def no_collection(app):
    app["tasks"].rename("todos")


def no_users(app):
    app["users"].rename("people")


def no_user_anywhere(app):
    app["tasks"].update_many({}, {"$rename": {"userId": "owner"}})


def no_time_anywhere(app):
    app["sessions"].update_many({}, {"$unset": {"endedAt": ""}})


def two_kinds_of_ids(app):
    app["sessions"].update_many({}, [{"$set": {"userId": {"$toString": "$userId"}}}])


def strangers(app):
    app["users"].delete_many({})
    app["users"].insert_one(user(99, avatar="a.png", hidden=False))


def events_that_expire(app):
    app["score_events"].create_index("createdAt", expireAfterSeconds=10**8)


def entries_that_expire(app):
    app["leaderboard_entries"].create_index("lastUpdated", expireAfterSeconds=10**8)


def a_newer_state(app):
    app["lbmigrate_state"].insert_one({"_id": "step:1", "kind": "step", "layout": 99, "fence": 0})


REFUSED = [
    (no_collection, "tasks", "collection 'tasks' does not exist"),
    (no_users, "users", "collection 'users' does not exist"),
    (no_user_anywhere, "tasks", "none of 30 documents of tasks in scope has userId"),
    (no_time_anywhere, "sessions", "none of 12 documents of sessions in scope has endedAt"),
    (two_kinds_of_ids, "user ids", "user ids are of 2 types"),
    (strangers, "users", "no user of tasks is found by users._id"),
    (events_that_expire, "schema", "score_events.createdAt_1 has a TTL"),
    (entries_that_expire, "schema", "leaderboard_entries.lastUpdated_1 has a TTL"),
    (a_newer_state, "leftovers", "written by a newer lbmigrate (layout 99"),
]


@pytest.mark.parametrize(("wrong", "subject", "fact"), REFUSED, ids=[wrong.__name__ for wrong, *_ in REFUSED])
def test_what_a_run_cannot_live_with_is_a_refusal_and_the_run_refuses_too(app, terminal, wrong, subject, fact):
    wrong(app)
    before = picture(app)
    looked = terminal("doctor")
    assert looked.code == 6
    assert "a run would be refused" in looked.err
    assert "next: " in looked.err
    refusals = found(terminal, "refusal")
    assert [told for told in refusals[subject] if fact in told], refusals
    for verb in ("run", "backfill"):
        refused = terminal(verb)
        assert refused.code == 6
        assert fact in " ".join(refused.err.split())
    assert picture(app) == before
    assert "lbmigrate_state" not in app.list_collection_names() or wrong is a_newer_state


@pytest.mark.slow
@pytest.mark.parametrize("name", ["feature_flags", "score_events", "leaderboard_entries", "lbmigrate_rejects"])
def test_a_view_where_something_is_to_be_written_is_refused(app, terminal, name):
    app.create_collection(name, viewOn="users", pipeline=[])
    before = sorted(app.list_collection_names())
    assert terminal("doctor").code == 6
    assert f"{name} is a view of users: nothing can be written to it" in found(terminal, "refusal")["schema"]
    assert terminal("run", "--no-backup").code == 6
    assert sorted(app.list_collection_names()) == before


def test_a_source_may_be_a_view(app, terminal):
    app.create_collection("done", viewOn="tasks", pipeline=[{"$match": {"status": "done"}}])
    terminal.configure({**TASKS, "collection": "done"}, SESSIONS)
    assert found(terminal, "refusal") == {}


@pytest.mark.slow
def test_users_by_a_key_that_no_index_supports_are_told(app, terminal):
    app["users"].update_many({}, [{"$set": {"uid": "$_id"}}])
    written = yaml.safe_load(terminal.config.read_text())
    terminal.configure(users={**written["users"], "key": "uid"})
    assert "users.uid has no index" in found(terminal, "warning")["users"][0]
    app["users"].create_index("uid")
    assert "users" not in found(terminal, "warning")


def test_of_paths_that_stand_in_for_each_other_one_suffices(app, terminal):
    shown = {"display_name": ["nick", "name"], "avatar": ["picture", "avatar"]}
    minutes = {"minutes": {**SESSIONS["let"]["minutes"], "path": ["seconds", "durationSec"]}}
    terminal.configure(
        {**TASKS, "at": ["completedAt", "doneAt"]}, {**SESSIONS, "let": minutes}, users={**USERS, **shown}
    )
    assert found(terminal, "warning") == {}
    app["users"].update_many({}, {"$unset": {"name": "", "avatar": ""}})
    app["sessions"].update_many({}, {"$unset": {"durationSec": ""}})
    warnings = found(terminal, "warning")
    assert {"none of 3 users has nick or name", "none of 3 users has picture or avatar"} <= set(warnings["users"])
    assert "none of 12 documents of sessions in scope has durationSec" in warnings["sessions"]


@pytest.mark.slow
def test_the_collections_of_this_migration_are_no_leftovers(app, terminal):
    assert terminal("run").code == 0
    assert found(terminal, "warning") == {}


# --- the server -----------------------------------------------------------------------------------------------------


def test_a_server_that_is_too_old_is_refused(app, terminal, monkeypatch):
    monkeypatch.setattr(MongoClient, "server_info", lambda client: {"version": "4.2.24"})
    assert found(terminal, "refusal")["server"] == ["MongoDB 4.2.24, replica set lbmigrate of 1 member"]
    assert terminal("run").code == 6


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (3, "ok"), (60, "warning"), (-60, "warning")])
def test_a_clock_that_differs_is_told(app, terminal, monkeypatch, seconds, level):
    truth = server_time
    monkeypatch.setattr(server, "server_time", lambda database: truth(database) + dt.timedelta(seconds=seconds))
    [fact] = found(terminal, level)["clock"]
    assert level == "ok" or (f"{abs(seconds) - 1}" in fact or f"{abs(seconds)}" in fact)
    assert ("ahead of" in fact) if seconds > 0 else ("behind" in fact or level == "ok")


@pytest.mark.slow
def test_a_disk_without_room_for_what_a_run_would_write_is_refused(app, terminal, monkeypatch):
    stats = app.command("dbStats")
    free, documents = stats["fsTotalSize"] - stats["fsUsedSize"], 42
    monkeypatch.setattr(server, "ENTRY_BYTES", 0)
    for share, level in ((0.5, "ok"), (0.8, "warning"), (1.5, "refusal")):
        monkeypatch.setattr(server, "EVENT_BYTES", share * free / documents)
        assert "free, about" in found(terminal, level)["disk"][0]
    assert terminal("run").code == 6


@pytest.mark.slow
def test_a_uri_that_asks_for_unacknowledged_writes_is_told_and_not_heeded(app, terminal):
    given = terminal("doctor", "--uri", f"{terminal.uri}&w=0", "--json").result["findings"]
    assert [f["level"] for f in given if f["subject"] == "write concern"] == ["warning"]
    assert terminal("run", "--uri", f"{terminal.uri}&w=0").code == 0
    without = terminal("doctor", "--json").result["findings"]
    assert [f["level"] for f in without if f["subject"] == "write concern"] in ([], ["ok"])


@pytest.mark.slow
def test_what_a_uri_says_of_reading_and_writing_is_told_by_every_verb_and_not_heeded(app, terminal):
    asked = "readPreference=secondary&readPreferenceTags=dc:ny&readConcernLevel=local&timeoutMS=1&journal=false"
    there = ("--uri", f"{terminal.uri}&{asked}&w=majority")
    for verb in ("doctor", "run", "status"):
        done = terminal(verb, *there)
        assert done.code == 0, done.err
        assert "of the URI this is not used: readPreference=secondary, readPreferenceTags=dc:ny" in done.err
    assert "w=majority" not in done.err.partition("not used")[2], "that is what is done"


@pytest.mark.slow
def test_options_of_a_uri_that_do_nothing_are_told_by_doctor_and_by_nobody_else(app, terminal):
    there = ("--uri", f"{terminal.uri}&apName=a&maxPoolSize=many&tlsCertificateKeyFilePasswort=s3cret&compressors=lz4")
    terminal("run", *there)
    for verb in ("status", "run", "backfill", "top", "doctor"):
        done = terminal(verb, *there)
        assert done.code == 0, done.err
        assert "Warning" not in done.err
        assert not {"apName", "s3cret"} & set(done.err.split("  database")[1].split())
    [told] = [each for each in terminal("doctor", "--json", *there).result["findings"] if each["subject"] == "uri"]
    assert told["level"] == "warning"
    assert "makes nothing of apName, maxPoolSize, tlsCertificateKeyFilePasswort, compressors in the URI" in told["fact"]
    assert "s3cret" not in terminal("doctor", *there).out


LEAKING = ["4.4.29", "5.0.31", "6.0.5", "6.0.26", "7.0.27", "7.3.4", "8.0.16", "8.1.2", "8.2.2", "8.0.0-rc3"]
MENDED = ["4.4.30", "5.0.32", "6.0.27", "7.0.28-15", "8.0.17", "8.2.3", "8.2.10", "8.3.0", "9.0.0"]


def leak(app, monkeypatch, version, **compression):
    """What is found about a server of a version that was started with such options."""
    options = {"parsed": {"net": {"compression": compression} if compression else {"port": 1}}}
    monkeypatch.setattr(MongoClient, "server_info", lambda client: {"version": version})
    monkeypatch.setattr(Database, "command", lambda database, name: options)
    return list(server._leak(app, version))


@pytest.mark.parametrize("version", LEAKING)
def test_a_server_whose_version_gives_its_memory_away_is_told_with_the_one_that_does_not(app, monkeypatch, version):
    for compression in ({}, {"compressors": "zlib"}, {"compressors": "snappy,zlib"}):
        (told,) = leak(app, monkeypatch, version, **compression)
        assert (told.level, told.subject) == ("warning", "server")
        assert f"MongoDB {version}: CVE-2025-14847" in told.fact
        assert re.search(r"upgrade to MongoDB \d\.\d\.\d+ or newer, or .*=snappy,zstd", told.fix)
    for compression in ({"compressors": "disabled"}, {"compressors": "snappy,zstd"}):
        assert leak(app, monkeypatch, version, **compression) == []


def test_the_version_to_upgrade_to_is_the_nearest(app, monkeypatch):
    wanted = {"6.0.5": "6.0.27", "6.3.1": "7.0.28", "7.3.4": "8.0.17", "8.1.2": "8.2.3"}
    told = {version: leak(app, monkeypatch, version)[0].fix.split()[3] for version in wanted}
    assert told == wanted


@pytest.mark.parametrize("version", MENDED)
def test_a_server_that_was_fixed_is_not_told(app, monkeypatch, version):
    assert leak(app, monkeypatch, version) == []


def test_the_embedded_server_takes_no_compression_and_so_is_not_told(app, terminal):
    assert app.client.admin.command("getCmdLineOpts")["parsed"]["net"]["compression"] == {"compressors": "disabled"}
    assert "server" not in found(terminal, "warning")


# --- mistyped -------------------------------------------------------------------------------------------------------

SHIPPED: Document = yaml.safe_load((ROOT / "config" / "leaderboard.yaml").read_text("utf-8"))
SHIPPED["database"] = {"name": "app"}
NAMING = {"collection", "key", "display_name", "avatar", "path", "user", "at", "updated", "between", "meta"}


def mapped(tree: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Where the configuration names a field or a collection of the app: ("sources", 0, "at", 1)."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, dict | list):
            yield from mapped(value, (*place, key))
        elif "where" in place or {key, place[-1]} & NAMING:
            yield (*place, key)


PLACES = [place for section in ("users", "sources") for place in mapped(SHIPPED[section], (section,))]


def with_word(place: tuple[Any, ...], wrong: str) -> Config:
    """The configuration with another word there; of a filter it is the field that is renamed."""
    written = copy.deepcopy(SHIPPED)
    *above, last = place
    here = reduce(getitem, above, written)
    if "where" in place:
        here[wrong] = here.pop(last)
    else:
        here[last] = wrong
    return Config.model_validate(written)


@pytest.fixture(scope="module")
def shipped_app(client):
    """A database for the shipped configuration; only looked at."""
    database = client[f"test_{uuid.uuid4().hex[:12]}"]
    for name, documents in demodata.generate(60, 400, 200, end=dt.datetime(2025, 11, 3)).items():
        database[name].insert_many(list(documents))
    yield database
    client.drop_database(database.name)


def words(place):
    return ".".join(map(str, place))


def test_every_mapped_word_of_the_shipped_configuration_is_tried():
    tried = {words(place) for place in PLACES}
    assert len(tried) == len(PLACES)
    assert tried == {
        "users.collection", "users.key", "users.display_name.0", "users.display_name.1", "users.avatar.0",
        "users.opt_out.path", "users.updated",
        "sources.0.collection", "sources.0.where.status", "sources.0.user", "sources.0.at.0",
        "sources.0.at.1", "sources.0.updated", "sources.0.meta.priority", "sources.1.collection",
        "sources.1.where.type", "sources.1.where.completed", "sources.1.user", "sources.1.at",
        "sources.1.let.minutes.path", "sources.1.let.weight.path",
    }  # fmt: skip


@pytest.mark.parametrize("slip", ["left out", "doubled", "other case"])
@pytest.mark.parametrize("place", PLACES, ids=words)
def test_a_letter_mistyped_is_found_and_named(shipped_app, place, slip):
    right = place[-1] if "where" in place else reduce(getitem, place, SHIPPED)
    middle = len(right) // 2
    wrong = {
        "left out": right[:middle] + right[middle + 1 :],
        "doubled": right[:middle] + right[middle] + right[middle:],
        "other case": right[:-1] + right[-1].swapcase(),
    }[slip]
    assert bad(shipped_app, with_word(place, wrong), wrong)
    assert not bad(shipped_app, Config.model_validate(SHIPPED), wrong)


def bad(app, config, word):
    """The findings, but for the fine ones, that name a word."""
    told = data.check_data(Context(config, app, app, State(app)))
    return [finding for finding in told if finding.level != "ok" and word in finding.fact]


def test_a_slip_is_shown_at_the_terminal_with_what_to_do(app, terminal):
    terminal.configure({**TASKS, "user": "userld"})
    refused = terminal("doctor")
    assert refused.code == 6
    assert "none of 30 documents of tasks in scope has userld" in refused.err
    assert "next: correct the path or the collection: lbmigrate config show" in refused.err


# --- rights ---------------------------------------------------------------------------------------------------------

LOOKING, WRITING = ("find", "listIndexes"), ("insert", "update", "remove")
MAKING = (*WRITING, "createCollection", "createIndex", "dropCollection", "dropIndex")


@pytest.fixture(scope="module")
def guarded(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A standalone server that asks for passwords, as its administrator."""
    home = tmp_path_factory.mktemp("guarded")
    server = start_mongod(prepare_home(home), free_port(), extra=["--auth"])
    try:
        with open_client(server.uri) as first:
            first.admin.command("createUser", "root", pwd="root", roles=["root"])
        with open_client(as_user(server.uri, "root", "root")) as admin:
            yield admin, server.uri
    finally:
        server.stop()


@pytest.fixture
def lent(guarded, terminal, monkeypatch):
    """An app on the guarded server, and a way to become a database user with given privileges on it."""
    admin, uri = guarded
    name = f"test_{uuid.uuid4().hex[:12]}"
    fill(admin[name])

    def become(*roles, **may):
        """May do so much: built-in roles on the app's database, and actions by collection (any: the database)."""
        privileges = [
            {"resource": {"db": name, "collection": "" if place == "any" else place}, "actions": list(actions)}
            for place, actions in may.items()
        ]
        admin.admin.command("createRole", name, privileges=privileges, roles=[])
        given = [*({"role": role, "db": name} for role in roles), {"role": name, "db": "admin"}]
        admin.admin.command("createUser", name, pwd="s3cr3t%", roles=given)
        monkeypatch.setenv("LBMIGRATE_URI", as_user(uri, name, "s3cr3t%25"))
        monkeypatch.setenv("LBMIGRATE_DATABASE", name)
        return admin[name]

    yield become
    admin.drop_database(name)


SOURCES = {"any": ("listCollections",), **dict.fromkeys(("users", "tasks", "sessions"), LOOKING)}
OURS = {
    **dict.fromkeys(("score_events", "leaderboard_entries", "lbmigrate_rejects"), (*LOOKING, *MAKING)),
    "lbmigrate_state": ("find", *WRITING),
    "feature_flags": ("find", *WRITING, "dropCollection"),
}


@pytest.mark.slow
def test_a_user_with_nothing_but_read_can_check_plan_and_rehearse(lent, terminal):
    app = lent("read")
    before = picture(app)
    checked = terminal("doctor", "--json")
    assert checked.code == 6
    told = {finding["subject"]: finding["level"] for finding in checked.result["findings"]}
    assert told["rights to read"] == told["tasks"] == told["users"] == told["disk"] == "ok"
    assert told["rights to write"] == "refusal"
    assert "may not createCollection on" in checked.err
    assert "runbooks/rights.md" in checked.err
    assert terminal("plan").code == 3
    rehearsed = terminal("run", "--dry-run", "--json")
    assert rehearsed.code == 0
    assert rehearsed.result["counts"]["emitted"] == 42
    assert terminal("run").code == 6
    assert picture(app) == before
    assert set(app.list_collection_names()) == {"users", "tasks", "sessions"}


@pytest.mark.slow
def test_a_user_who_may_read_the_sources_alone_can_rehearse_and_is_told_what_the_rest_needs(lent, terminal):
    lent(**SOURCES)
    assert terminal("run", "--dry-run").code == 0
    checked = terminal("doctor", "--json")
    assert checked.code == 6
    assert [f["subject"] for f in checked.result["findings"] if f["level"] == "refusal"] == [
        "rights to read", "rights to write",
    ]  # fmt: skip
    assert "may not find on" in checked.err


@pytest.mark.slow
def test_rights_on_our_collections_and_reading_the_sources_are_enough_for_everything(lent, terminal):
    app = lent(**SOURCES, **OURS)
    before = picture(app)
    assert terminal("doctor").code == 0
    for verb in (["run"], ["backfill"], ["verify", "--full"], ["status"], ["top"], ["plan"]):
        done = terminal(*verb)
        assert done.code == 0, done.err[-1500:]
    assert app["score_events"].count_documents({}) == 42
    assert terminal("rollback", "--yes").code == 0
    assert terminal("rollback", "--yes").code == 0
    assert picture(app) == before


@pytest.mark.parametrize("action", [*LOOKING, "insert", "update", "createCollection", "createIndex"])
def test_a_missing_right_is_told_before_anything_is_written(lent, terminal, action):
    short = {"leaderboard_entries": [each for each in (*LOOKING, *MAKING) if each != action]}
    app = lent(**SOURCES | OURS | short)
    before = picture(app)
    refused = terminal("run")
    assert refused.code == 6
    assert f"may not {action} on {app.name}.leaderboard_entries" in refused.err
    assert picture(app) == before
    assert set(app.list_collection_names()) == {"users", "tasks", "sessions"}


def test_a_standalone_server_is_told_to_be_one(lent, terminal):
    lent(**SOURCES, **OURS)
    assert "a standalone server keeps no oplog" in found(terminal, "warning")["server"][0]


def test_a_user_who_may_not_ask_for_the_servers_options_is_told_that_it_cannot_be_told(lent, terminal):
    version = lent("read").client.server_info()["version"]
    told = found(terminal, "warning")["server"]
    wanted = [fact for fact in told if "unless zlib compression is off, which this user may not ask" in fact]
    assert len(wanted) == int(version == "6.0.5")  # the one of the wheel


def test_a_wrong_password_is_told_and_not_shown(lent, terminal, monkeypatch):
    lent("read")
    uri = os.environ["LBMIGRATE_URI"].replace("s3cr3t%25", "wr0ngw0rd")
    refused = terminal("doctor", "--uri", uri)
    assert refused.code == 1
    assert "rejected the user name or the password" in refused.err
    assert "wr0ngw0rd" not in refused.err + refused.out
