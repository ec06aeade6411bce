"""Whatever packs a backup, its files are ordinary gzip: each restores what the other wrote, and stays when going on."""

from __future__ import annotations

import gzip
import sys
from itertools import islice

import pytest

from lbmigrate.backup import make, restore
from lbmigrate.backup.archive import Archive
from lbmigrate.mongo import fake
from tests.apps import App, picture, task, user

AGAIN = "lbmigrate backup --out here"
PACKERS = ("isal", "zlib")


def pack_with(packer, monkeypatch):
    if packer == "isal":
        pytest.importorskip("isal", reason="the extra is not installed")
        monkeypatch.undo()
    else:
        monkeypatch.setitem(sys.modules, "isal.igzip", None)


@pytest.fixture
def app():
    with fake.client() as client:
        app = App(client["app"])
        app.database["users"].insert_many([user(number) for number in (1, 2)])
        app.database["tasks"].insert_many([task(number, owner=1 + number % 2) for number in range(50)])
        app.apply()
        yield app


def pieces(app, archive):
    return make.pieces(app.context(), archive, True, AGAIN)


def packed(archive):
    return {path.relative_to(archive.root): path.read_bytes() for path in archive.root.rglob("*.gz")}


@pytest.mark.sampled
@pytest.mark.parametrize("writer", PACKERS)
@pytest.mark.parametrize("reader", PACKERS)
def test_a_backup_comes_back_whatever_packed_it(app, tmp_path, monkeypatch, writer, reader):
    archive = Archive(tmp_path / "backup")
    pack_with(writer, monkeypatch)
    with archive.held():
        list(pieces(app, archive))
    pack_with(reader, monkeypatch)
    before = picture(app.database)
    app.database.client.drop_database("app")
    context = app.context()
    list(restore.pieces(context, archive, restore.check(context, archive, False), AGAIN))
    assert picture(app.database) == before


@pytest.mark.parametrize("packer", PACKERS)
def test_files_have_no_name_and_no_time_in_them(app, tmp_path, monkeypatch, packer):
    pack_with(packer, monkeypatch)
    archives = [Archive(tmp_path / name) for name in ("one", "other")]
    for archive in archives:
        with archive.held():
            list(pieces(app, archive))
    one, other = map(packed, archives)
    state = {path for path in one if "lbmigrate_state" in path.name}  # it tells of the first backup
    assert {path for path in one if one[path] != other[path]} <= state
    assert all(data[:3] == b"\x1f\x8b\x08" and data[3:8] == bytes(5) for data in one.values())


def test_a_backup_goes_on_with_another_packer_and_keeps_what_is_finished(app, tmp_path, monkeypatch):
    archive = Archive(tmp_path / "backup")
    pack_with("isal", monkeypatch)
    with archive.held():
        list(islice(pieces(app, archive), 5))
    finished = packed(archive)
    pack_with("zlib", monkeypatch)
    with archive.held():
        notes = [piece.note for piece in pieces(app, archive) if piece.note]
    kept = {archive.files("app", note.split()[0])[0] for note in notes if note.endswith("is there already")}
    kept = {path.relative_to(archive.root) for path in kept} & finished.keys()
    assert kept
    assert all(packed(archive)[path] == finished[path] for path in kept)
    assert all(gzip.decompress(data) is not None for data in packed(archive).values())
