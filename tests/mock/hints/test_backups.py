"""What refuses a backup or a restore: the command that the hint names makes one, or brings one back."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil

import pytest

from lbmigrate.backup.archive import MANIFEST, SEAL, UNFINISHED, Archive
from tests.apps import TASKS, picture

pytestmark = pytest.mark.slow


@pytest.fixture
def kept(migrated, terminal):
    assert terminal("backup", "--out", "kept").code == 0
    return Archive(terminal.config.parent / "kept")


def refused(terminal, words, hint, code=6):
    found = terminal(*words.split())
    assert (found.code, hint in found.hint) == (code, True), found.err


def typed(terminal, words):
    done = terminal(*words.split())
    assert done.code == 0, done.err


def emptied(client):
    for name in ("score_events", "leaderboard_entries", "lbmigrate_rejects", "feature_flags", "lbmigrate_state"):
        client["app"].drop_collection(name)


def test_a_directory_that_holds_something_else_is_left_and_another_one_is_taken(kept, terminal, tmp_path):
    another = "choose another directory: lbmigrate backup --out DIR"
    refused(terminal, "backup --out kept", another)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "photo").touch()
    refused(terminal, "backup --out theirs", another)
    unfinished = json.loads((kept.root / MANIFEST).read_text()) | {"database": "other"}
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / UNFINISHED).write_text(json.dumps(unfinished))
    refused(terminal, "backup --out begun", another)
    with Archive(tmp_path / "busy").held():
        refused(
            terminal, "backup --out busy", "wait for it, or choose another directory: lbmigrate backup --out DIR", 4
        )
    typed(terminal, "backup --out busy")
    typed(terminal, "backup --out free")
    typed(terminal, "backup verify free")


def test_a_backup_that_was_cut_off_is_finished_by_the_command_of_the_hint(kept, terminal, client):
    (kept.root / MANIFEST).rename(kept.root / UNFINISHED)
    refused(terminal, "backup verify kept", f"lbmigrate backup --out {kept.root.name}")
    typed(terminal, "backup --out kept")
    typed(terminal, "backup verify kept")


def test_the_backup_that_is_not_where_it_was_looked_for_is_listed(kept, terminal, tmp_path):
    (tmp_path / "backups").mkdir()
    shutil.move(kept.root, tmp_path / "backups" / "kept")
    refused(terminal, "backup verify kept", "ls backups")
    typed(terminal, "backup verify backups/kept")


def cut(file):
    file.write_bytes(file.read_bytes()[:-20])


DAMAGE = {
    "a file": lambda archive: cut(next(archive.root.rglob("score_events.bson.gz"))),
    "a manifest": lambda archive: cut(archive.root / MANIFEST),
    "options": lambda archive: spoilt_options(archive, b"nonsense"),
    "options of a view": lambda archive: spoilt_options(archive, b'{"options": {"viewOn": "x"}, "indexes": []}'),
}


def spoilt_options(archive, text):
    """Options that are whole by their digest, as whoever tampers makes them."""
    file = next(archive.root.rglob("score_events.metadata.json.gz"))
    file.write_bytes(gzip.compress(text))
    manifest = json.loads((archive.root / MANIFEST).read_text())
    for entry in manifest["collections"]:
        if entry["collection"] == "score_events":
            entry["metadata_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
            entry["metadata_size"] = file.stat().st_size
    (archive.root / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("spoil", DAMAGE.values(), ids=DAMAGE)
def test_instead_of_a_damaged_backup_another_one_is_taken_and_comes_back(kept, terminal, client, spoil, migrated):
    spoil(kept)
    before = picture(migrated)
    refused(terminal, "backup restore kept --yes --database copy", "take another backup: lbmigrate backup")
    assert "score_events" not in client["copy"].list_collection_names()
    assert picture(migrated) == before
    typed(terminal, "backup --out again")
    emptied(client)
    typed(terminal, "backup restore again --yes")
    assert picture(migrated) == before


def test_a_backup_of_more_than_the_configuration_has_comes_back_with_its_own(app, terminal, client):
    terminal.configure(TASKS, flag={"collection": "switches"})
    typed(terminal, "run")
    typed(terminal, "backup --out kept")
    own = terminal.config.rename("own.yaml")
    terminal.configure(TASKS)
    hint = "name the configuration that it was made with (--config FILE), or take another backup: lbmigrate backup"
    emptied(client)
    refused(terminal, "backup restore kept --yes", hint)
    typed(terminal, f"backup restore kept --yes --config {own}")
    assert client["app"]["switches"].find_one()["read"] is True


def test_a_backup_of_another_database_goes_where_the_hint_says(kept, terminal, client, migrated):
    before = picture(migrated)
    written = terminal.config.read_text()
    terminal.config.write_text(written.replace("name: app", "name: other"))
    refused(terminal, "backup restore kept --yes", "lbmigrate backup restore kept --database other")
    typed(terminal, "backup restore kept --database other --yes")
    assert picture(client["other"]).keys() | {"users", "tasks", "sessions"} == before.keys()


def dropped(client, hint):
    """Drop what a hint names as an example, as its command does."""
    _, database, _, collection, _ = hint.partition("getSiblingDB(")[2].split("'")
    client[database].drop_collection(collection)


def test_a_restore_over_what_is_there_goes_through_when_that_is_dropped_or_beside_it(kept, terminal, client, migrated):
    before = picture(migrated)
    hint = "; or: lbmigrate backup restore kept --database NAME"
    refused(terminal, "backup restore kept --yes", hint)
    typed(terminal, "backup restore kept --database beside --yes")
    for _ in range(9):
        found = terminal("backup", "restore", "kept", "--yes")
        if found.code == 0:
            break
        dropped(client, found.hint)
    assert picture(migrated) == before


def test_a_restore_over_a_state_in_a_database_of_its_own_is_not_sent_to_another_name_alone(app, terminal, client):
    terminal.configure(TASKS, state={"database": "ops"})
    typed(terminal, "run")
    typed(terminal, "backup --out kept")
    emptied(client)
    found = terminal("backup", "restore", "kept", "--yes")
    assert (found.code, "there are documents already in ops: lbmigrate_state;" in " ".join(found.err.split())) == (
        6,
        True,
    )
    hint = "or: name another state.database in the configuration, then: lbmigrate backup restore kept --database NAME"
    assert hint in found.hint
    refused(
        terminal, "backup restore kept --database other --yes", "name a state.database of its own for this one"
    )  # the state that is there tells of the first one
    terminal.configure(TASKS, state={"database": "more"})
    typed(terminal, "backup restore kept --database other --yes")
    assert client["other"]["score_events"].count_documents({}) == 6
    assert client["more"]["lbmigrate_state"].count_documents({}) > 0
    terminal.configure(TASKS, state={"database": "ops"})
    dropped(client, found.hint)
    typed(terminal, "backup restore kept --yes")


def test_a_state_of_another_leaderboard_does_not_make_way_for_a_restore(app, terminal, client):
    terminal.configure(TASKS, state={"database": "ops"})
    typed(terminal, "run")
    typed(terminal, "backup --out kept")
    rows = client["ops"]["lbmigrate_state"].count_documents({})
    emptied(client)
    client["ops"]["lbmigrate_state"].update_one({"_id": "ledger"}, {"$set": {"database": "theirs"}})
    way = "correct database.name, or name a state.database of its own for this one: lbmigrate config show"
    refused(terminal, "backup restore kept --yes", way)
    assert client["ops"]["lbmigrate_state"].count_documents({}) == rows
    terminal.configure(TASKS, state={"database": "mine"})
    typed(terminal, "backup restore kept --yes")
    assert client["app"]["score_events"].count_documents({}) == 6


def test_a_backup_that_does_not_fit_its_digest_or_its_key_gives_way_to_one_that_does(migrated, terminal, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).write_text(name * 30)
        (tmp_path / name).chmod(0o600)
    digests = {}
    for name, words in (("plain", ""), ("sealed", "--key-file one")):
        done = terminal("backup", "--out", name, *words.split(), "--json")
        assert done.code == 0, done.err
        digests[name] = done.result["digest"]
    refused(terminal, f"backup verify plain --digest {digests['sealed']}", "restore one that fits")
    typed(terminal, f"backup verify plain --digest {digests['plain']}")
    refused(terminal, "backup verify sealed --key-file other", "restore one that fits")
    refused(terminal, "backup verify plain --key-file one", "restore one that has it")
    typed(terminal, "backup verify sealed --key-file one")
    assert (tmp_path / "sealed" / SEAL).is_file()
    refused(terminal, "backup verify sealed --key-file nowhere", "ls -l nowhere", 2)
    (tmp_path / "short").write_text("short")
    refused(terminal, "backup verify sealed --key-file short", "openssl rand -hex 32", 2)
    (tmp_path / "short").write_text("5f" * 32)  # as that command prints it
    typed(terminal, "backup --out anew --key-file short")


def test_a_backup_is_written_when_there_is_room_and_nothing_in_the_way(migrated, terminal, tmp_path):
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide").chmod(0o777)
    refused(terminal, "backup --out wide", f"look for what is not yours in it, then: chmod go-w {tmp_path / 'wide'}")
    (tmp_path / "wide").chmod(0o755)
    typed(terminal, "backup --out wide")
