"""Files of a backup that somebody else has made: read without waiting, and in bounded memory."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import bson
import pytest

from lbmigrate.backup.archive import Archive
from lbmigrate.backup.contents import digest
from lbmigrate.backup.manifest import Entry

ROOM = 60_000_000


@pytest.fixture
def archive(tmp_path):
    (tmp_path / "app").mkdir()
    return Archive(tmp_path)


def entry(archive):
    documents, metadata = archive.files("app", "score_events")
    known = {path: digest(path) if path.is_file() else "" for path in (documents, metadata)}
    return Entry("app", "score_events", 1, 1, known[documents], known[metadata], None)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [pipe, device, directory])
@pytest.mark.parametrize("which", [0, 1])
def test_what_is_no_regular_file_is_damage_and_not_waited_for(archive, make, which):
    paths = archive.files("app", "score_events")
    paths[1 - which].write_bytes(gzip.compress(bson.encode({"_id": 1})))
    make(paths[which])
    assert str(paths[which]) in archive.damage(entry(archive))


@pytest.mark.parametrize("size", [2**31 - 1, 0, 4, 17_000_001])
def test_a_document_that_says_of_itself_to_be_larger_than_any_is_damage(archive, size):
    documents, metadata = archive.files("app", "score_events")
    documents.write_bytes(gzip.compress(size.to_bytes(4, "little") + bytes(100)))
    metadata.write_bytes(gzip.compress(b"{}"))
    assert f"{size:,} bytes" in archive.damage(entry(archive))


def test_metadata_that_unpack_to_more_than_a_document_are_not_unpacked(archive):
    documents, metadata = archive.files("app", "score_events")
    documents.write_bytes(gzip.compress(bson.encode({"_id": 1})))
    metadata.write_bytes(gzip.compress(bytes(200_000_000), 1))
    tracemalloc.start()
    assert "unpacks to more than" in archive.damage(entry(archive))
    assert tracemalloc.get_traced_memory()[1] < ROOM
    tracemalloc.stop()
