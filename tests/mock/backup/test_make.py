"""Backups as files: what is in them, how far a broken one goes, and that nothing damaged comes back."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path

import bson
import pytest
from bson import Int64, json_util
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import ConfigurationError, OperationFailure

from lbmigrate.backup import make, record, restore
from lbmigrate.backup.archive import MANIFEST, UNFINISHED, Archive
from lbmigrate.backup.contents import digest
from lbmigrate.backup.restore import PREFIX
from lbmigrate.errors import LbmigrateError, Locked, Refused
from lbmigrate.files import private
from lbmigrate.mongo import fake
from lbmigrate.mongo.fake import memory
from lbmigrate.state import COLLECTION
from tests.apps import App, config, picture, task, user

pytestmark = pytest.mark.sampled

AGAIN = "lbmigrate backup --out here"
OURS = {"score_events", "leaderboard_entries", "lbmigrate_rejects", "feature_flags", COLLECTION}


@pytest.fixture
def client():
    with fake.client() as client:
        yield client


@pytest.fixture
def app(client):
    """An app that is migrated."""
    app = App(client["app"])
    app.database["users"].insert_many([user(number) for number in (1, 2)])
    app.database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(12)])
    app.database["tasks"].insert_one(task(90, userId=None))
    app.apply()
    return app


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path / "backup")


def take(app, archive, sources=True, pieces=None):
    """Back up, or begin to: as many pieces as are asked for."""
    with archive.held():
        walk = make.pieces(app.context(), archive, sources, AGAIN)
        for _ in itertools.islice(walk, pieces):
            pass
        walk.close()


def bring_back(app, archive, renamed=False, pieces=None):
    context = app.context()
    walk = restore.pieces(context, archive, restore.check(context, archive, renamed), AGAIN)
    for _ in itertools.islice(walk, pieces):
        pass
    walk.close()


def everything(database):
    """Options, indexes and documents of all collections; of the state without what says who backed it up."""
    rows = {row["_id"]: row for row in database[COLLECTION].find({"_id": {"$ne": "backup"}})}
    return picture(database), rows


def files(archive):
    return {path.relative_to(archive.root): path.read_bytes() for path in archive.root.rglob("*") if path.is_file()}


def dumped(archive):
    return {path: data for path, data in files(archive).items() if path.suffix == ".gz"}


def recorded(archive):
    """The files of documents that an unfinished backup counts as done."""
    path = archive.root / UNFINISHED
    found = json.loads(path.read_text())["collections"] if path.exists() else []
    return [archive.files(entry["database"], entry["collection"])[0] for entry in found]


def documents(path):
    return bson.decode_all(gzip.decompress(path.read_bytes()))


# --- what there is ---------------------------------------------------------------------------------------------------


def test_a_backup_has_the_layout_of_mongodump(app, archive):
    take(app, archive)
    found = {path.name for path in (archive.root / "app").iterdir()}
    names = OURS | {"users", "tasks"}
    assert found == {f"{name}.{kind}.gz" for name in names for kind in ("bson", "metadata.json")}
    assert documents(archive.root / "app" / "users.bson.gz") == list(app.database["users"].find())
    metadata = json_util.loads(gzip.decompress((archive.root / "app" / "score_events.metadata.json.gz").read_bytes()))
    assert metadata.keys() == {"options", "indexes", "uuid", "collectionName", "type"}
    assert metadata["options"]["validator"] == app.database["score_events"].options()["validator"]
    assert [(each["name"], list(each["key"])) for each in metadata["indexes"]] == [
        ("_id_", ["_id"]), ("userId_1_createdAt_1", ["userId", "createdAt"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a b", "a%20b"), ("a/b", "a%2Fb"), ("a:b", "a%3Ab"), ("a$b&c+d=e@f", "a$b&c+d=e@f"),
        ("ä,;?%", "%C3%A4%2C%3B%3F%25"), ("dotted.name~x_y-z", "dotted.name~x_y-z"),
    ],
)  # fmt: skip
def test_names_are_escaped_as_mongodump_does_it(archive, name, file):
    assert [path.name for path in archive.files("app", name)] == [f"{file}.bson.gz", f"{file}.metadata.json.gz"]


def test_without_sources_only_what_a_migration_writes_is_in_it(app, archive):
    take(app, archive, sources=False)
    assert {entry.collection for entry in archive.manifest().collections} == OURS


def test_the_manifest_tells_what_is_there_and_from_where(app, archive):
    app.config = config(database={"uri": "mongodb://anna:secret@db.example:27017/?x=1", "name": "app"})
    take(app, archive)
    manifest = archive.manifest()
    assert manifest.server == "mongodb://***@db.example:27017/?x=1"
    assert manifest.begun < manifest.finished
    [tasks] = [entry for entry in manifest.collections if entry.collection == "tasks"]
    content = gzip.decompress((archive.root / "app" / "tasks.bson.gz").read_bytes())
    assert (tasks.documents, tasks.size) == (13, len(content))
    assert tasks.sha256 == digest(archive.root / "app" / "tasks.bson.gz")
    assert manifest.consistent is False
    assert "in-memory" in manifest.notes[0]


def test_two_backups_of_the_same_have_the_same_files(app, archive, tmp_path):
    take(app, archive)
    app.state.rows.delete_one({"_id": "backup"})
    second = Archive(tmp_path / "second")
    take(app, second)
    assert dumped(archive) == dumped(second)


def test_a_backup_of_nothing_is_a_backup(client, archive):
    empty = App(client["empty"])
    take(empty, archive)
    assert archive.manifest().collections == ()
    assert empty.database.list_collection_names() == [COLLECTION]  # where it is on record
    assert record.evidence(empty.context())["how"] == "lbmigrate"


def test_a_state_in_another_database_is_in_the_backup_and_comes_back_there(client, archive):
    app = App(client["app"], config(state={"database": "ops"}), home=client["ops"])
    app.database["users"].insert_one(user(1))
    app.database["tasks"].insert_many([task(number) for number in range(3)])
    app.apply()
    take(app, archive)
    before, rows = picture(app.database), everything(app.home)[1]
    client.drop_database("app")
    client.drop_database("ops")
    bring_back(app, archive)
    assert (picture(app.database), everything(app.home)[1]) == (before, rows)
    assert COLLECTION not in app.database.list_collection_names()


def test_the_state_is_read_before_what_it_tells_of(app, archive):
    take(app, archive)
    assert archive.manifest().collections[0].collection == COLLECTION


# --- on record -------------------------------------------------------------------------------------------------------


def test_a_run_is_objected_to_until_a_backup_is_on_record(app, archive):
    said = record.objection(app.context())
    assert said == "no backup is on record for database app"
    take(app, archive)
    assert record.objection(app.context()) == ""
    row = record.evidence(app.context())
    assert (row["how"], row["ref"]) == ("lbmigrate", str(archive.root))
    assert row["digest"] == digest(archive.root / MANIFEST)


@pytest.mark.parametrize(("how", "ref"), [("reference", "snapshot 17"), ("none", "")])
def test_other_ways_are_put_on_record_as_well(app, how, ref):
    record.record(app.state, how, ref, app.clock())
    assert record.objection(app.context()) == ""
    row = record.evidence(app.context())
    assert (row["how"], row["ref"], row["kind"]) == (how, ref, "backup")


def test_looking_for_the_record_leaves_a_virgin_database_virgin(client):
    context = App(client["empty"]).context()
    assert record.objection(context)
    assert record.objection(context, embedded=True) == ""
    assert client["empty"].list_collection_names() == []


def test_an_unfinished_backup_is_not_on_record(app, archive):
    take(app, archive, pieces=8)
    assert record.evidence(app.context()) is None


# --- there and back --------------------------------------------------------------------------------------------------


def test_backup_drop_restore_gives_documents_options_and_indexes_as_they_were(app, archive):
    take(app, archive)
    before = everything(app.database)
    app.database.client.drop_database("app")
    bring_back(app, archive)
    assert everything(app.database) == before


values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.floats(allow_nan=False) | st.binary(max_size=5)
    | st.integers(-(2**31), 2**31 - 1) | st.integers(-(2**63), 2**63 - 1).map(Int64)
    | st.datetimes().map(lambda at: at.replace(microsecond=0)) | st.uuids(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.dictionaries(st.text("abc", min_size=1, max_size=2), values, max_size=4), max_size=8))
@pytest.mark.slow
def test_whatever_a_document_holds_comes_back(rows, tmp_path_factory):
    with fake.client() as client:
        app = App(client["app"])
        app.database["tasks"].insert_many([{"_id": number, **row} for number, row in enumerate([{}, *rows])])
        before = list(app.database["tasks"].find())
        archive = Archive(tmp_path_factory.mktemp("any"))
        take(app, archive)
        client.drop_database("app")
        bring_back(app, archive)
        assert list(app.database["tasks"].find()) == before
        assert [list(map(type, row.values())) for row in app.database["tasks"].find()] == [
            list(map(type, row.values())) for row in before
        ]


def test_a_collection_that_holds_documents_is_named_and_nothing_is_restored(app, archive):
    take(app, archive)
    app.database["score_events"].drop()
    app.database["tasks"].delete_many({})
    before = everything(app.database)
    with pytest.raises(Refused, match=r"already in app: .*users.*; nothing was restored") as caught:
        bring_back(app, archive)
    assert "tasks" not in caught.value.message
    assert "score_events" not in caught.value.message
    assert everything(app.database) == before


def test_an_empty_collection_makes_way(app, archive):
    take(app, archive)
    before = everything(app.database)
    app.database.client.drop_database("app")
    app.database.create_collection("score_events")
    bring_back(app, archive)
    assert everything(app.database) == before


def test_a_backup_of_another_database_is_refused_unless_that_is_meant(app, archive, client):
    take(app, archive)
    other = App(client["other"])
    with pytest.raises(Refused, match="is a backup of app, and the database here is other") as caught:
        bring_back(other, archive)
    assert "--database other" in caught.value.hint
    assert client["other"].list_collection_names() == []
    before = everything(app.database)
    bring_back(other, archive, renamed=True)
    assert everything(other.database) == everything(app.database) == before


def test_a_restore_that_is_stopped_anywhere_leaves_nothing_in_the_way_of_the_next(app, archive):
    take(app, archive)
    before = everything(app.database)
    for reports in itertools.count():
        app.database.client.drop_database("app")
        bring_back(app, archive, pieces=reports)
        there = set(app.database.list_collection_names())
        if COLLECTION in there:
            break
        assert all(name.startswith(PREFIX) for name in there)
        bring_back(app, archive)
        assert everything(app.database) == before
    assert reports > len(OURS)


def test_the_state_comes_back_last(app, archive, monkeypatch):
    take(app, archive)
    app.database.client.drop_database("app")
    seen = []
    rename = memory._Collection.rename
    monkeypatch.setattr(
        memory._Collection, "rename", lambda held, *a, **k: (seen.append(there()), rename(held, *a, **k))
    )

    def there():
        return {name for name in app.database.list_collection_names() if not name.startswith(PREFIX)}

    bring_back(app, archive)
    assert seen[-1] == OURS - {COLLECTION} | {"users", "tasks"}


# --- damage ----------------------------------------------------------------------------------------------------------


def every_file(archive):
    return sorted(path for path in (archive.root / "app").iterdir())


@pytest.mark.parametrize("harm", ["cut", "changed", "longer", "gone", "exchanged"])
def test_a_damaged_file_is_named_before_anything_is_written(app, archive, harm):
    take(app, archive)
    app.database.client.drop_database("app")
    for path in every_file(archive):
        whole = path.read_bytes()
        match harm:
            case "cut":
                path.write_bytes(whole[:-9])
            case "changed":
                path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            case "longer":
                path.write_bytes(whole + b"\0")
            case "gone":
                path.unlink()
            case "exchanged":
                path.write_bytes(gzip.compress(bson.encode({"_id": 1})))
        with pytest.raises(Refused, match=f"damaged: {path} ") as caught:
            bring_back(app, archive)
        assert caught.value.exit_code == 6
        assert app.database.list_collection_names() == []
        path.write_bytes(whole)
    bring_back(app, archive)


def test_a_file_with_fewer_documents_than_the_manifest_says_is_damaged(app, archive):
    take(app, archive)
    path = archive.root / "app" / "tasks.bson.gz"
    path.write_bytes(gzip.compress(bson.encode({"_id": 1})))
    manifest = json.loads((archive.root / MANIFEST).read_text())
    [entry] = [entry for entry in manifest["collections"] if entry["collection"] == "tasks"]
    entry["sha256"] = digest(path)
    (archive.root / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(Refused, match=r"tasks\.bson\.gz holds 1 document, not 13"):
        archive.check(archive.manifest())


ODD = (None, True, 5, -1.5, "", "x", [], [1], {}, {"a": 1})
FIELDS = ("database", "state_database", "server", "sources", "by", "begun", "finished", "consistent", "notes", "layout")
ENTRY_FIELDS = ("database", "collection", "documents", "size", "sha256", "metadata_sha256", "snapshot")


@pytest.mark.parametrize("name", [*FIELDS, "collections", *(f"collections.0.{each}" for each in ENTRY_FIELDS)])
def test_a_manifest_with_another_type_in_a_field_is_refused_and_none_breaks_a_verb(app, archive, name):
    take(app, archive)
    text = (archive.root / MANIFEST).read_text()
    for value in ODD:
        manifest = json.loads(text)
        place = manifest["collections"][0] if "." in name else manifest
        usual = place[name.rpartition(".")[2]]
        place[name.rpartition(".")[2]] = value
        (archive.root / MANIFEST).write_text(json.dumps(manifest))
        if type(value) is not type(usual) and None not in (value, usual):
            with pytest.raises(Refused, match="is no manifest that can be read"):
                archive.manifest()
            continue
        with suppress(Refused):
            archive.check(archive.manifest())
            bring_back(app, archive)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "[" * 100_000, '{"collections": [{}], "notes": []}', "\udcff"])
def test_a_manifest_that_cannot_be_read_is_named(app, archive, text):
    take(app, archive)
    (archive.root / MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Refused, match="is no manifest that can be read"):
        archive.manifest()


def test_a_directory_without_a_backup_is_refused(archive):
    with pytest.raises(Refused, match="there is no backup in"):
        archive.manifest()


# --- going on --------------------------------------------------------------------------------------------------------


def test_a_backup_that_is_killed_anywhere_goes_on_with_what_is_missing(app, archive, tmp_path):
    take(app, archive)
    app.state.rows.delete_one({"_id": "backup"})
    wanted = dumped(archive)
    for reports in itertools.count():
        half = Archive(tmp_path / f"half{reports}")
        take(app, half, pieces=reports)
        if (half.root / MANIFEST).exists():
            break
        if (half.root / UNFINISHED).exists():
            (half.root / f"{UNFINISHED}.part").write_text("{")  # what SIGKILL leaves
            (half.root / "app").mkdir(exist_ok=True)
            (half.root / "app" / "users.bson.gz.part").write_bytes(b"half")
        there = {path: path.stat().st_ino for path in recorded(half)}
        take(app, half)
        app.state.rows.delete_one({"_id": "backup"})
        assert dumped(half) == wanted
        assert {path: path.stat().st_ino for path in there} == there
    assert reports > len(OURS)


def test_what_was_finished_but_is_damaged_since_is_done_again(app, archive):
    take(app, archive, pieces=8)
    [first, *_] = [path for path in every_file(archive) if path.name.endswith(".bson.gz")]
    first.write_bytes(b"rubbish")
    take(app, archive)
    archive.check(archive.manifest())


def test_an_unfinished_backup_cannot_be_verified_or_restored(app, archive):
    take(app, archive, pieces=8)
    with pytest.raises(Refused, match="is unfinished") as caught:
        archive.manifest()
    assert caught.value.hint == f"lbmigrate backup --out {archive.root}"


@pytest.mark.parametrize("sources", [False, True])
def test_the_beginning_of_another_backup_is_left_alone(app, archive, client, sources):
    take(app, archive, sources=False, pieces=8)
    before = files(archive)
    other = App(client["other"]) if sources is False else app
    with pytest.raises(Refused, match="holds the beginning of another backup: of app at"):
        take(other, archive, sources)
    assert files(archive) == before


def test_a_finished_backup_is_left_alone(app, archive):
    take(app, archive)
    before = files(archive)
    with pytest.raises(Refused, match="holds a finished backup"):
        take(app, archive)
    assert files(archive) == before


def test_a_directory_of_something_else_is_left_alone(app, archive):
    archive.root.mkdir()
    (archive.root / "thesis.txt").write_text("dear reader")
    with pytest.raises(Refused, match="holds something that is no backup"):
        take(app, archive)
    assert files(archive).keys() == {(archive.root / "thesis.txt").relative_to(archive.root)}


def test_two_backups_do_not_write_to_one_directory(app, archive):
    with archive.held(), pytest.raises(Locked, match="another backup is being written to"):
        take(app, archive)
    take(app, archive)


def test_a_backup_is_for_its_owner_alone(app, archive):
    before = os.umask(0)
    try:
        take(app, archive)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (archive.root, archive.root / "app")} == {0o700}
    assert {(archive.root / path).stat().st_mode & 0o777 for path in files(archive)} == {0o600}


def test_a_directory_that_was_made_for_a_backup_is_closed_and_one_with_other_things_is_not(app, archive):
    archive.root.mkdir(mode=0o755)
    take(app, archive)
    assert archive.root.stat().st_mode & 0o777 == 0o700
    other = Archive(archive.root.parent / "other")
    other.root.mkdir(mode=0o755)
    (other.root / "thesis.txt").touch()
    with pytest.raises(Refused, match="holds something that is no backup"):
        take(app, other)
    assert other.root.stat().st_mode & 0o777 == 0o755


def test_no_link_is_followed_when_a_backup_is_written(app, archive, tmp_path):
    take(app, archive, pieces=1)
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    (archive.root / "app").mkdir(0o700, exist_ok=True)
    for name in ("unfinished.json.part", "app/users.bson.gz", "app/users.bson.gz.part"):
        (archive.root / name).symlink_to(victim)
    take(app, archive)
    assert victim.read_text() == "as it was"
    assert not [path for path in archive.root.rglob("*") if path.is_symlink()]
    archive.check(archive.manifest())


def test_a_link_in_the_place_of_a_databases_directory_is_refused(app, archive, tmp_path):
    take(app, archive, pieces=1)
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(archive.root / "app")
    (archive.root / "app").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="backup/app is no directory") as caught:
        take(app, archive)
    assert f"rm {archive.root / 'app'}" in caught.value.hint
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
def test_a_directory_or_a_link_of_another_user_is_refused(app, archive, tmp_path):
    (tmp_path / "mine").mkdir()
    archive.root.symlink_to(tmp_path / "mine")
    os.chown(archive.root, 1, 1, follow_symlinks=False)
    with pytest.raises(Refused, match="backup belongs to another user"):
        take(app, archive)
    assert list((tmp_path / "mine").iterdir()) == []
    archive.root.unlink()
    archive.root.mkdir()
    os.chown(archive.root, 1, 1)
    with pytest.raises(Refused, match="backup belongs to another user"):
        take(app, archive)
    assert list(archive.root.iterdir()) == []


def test_a_directory_that_everybody_can_write_is_refused_and_a_link_of_ones_own_is_fine(app, archive, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real").chmod(0o777)
    archive.root.symlink_to(tmp_path / "real")
    with pytest.raises(Refused, match="real can be written by others") as caught:
        take(app, archive)
    assert f"chmod go-w {tmp_path / 'real'}" in caught.value.hint
    (tmp_path / "real").chmod(0o755)
    take(app, archive)
    archive.check(archive.manifest())


def test_a_full_disk_is_told_with_the_file_and_what_is_finished_stays(app, archive, monkeypatch):
    take(app, archive, pieces=8)
    done = dumped(archive)
    assert done
    with monkeypatch.context() as patched:
        full = partial(Path.open, Path("/dev/full"), "wb")
        make_file = private.new_file
        patched.setattr(private, "new_file", lambda at: full() if "users.bson" in at.name else make_file(at))
        with pytest.raises(LbmigrateError, match=r"users\.bson\.gz cannot be written: No space left") as caught:
            take(app, archive)
    assert caught.value.exit_code == 1
    assert f"lbmigrate backup --out {archive.root}" in caught.value.hint
    assert not list(archive.root.rglob("*.part"))
    there = files(archive)
    assert {path: there[path] for path in done} == done
    take(app, archive)
    archive.check(archive.manifest())


def test_where_nothing_can_be_written_is_told(app, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LbmigrateError, match="file/below cannot be written"):
        take(app, Archive(tmp_path / "file" / "below"))


def test_a_stop_asked_for_in_the_middle_names_the_command_that_goes_on(app, archive):
    context = app.context()
    with archive.held():
        walk = make.pieces(context, archive, True, AGAIN)
        for _ in itertools.islice(walk, 4):
            pass
        context.stop.request(15)
        with pytest.raises(LbmigrateError) as caught:
            list(walk)
    assert (caught.value.exit_code, caught.value.hint) == (143, AGAIN)
    take(app, archive)
    archive.check(archive.manifest())


def test_a_backup_that_cannot_be_put_on_record_is_whole_all_the_same(app, archive):
    app.state.rows.update_one({"_id": "step:1"}, {"$set": {"layout": 99}})
    with archive.held():
        made = list(make.pieces(app.context(), archive, False, AGAIN))
    assert "could not be put on record" in made[-1].warning
    archive.check(archive.manifest())
    assert record.evidence(app.context()) is None


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (OperationFailure("too old, full error: {}", 239), False),
        (OperationFailure("no replica set", 123), False),
        (ConfigurationError("Snapshot reads require MongoDB 5.0 or later"), False),
        (OperationFailure("capped", 246), True),
    ],
)
def test_a_moment_is_given_up_for_all_unless_only_one_collection_lacks_it(error, kept):
    moment = make.Moment(object(), "2025-01-01T00:00:00Z")
    moment.lose(error)
    assert (moment.session is not None) is kept
    assert moment.lost == str(error).partition(",")[0]


def test_other_errors_do_not_cost_the_moment():
    moment = make.Moment(object(), "2025-01-01T00:00:00Z")
    with pytest.raises(OperationFailure):
        moment.lose(OperationFailure("not authorized", 13))
    assert moment.session is not None


def test_documents_of_a_batch_are_counted_by_their_lengths():
    some = [bson.encode({"_id": number, "text": "x" * number}) for number in range(5)]
    assert make._count(b"".join(some)) == 5
    assert make._count(b"") == 0
