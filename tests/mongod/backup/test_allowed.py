"""A backup that somebody has changed: of it comes back only what a backup of ours may hold, and no odd behaviour."""

from __future__ import annotations

import gzip
import json
import shutil

import bson
import pytest
from bson import json_util
from pymongo.errors import AutoReconnect

from lbmigrate.backup import restore
from lbmigrate.backup.archive import MANIFEST, SEAL, Archive
from lbmigrate.backup.contents import digest
from lbmigrate.backup.restore import PREFIX
from lbmigrate.errors import Refused
from lbmigrate.schema import REJECT_DAYS
from lbmigrate.values.json_stream import CANONICAL
from tests.apps import App, in_full, picture, task, user
from tests.mongod.backup.test_backup import bring_back, image, take

KEY = "k" * 32


@pytest.fixture
def app(database):
    """An app that is migrated, with other flags beside ours."""
    database["users"].insert_many([user(number) for number in (1, 2, 3)])
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(30)])
    app = App(database)
    app.apply()
    return app


@pytest.fixture
def archive(app, tmp_path):
    archive = Archive(tmp_path / "backup")
    take(app, archive)
    return archive


def drop_from(archive, *names):
    """Make a backup of the collections that a migration makes, out of one of the app's own as well."""
    manifest = json.loads((archive.root / MANIFEST).read_text())
    kept = [entry for entry in manifest["collections"] if entry["collection"] not in names]
    (archive.root / MANIFEST).write_text(json.dumps({**manifest, "collections": kept}))


def entry_of(archive, name):
    return next(entry for entry in archive.manifest().collections if entry.collection == name)


