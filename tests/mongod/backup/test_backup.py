"""Backups of a real server: bit by bit there and back, as of one moment, and by the verbs."""

from __future__ import annotations

import gzip
import itertools
import shutil
import subprocess
import tracemalloc
import uuid

import bson
import pytest
from bson import Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp, json_util

from lbmigrate.backup import make, restore
from lbmigrate.backup.archive import MANIFEST, Archive
from lbmigrate.backup.contents import digest
from lbmigrate.mongo.client import open_client
from lbmigrate.mongo.process import free_port, start_mongod
from lbmigrate.state import COLLECTION
from tests.apps import SESSIONS, TASKS, App, config, oid, picture, session, task, user

AGAIN = "lbmigrate backup --out here"
ODD = [
    {"_id": 1, "int": 1, "long": Int64(1), "double": 1.0, "decimal": Decimal128("1.10"), "nan": float("nan")},
    {"_id": {"b": 1, "a": 2}, "regex": Regex("a+", "i"), "code": Code("x", {"y": 1}), "ref": DBRef("a", 1)},
    {"_id": "min", "min": MinKey(), "max": MaxKey(), "time": Timestamp(3, 4), "id": ObjectId(), "uuid": uuid.uuid4()},
    {"_id": None, "nested": [[], {}, [{"a": [None, True, b"\x00\xff", bson.Binary(b"old", 3)]}]], "": "empty name"},
]


@pytest.fixture
def app(database):
    """An app that is migrated, with something of everything in it."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    database["tasks"].insert_one(task(90, userId=None))
    app = App(database)
    app.apply()
    return app


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "backup")


def take(app, archive, sources=True):
    with archive.held():
        return list(make.pieces(app.context(), archive, sources, AGAIN))


def bring_back(app, archive, renamed=False, proven=False):
    """Restore a backup, also as one that is known to be as it was made; the warnings."""
    context, known = app.context(), digest(archive.root / MANIFEST) if proven else ""
    manifest = restore.check(context, archive, renamed, known)
    return [piece.warning for piece in restore.pieces(context, archive, manifest, AGAIN, proven) if piece.warning]


USUAL = {"validationLevel": "strict", "validationAction": "error"}  # which a server shows only after a collMod


def image(database):
    """Every bit of a database: options, indexes, raw documents; but for what a restore itself puts on record.

    And for what the next run makes anew: the histograms of boards.
    """
    shown = {}
    for info in database.list_collections():
        held = database[info["name"]]
        made = {"kind": "ranks"}
        ours = {"$nor": [{"_id": {"$in": ["backup", "ledger"]}}, made, {"verb": {"$in": ["backup", "backup restore"]}}]}
        raw = b"".join(held.find_raw_batches(ours, sort=[("_id", 1)]))
        if raw or held.name != COLLECTION:
            options = {name: value for name, value in info["options"].items() if USUAL.get(name) != value}
            shown[held.name] = (options, list(map(dict, held.list_indexes())), raw)
    return shown


# --- there and back --------------------------------------------------------------------------------------------------


def test_backup_drop_restore_gives_documents_and_indexes_equal_to_the_bit(app, archive):
    app.database["tasks"].insert_many(ODD)
    take(app, archive)
    before = image(app.database)
    app.database.client.drop_database(app.database)
    bring_back(app, archive)
    assert image(app.database) == before
    assert app.apply().emitted == 0


@pytest.mark.slow
def test_options_and_indexes_of_every_kind_come_back(database, archive):
    german = {"locale": "de", "strength": 2}
    database.create_collection("users", collation=german, validator={"name": {"$type": "string"}})
    database.command("collMod", "users", validationLevel="moderate", validationAction="warn")
    database["users"].insert_one(user(1))
    database["users"].create_index("name", unique=True)
    database["users"].create_index([("text", "text")], collation={"locale": "simple"}, default_language="german")
    database["users"].create_index("b", name="plain", collation={"locale": "simple"})
    database.create_collection("tasks", capped=True, size=1 << 20, max=500)
    tasks = database["tasks"]
    tasks.create_index([("where", "2dsphere")], sparse=True)
    tasks.create_index([("$**", 1)], wildcardProjection={"a": 1})
    tasks.create_index([("userId", "hashed")])
    tasks.create_index("until", partialFilterExpression={"until": {"$gt": 5}})
    tasks.create_index("unseen", hidden=True)
    database.command("createIndexes", "tasks", indexes=[{"key": {"shell": 1.0, "b": -1.0}, "name": "of a shell"}])
    database.create_collection("sessions", clusteredIndex={"key": {"_id": 1}, "unique": True, "name": "mine"})
    database["sessions"].insert_one(session(1))
    database["sessions"].create_index("until", expireAfterSeconds=10**9)
    app = App(database, config(TASKS, SESSIONS))
    take(app, archive)
    before = image(database)
    assert len(before["tasks"][1]) == 7
    database.client.drop_database(database)
    assert bring_back(app, archive, proven=True) == []
    assert image(database) == before


def test_documents_that_are_older_than_the_validator_come_back(database, archive):
    database["users"].insert_one(user(1))
    database["tasks"].insert_many([task(number, title=number) for number in range(4)])
    database["tasks"].insert_one(task(5, title="of today"))
    database.command("collMod", "tasks", validator={"title": {"$type": "string"}})
    app = App(database)
    take(app, archive)
    before = image(database)
    database.client.drop_database(database)
    bring_back(app, archive, proven=True)
    assert image(database) == before


@pytest.mark.slow
def test_a_backup_comes_back_in_another_database(app, archive, client):
    take(app, archive)
    other = client[f"{app.database.name}_copy"]
    try:
        bring_back(App(other), archive, renamed=True)
        assert image(other) == image(app.database)
    finally:
        client.drop_database(other)


@pytest.mark.slow
def test_views_are_told_and_left_out(app, archive):
    app.database["tasks"].drop()
    app.database.create_collection("tasks", viewOn="users", pipeline=[])
    take(app, archive)
    manifest = archive.manifest()
    assert "tasks is a view, no plain collection, and is not in the backup" in manifest.notes
    assert "tasks" not in {entry.collection for entry in manifest.collections}


@pytest.mark.slow
def test_metadata_has_the_uuid_of_the_collection_without_dashes(app, archive):
    take(app, archive)
    _, path = archive.files(app.database.name, "tasks")
    found = json_util.loads(gzip.decompress(path.read_bytes()))
    [info] = app.database.list_collections(filter={"name": "tasks"})
    assert (found["uuid"], found["type"], found["collectionName"]) == (
        info["info"]["uuid"].hex(),
        "collection",
        "tasks",
    )


# --- of one moment ---------------------------------------------------------------------------------------------------


def begun(app, archive, done):
    """A backup that has read just the collections up to `done`, and was left alone since."""
    walk = make.pieces(app.context(), archive, True, AGAIN)
    for piece in walk:
        if piece.subject == done and piece.done == piece.total and not piece.estimated:
            return walk
    raise AssertionError(done)


@pytest.mark.slow
def test_what_is_written_meanwhile_is_not_in_a_backup(app, archive):
    before = image(app.database)
    with archive.held():
        walk = begun(app, archive, "score_events")
        app.database["tasks"].insert_one(task(500))
        app.database["users"].delete_many({})
        list(walk)
    assert archive.manifest().consistent is True
    app.database.client.drop_database(app.database)
    bring_back(app, archive)
    assert image(app.database) == before


@pytest.mark.slow
def test_a_collection_that_is_newer_than_the_moment_is_read_as_it_is_and_that_is_told(app, archive):
    with archive.held():
        walk = begun(app, archive, "score_events")
        app.database["tasks"].drop()
        app.database["tasks"].insert_many([task(number) for number in range(700, 705)])
        pieces = list(walk)
    manifest = archive.manifest()
    assert manifest.consistent is False
    assert "not of one moment (Unable to read from a snapshot" in manifest.notes[0]
    assert manifest.notes[0] in {piece.warning for piece in pieces}
    assert {entry.collection for entry in manifest.collections if entry.snapshot is None} == {"tasks"}
    assert {entry.collection: entry.documents for entry in manifest.collections}["tasks"] == 5
    archive.check(manifest)


@pytest.mark.slow
def test_a_backup_in_two_goes_is_not_of_one_moment(app, archive):
    with archive.held():
        begun(app, archive, "score_events").close()
    take(app, archive)
    assert archive.manifest().consistent is False
    assert "several goes" in archive.manifest().notes[0]


@pytest.mark.slow
def test_a_standalone_server_is_backed_up_without_a_moment(home, archive):
    server = start_mongod(home / "alone", free_port())
    try:
        with open_client(server.uri) as client:
            app = App(client["app"])
            app.database["users"].insert_one(user(1))
            app.database["tasks"].insert_many([task(number) for number in range(5)])
            take(app, archive)
            before = image(app.database)
            client.drop_database("app")
            bring_back(app, archive)
            assert image(app.database) == before
    finally:
        server.stop()
    manifest = archive.manifest()
    assert manifest.consistent is False
    assert "replica set" in manifest.notes[0]


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_stays_flat_whatever_the_size(database, archive):
    database["users"].insert_one(user(1))
    rows = ({"_id": number, "text": "x" * 500} for number in itertools.count())
    for _ in range(10):
        database["tasks"].insert_many(itertools.islice(rows, 10_000))
    app = App(database)
    tracemalloc.start()
    try:
        take(app, archive)
        database.client.drop_database(database)
        bring_back(app, archive)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = archive.manifest().collections[0].size
    assert size > 50_000_000
    assert peak < size / 2
    assert database["tasks"].count_documents({}) == 100_000


# --- mongodump's own tools -------------------------------------------------------------------------------------------


def tool(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on PATH")
    return found


@pytest.mark.slow
def test_mongorestore_reads_a_backup(app, archive, server_uri, client):
    program = tool("mongorestore")
    take(app, archive)
    name = app.database.name
    renamed = [f"--nsFrom={name}.*", f"--nsTo={name}_copy.*"]
    try:
        subprocess.run([program, f"--uri={server_uri}", "--gzip", *renamed, str(archive.root)], check=True)
        assert image(client[f"{name}_copy"]) == image(app.database)
    finally:
        client.drop_database(f"{name}_copy")


@pytest.mark.slow
def test_mongodump_writes_the_same_files(app, archive, server_uri, tmp_path):
    program = tool("mongodump")
    take(app, archive)
    app.state.rows.delete_one({"_id": "backup"})
    theirs = Archive(tmp_path / "dump")
    name = app.database.name
    subprocess.run([program, f"--uri={server_uri}", "--gzip", f"--db={name}", f"--out={theirs.root}"], check=True)
    for entry in archive.manifest().collections:
        ours, other = archive.files(name, entry.collection), theirs.files(name, entry.collection)
        assert gzip.decompress(ours[0].read_bytes()) == gzip.decompress(other[0].read_bytes())
        assert archive.metadata(entry) == theirs.metadata(entry)


# --- the verbs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def migrated(database, terminal):
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    database["tasks"].create_index("updatedAt")
    database["sessions"].insert_many([session(number, owner=1 + number % 2) for number in range(12)])
    App(database).apply()
    return database


@pytest.mark.slow
def test_plain_backup_goes_to_a_directory_that_names_database_and_time(migrated, terminal, tmp_path):
    done = terminal("backup", "--json")
    assert done.code == 0
    [made] = (tmp_path / "backups").iterdir()
    assert made.name.startswith(f"{migrated.name}-20")
    assert done.result["directory"] == f"backups/{made.name}"
    assert done.result["consistent"] is True
    assert "users" not in {entry["collection"] for entry in done.result["collections"]}
    assert f"next: lbmigrate backup verify backups/{made.name}" in done.err


def test_a_backup_is_verified_and_brought_back_by_verbs(migrated, terminal, client):
    assert terminal("backup", "--sources", "--out", "here").code == 0
    before = image(migrated)
    assert terminal("backup", "verify", "here", "--json").result["documents"] > 42
    client.drop_database(migrated)
    assert terminal("backup", "restore", "here", "--yes").code == 0
    assert image(migrated) == before


@pytest.mark.slow
def test_make_takes_the_directory_as_its_argument(migrated, terminal, tmp_path):
    assert terminal("backup", "make", "there", "--sources").code == 0
    assert (tmp_path / "there" / "manifest.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["verfy", "here"], ["here"], ["--sources", "verify"], ["restore", "here"], ["make", "a", "b"]]
)
def test_a_mistyped_verb_makes_no_backup(migrated, terminal, tmp_path, words):
    assert terminal("backup", "make", "here").code == 0
    before = sorted(tmp_path.rglob("*"))
    assert terminal("backup", *words).code == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_restore_over_data_exits_6_and_names_the_collections(migrated, terminal):
    assert terminal("backup", "--out", "here").code == 0
    before = picture(migrated)
    refused = terminal("backup", "restore", "here", "--yes")
    assert refused.code == 6
    assert "score_events" in refused.err
    assert picture(migrated) == before


@pytest.mark.slow
def test_a_damaged_backup_exits_6_and_names_the_file(migrated, terminal, tmp_path, client):
    assert terminal("backup", "--out", "here").code == 0
    path = tmp_path / "here" / migrated.name / "score_events.bson.gz"
    path.write_bytes(path.read_bytes()[:-20])
    client.drop_database(migrated)
    for words in (["verify", "here"], ["restore", "here", "--yes"]):
        refused = terminal("backup", *words)
        assert refused.code == 6
        assert "score_events.bson.gz" in refused.err
    assert migrated.list_collection_names() == []


@pytest.mark.slow
def test_a_backup_of_another_database_needs_the_option(migrated, terminal, client, monkeypatch):
    assert terminal("backup", "--out", "here").code == 0
    name = f"{migrated.name}_copy"
    try:
        monkeypatch.setenv("LBMIGRATE_DATABASE", name)  # a variable says where the app is, not what is meant here
        refused = terminal("backup", "restore", "here", "--yes")
        assert refused.code == 6
        assert f"--database {name}" in refused.err
        assert client[name].list_collection_names() == []
        assert terminal("backup", "restore", "here", "--yes", "--database", name).code == 0
        assert image(client[name]) == {
            key: value for key, value in image(migrated).items() if key in image(client[name])
        }
        assert client[name]["score_events"].find_one({"userId": oid(1)})
    finally:
        client.drop_database(name)


def test_an_unreachable_server_leaves_no_directory_behind(terminal, tmp_path):
    before = sorted(tmp_path.iterdir())
    assert terminal("backup", "--uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50").code == 1
    assert sorted(tmp_path.iterdir()) == before