def recompute(archive, **changes):
    """Make the digests fit again, as whoever changes a backup does."""
    manifest = json.loads((archive.root / MANIFEST).read_text())
    for entry in manifest["collections"]:
        files = archive.files(entry["database"], entry["collection"])
        entry["sha256"], entry["metadata_sha256"] = map(digest, files)
    (archive.root / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def change_metadata(archive, name, change):
    path = archive.files(entry_of(archive, name).database, name)[1]
    found = json_util.loads(gzip.decompress(path.read_bytes()), json_options=CANONICAL)
    change(found)
    path.write_bytes(gzip.compress(json_util.dumps(found, json_options=CANONICAL).encode()))
    recompute(archive)


def with_options(**options):
    return lambda found: found["options"].update(options)


def with_index(**options):
    def change(found):
        found["indexes"].append({"v": 2, "key": {"createdAt": 1}, "name": "extra", **options})

    return change


def add_collection(archive, database, name):
    """One more collection, described like the users."""
    manifest = json.loads((archive.root / MANIFEST).read_text())
    model = next(entry for entry in manifest["collections"] if entry["collection"] == "users")
    ours, theirs = archive.files(model["database"], "users"), archive.files(database, name)
    theirs[0].parent.mkdir(exist_ok=True, parents=True)
    for source, target in zip(ours, theirs, strict=True):
        shutil.copy(source, target)
    manifest["collections"].append({**model, "database": database, "collection": name})
    (archive.root / MANIFEST).write_text(json.dumps(manifest))


def odd(database):
    """What is there that removes or refuses documents: options of collections, TTL and unique indexes."""
    found = {}
    for info in database.list_collections():
        options = {name for name in info["options"] if name not in ("validator", "collation")}
        indexes = database[info["name"]].list_indexes()
        told = {name for spec in indexes for name in ("expireAfterSeconds", "unique") if name in spec}
        if options | told:
            found[info["name"]] = options | told
    return found


def validators_of(database):
    return {name: in_full(database[name].options()) for name in ("score_events", "leaderboard_entries")}


TAMPERED = {
    "a collection that forgets": ("tasks", with_options(capped=True, size=4096, max=1)),
    "a TTL on the users": ("users", with_index(expireAfterSeconds=60)),
    "a TTL on the events": ("score_events", with_index(expireAfterSeconds=60)),
    "a TTL on the state": ("lbmigrate_state", with_index(expireAfterSeconds=60)),
    "a TTL on the flag": ("feature_flags", with_index(expireAfterSeconds=60)),
    "a TTL of a clustered collection": ("users", with_options(expireAfterSeconds=60)),
    "a validator that takes nothing": ("users", with_options(validator={"no": {"$exists": True}})),
    "another validator of ours": ("score_events", with_options(validator={"no": {"$exists": True}})),
    "a unique index on the events": ("leaderboard_entries", with_index(unique=True, key={"_id": 1, "rev": 1})),
    "a collation that makes ids alike": ("score_events", with_options(collation={"locale": "en", "strength": 1})),
    "images of changes": ("users", with_options(changeStreamPreAndPostImages={"enabled": True})),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TAMPERED)
def test_what_would_change_what_becomes_of_documents_is_left_out_and_told(app, archive, name):
    before = picture(app.database)
    validators = validators_of(app.database)
    collection, change = TAMPERED[name]
    change_metadata(archive, collection, change)
    app.database.client.drop_database(app.database)
    warnings = bring_back(app, archive)
    assert any(warning.startswith(collection) and "left out" in warning for warning in warnings)
    assert odd(app.database) == {"lbmigrate_rejects": {"expireAfterSeconds"}}
    if name == "another validator of ours":  # ours as it is for a new ledger, whose users are not known yet
        del validators["score_events"]["validator"]["$or"]
    assert validators_of(app.database) == validators
    assert {each: rows for each, rows in picture(app.database).items() if each == collection}.keys() <= before.keys()
    assert app.database["users"].count_documents({}) == 3
    app.database["users"].insert_one(user(9))
    assert app.apply().emitted == 0


@pytest.mark.slow
def test_rejects_expire_as_ours_do_whatever_a_backup_says(app, archive):
    def sooner(found):
        found["indexes"][1]["expireAfterSeconds"] = 1

    change_metadata(archive, "lbmigrate_rejects", sooner)
    app.database.client.drop_database(app.database)
    bring_back(app, archive)
    [_, spec] = app.database["lbmigrate_rejects"].list_indexes()
    assert spec["expireAfterSeconds"] == REJECT_DAYS * 86400


STRANGERS = {
    "another collection of the app": lambda archive, name: add_collection(archive, name, "accounts"),
    "another database": lambda archive, name: add_collection(archive, "admin", "system.users"),
    "a system collection": lambda archive, name: add_collection(archive, name, "system.js"),
    "a collection twice": lambda archive, name: add_collection(archive, name, "tasks"),
    "files elsewhere": lambda archive, name: add_collection(archive, "../elsewhere", "users"),
    "sources without saying so": lambda archive, name: recompute(archive, sources=False),
    "a view": lambda archive, name: change_metadata(archive, "users", with_options(viewOn="tasks", pipeline=[])),
    "a view by its type": lambda archive, name: change_metadata(
        archive, "users", lambda found: found.update(type="view")
    ),
    "a time series": lambda archive, name: change_metadata(
        archive, "tasks", with_options(timeseries={"timeField": "createdAt"})
    ),
    "no options": lambda archive, name: change_metadata(archive, "tasks", lambda found: found.pop("options")),
    "an index of nothing": lambda archive, name: change_metadata(
        archive, "tasks", lambda found: found["indexes"].append({"v": 2})
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STRANGERS)
def test_what_no_backup_of_ours_holds_is_refused_before_anything_is_written(app, archive, name):
    STRANGERS[name](archive, app.database.name)
    app.database.client.drop_database(app.database)
    with pytest.raises(Refused):
        bring_back(app, archive)
    assert app.database.list_collection_names() == []


# --- known by a digest or a key ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_backup_that_was_changed_is_known_by_the_digest_that_was_printed_when_it_was_made(app, terminal, tmp_path):
    app.database["sessions"].insert_one({"_id": 1})
    made = terminal("backup", "--sources", "--out", "here", "--json")
    assert made.result["digest"] in made.err
    known = made.result["digest"]
    assert terminal("backup", "verify", "here", "--digest", known.upper()).code == 0
    change_metadata(Archive(tmp_path / "here"), "users", with_index(expireAfterSeconds=60))
    assert terminal("backup", "verify", "here").code == 0
    app.database.client.drop_database(app.database)
    for words in (["verify", "here"], ["restore", "here", "--yes"]):
        refused = terminal("backup", *words, "--digest", known)
        assert refused.code == 6
        assert "not the one of --digest" in refused.err
    assert app.database.list_collection_names() == []


@pytest.mark.slow
def test_a_backup_is_sealed_with_a_key_that_no_command_line_holds(app, terminal, tmp_path, monkeypatch):
    app.database["sessions"].insert_one({"_id": 1})
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert terminal("backup", "--sources", "--out", "here", "--key-file", "key").code == 0
    before = image(app.database)
    monkeypatch.setenv("LBMIGRATE_BACKUP_KEY", KEY)
    checked = terminal("backup", "verify", "here")
    assert "is whole, and as it was made" in checked.err
    recompute(Archive(tmp_path / "here"), by="somebody@else")
    app.database.client.drop_database(app.database)
    refused = terminal("backup", "restore", "here", "--yes")
    assert refused.code == 6
    assert "was not sealed with this key" in refused.err
    assert KEY not in refused.err + checked.err
    assert app.database.list_collection_names() == []
    (tmp_path / "here" / SEAL).unlink()
    assert "was made without a key" in terminal("backup", "verify", "here").err
    monkeypatch.delenv("LBMIGRATE_BACKUP_KEY")
    assert terminal("backup", "restore", "here", "--yes").code == 0
    assert image(app.database).keys() == before.keys()


@pytest.mark.parametrize("key", ["short", ""])
def test_a_key_that_could_be_guessed_is_refused(terminal, tmp_path, key):
    (tmp_path / "key").write_text(key)
    refused = terminal("backup", "--key-file", "key")
    assert refused.code == 2
    assert "16 is the least" in refused.err


# --- nothing is left --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["fill", "name"])
def test_a_restore_that_fails_anywhere_leaves_nothing(app, archive, monkeypatch, broken):
    app.database.client.drop_database(app.database)
    doing = getattr(restore.Restoring, broken)
    manifest = archive.manifest()
    for turn in range(len(manifest.collections)):
        left = iter(range(turn))

        def fails(self, entry, left=left):
            if next(left, None) is None:
                raise AutoReconnect("gone")
            return doing(self, entry)

        with monkeypatch.context() as patched:
            patched.setattr(restore.Restoring, broken, fails)
            with pytest.raises(AutoReconnect):
                bring_back(app, archive)
        assert app.database.list_collection_names() == []
    bring_back(app, archive)
    assert not [name for name in app.database.list_collection_names() if name.startswith(PREFIX)]


@pytest.mark.slow
def test_what_an_app_has_added_meanwhile_is_not_taken_back(app, archive, monkeypatch):
    app.database.client.drop_database(app.database)
    naming = restore.Restoring.name

    def fails(self, entry):
        if entry.collection == "score_events":
            app.database["tasks"].insert_one(task(700))
            raise AutoReconnect("gone")
        naming(self, entry)

    monkeypatch.setattr(restore.Restoring, "name", fails)
    with pytest.raises(AutoReconnect):
        bring_back(app, archive)
    assert app.database["tasks"].find_one(task(700)["_id"])
    assert set(app.database.list_collection_names()) == {"tasks"}


# --- flags of the app -------------------------------------------------------------------------------------------------


@pytest.fixture
def emptied(app, archive):
    """All is gone but the flags' collection, in which the app has kept a flag of its own."""
    for name in set(app.database.list_collection_names()) - {"feature_flags"}:
        app.database.drop_collection(name)
    flags = app.database["feature_flags"]
    ours = flags.find_one({"_id": "leaderboard"})
    flags.replace_one({"_id": "dark mode"}, {"on": True}, upsert=True)
    return flags, ours


@pytest.mark.slow
def test_beside_flags_of_the_app_only_our_own_comes_back(app, archive, emptied):
    flags, ours = emptied
    flags.delete_one({"_id": "leaderboard"})
    bring_back(app, archive)
    assert {row["_id"]: row for row in flags.find()} == {
        "leaderboard": ours, "dark mode": {"_id": "dark mode", "on": True},
    }  # fmt: skip
    assert app.database["score_events"].count_documents({}) == 30
    assert app.apply().emitted == 0


@pytest.mark.slow
def test_a_flag_that_is_there_as_it_was_stays(app, archive, emptied):
    flags, ours = emptied
    bring_back(app, archive)
    assert flags.find_one({"_id": "leaderboard"}) == ours


@pytest.mark.slow
def test_a_flag_that_is_there_and_another_is_replaced_and_no_other(app, archive, emptied):
    flags, ours = emptied
    flags.update_one({"_id": "leaderboard"}, {"$set": {"write": False, "read": False, "owner": "web"}})
    bring_back(app, archive)
    assert flags.find_one({"_id": "leaderboard"}) == ours
    assert bson.encode(flags.find_one({"_id": "dark mode"})) == bson.encode({"_id": "dark mode", "on": True})


@pytest.mark.slow
def test_a_flag_without_a_collection_of_flags_comes_back_alone(app, archive, emptied):
    flags, ours = emptied
    flags.drop()
    recompute(archive, sources=False)
    drop_from(archive, "tasks", "users")
    bring_back(app, archive)
    assert list(flags.find()) == [ours]


@pytest.mark.slow
def test_flags_of_the_app_are_in_a_backup_of_its_sources_alone(app, tmp_path):
    app.database["feature_flags"].insert_one({"_id": "dark mode", "on": True})
    for sources, names in ((False, {"leaderboard"}), (True, {"leaderboard", "dark mode"})):
        archive = Archive(tmp_path / str(sources))
        take(app, archive, sources)
        found = archive.documents(entry_of(archive, "feature_flags"))
        assert {bson.decode(each.raw)["_id"] for each in found} == names


@pytest.mark.slow
def test_a_restore_that_fails_leaves_the_flag_as_it_found_it(app, archive, emptied, monkeypatch):
    flags, _ = emptied
    flags.update_one({"_id": "leaderboard"}, {"$set": {"owner": "web"}})
    before = list(flags.find())
    naming = restore.Restoring.name

    def fails(self, entry):
        naming(self, entry)
        if entry.collection == "feature_flags":
            raise AutoReconnect("gone")

    monkeypatch.setattr(restore.Restoring, "name", fails)
    with pytest.raises(AutoReconnect):
        bring_back(app, archive)
    assert list(flags.find()) == before
    flags.drop()
    with pytest.raises(AutoReconnect):
        bring_back(app, archive)
    assert app.database.list_collection_names() == []


@pytest.mark.slow
def test_a_restore_that_fails_takes_our_flag_out_again_and_leaves_the_others(app, archive, emptied, monkeypatch):
    flags, _ = emptied
    flags.delete_one({"_id": "leaderboard"})
    naming = restore.Restoring.name

    def fails(self, entry):
        if entry.collection == "lbmigrate_state":
            assert flags.find_one({"_id": "leaderboard"})
            raise AutoReconnect("gone")
        naming(self, entry)

    monkeypatch.setattr(restore.Restoring, "name", fails)
    with pytest.raises(AutoReconnect):
        bring_back(app, archive)
    assert [row["_id"] for row in flags.find()] == ["dark mode"]
    assert app.database.list_collection_names() == ["feature_flags"]
