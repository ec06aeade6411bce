"""Files that a rehearsal reads and writes: what the hint says to do with them ends what is wrong."""

from __future__ import annotations

import gzip
import os
import shutil

import pytest

from lbmigrate.errors import LbmigrateError, Refused, UsageError
from lbmigrate.mongo import fake
from lbmigrate.mongo.program import find_mongod
from lbmigrate.rehearsal import report
from lbmigrate.values import extjson, json_stream
from tests.apps import TASKS

pytestmark = pytest.mark.slow

TASK = '{"_id": %s, "userId": 1, "status": "done", "completedAt": {"$date": "2025-01-0%sT00:00:00Z"}}\n'
TWO = TASK % (1, 1) + TASK % (2, 2)
FIX = "correct or remove that line, or export the file again"
REHEARSE = ("run", "--dry-run", "--fixtures", "data")


@pytest.fixture
def data(terminal, tmp_path):
    """A directory with what the configuration reads; the last test of each of these is that it is rehearsed."""
    home = tmp_path / "data"
    home.mkdir()
    (home / "users.ndjson").write_text('{"_id": 1, "name": "Ada"}\n')
    (home / "tasks.ndjson").write_text(TWO)
    return home


def told(terminal, hint):
    refused = terminal(*REHEARSE)
    assert (refused.code, hint in refused.hint) == (2, True), refused.err


def rehearsed(terminal):
    done = terminal(*REHEARSE, "--json")
    assert done.code == 0, done.err
    assert done.result["counts"]["emitted"] == 2


def test_a_directory_that_lacks_something_is_read_when_that_is_there(terminal, data, tmp_path):
    put = "put one file per collection there, named like tasks.ndjson.gz"
    data.rename(tmp_path / "kept")
    told(terminal, put)
    data.mkdir()
    told(terminal, put)
    shutil.copy(tmp_path / "kept" / "users.ndjson", data)
    told(terminal, "add tasks.ndjson (or .ndjson.gz, .json, .json.gz)")
    (data / "tasks.json").write_text(f"[{TASK % (1, 1)}, {TASK % (2, 2)}]")
    (data / "tasks.ndjson").write_text(TWO)
    told(terminal, "remove or rename one of them")
    (data / "tasks.ndjson").unlink()
    rehearsed(terminal)


BROKEN = [  # what stands in the place of the tasks, what the hint says, and the text with the line fixed or removed
    ("a line that is no JSON", TWO + "{nonsense\n", FIX, TWO),
    ("a number that no server takes", TWO + '{"_id": 3, "n": 1' + 30 * "0" + "}\n", FIX, TWO),
    ("an _id twice", TWO + TASK % (1, 3), "remove one of the two, or give it another _id", TWO),
    ("an _id that is a list", TWO + '{"_id": [1]}\n', FIX, TWO),
]


@pytest.mark.parametrize(("text", "hint", "fixed"), [each[1:] for each in BROKEN], ids=[each[0] for each in BROKEN])
def test_a_file_with_one_line_that_is_wrong_is_read_without_it(terminal, data, text, hint, fixed):
    (data / "tasks.ndjson").write_text(text)
    told(terminal, hint)
    (data / "tasks.ndjson").write_text(fixed)
    rehearsed(terminal)


def test_a_file_that_is_damaged_is_read_when_it_is_exported_again(terminal, data, monkeypatch):
    whole = gzip.compress(TWO.encode())
    (data / "tasks.ndjson").unlink()
    (data / "tasks.ndjson.gz").write_bytes(whole[:-9])
    told(terminal, "check the file, or export it again")
    (data / "tasks.ndjson.gz").write_bytes(whole)
    rehearsed(terminal)
    (data / "tasks.ndjson.gz").unlink()
    array = f"[{TASK % (1, 1)}, {TASK % (2, 2)}]"
    (data / "tasks.json").write_text(array[:-1])
    told(terminal, "the file seems cut off; export it again")
    (data / "tasks.json").write_text(array)
    rehearsed(terminal)


def test_a_file_that_expands_without_end_is_read_when_it_is_decompressed(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "EXPANDING", 1)
    monkeypatch.setattr(json_stream, "UNSUSPICIOUS", 0)
    packed = tmp_path / "tasks.ndjson.gz"
    packed.write_bytes(gzip.compress(TWO.encode() * 2000))
    with pytest.raises(UsageError) as caught:
        list(extjson.read(packed))
    assert caught.value.hint == "export it again, or decompress it first if it is what it should be"
    plain = tmp_path / "tasks.ndjson"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    assert len(list(extjson.read(plain))) == 4000


def test_files_are_loaded_into_an_empty_database_where_one_holds_their_documents(data):
    with fake.client() as client:
        extjson.load(data, client["one"], ["tasks"])
        with pytest.raises(UsageError) as caught:
            extjson.load(data, client["one"], ["tasks"])
        assert caught.value.hint == "load into an empty database"
        assert extjson.load(data, client["two"], ["tasks"]) == {"tasks": 2}


@pytest.mark.slow
def test_a_filter_that_no_database_takes_is_corrected(terminal, data):
    terminal.configure({**TASKS, "where": {"status": {"$regex": "("}}})
    refused = terminal(*REHEARSE)
    assert (refused.code, "correct `where` of the source tasks" in refused.hint) == (2, True), refused.err
    terminal.configure({**TASKS, "where": {"status": {"$regex": "^done"}}})
    rehearsed(terminal)


DOUBTFUL = {"$expr": {"$eq": ["$status", "done"]}}


@pytest.mark.slow
def test_a_filter_that_memory_may_not_decide_as_a_server_is_decided_by_one(terminal, data):
    terminal.configure({**TASKS, "where": DOUBTFUL})
    refused = terminal(*REHEARSE, "--engine", "memory")
    assert refused.code == 2
    assert "lbmigrate run --dry-run --fixtures data --engine mongod" in refused.hint
    try:
        find_mongod()
    except LbmigrateError:
        return
    done = terminal(*REHEARSE, "--engine", "mongod", "--config", "leaderboard.yaml", "--json")
    assert done.code == 0, done.err
    assert done.result["counts"]["emitted"] == 2


def test_without_a_server_it_is_rehearsed_on_the_real_data(app, terminal, data, monkeypatch):
    terminal.configure({**TASKS, "where": DOUBTFUL})
    monkeypatch.setenv("LBMIGRATE_MONGOD", "/nowhere/mongod")
    refused = terminal(*REHEARSE)
    assert "set LBMIGRATE_MONGOD to the path of a mongod, or unset it; or rehearse on the real data: " in refused.hint
    terminal.configure(TASKS)  # the stand-in for the real server does not know $expr either
    assert terminal("run", "--dry-run").code == 0


def test_an_outcome_goes_where_the_hint_says_that_it_can(terminal, data, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(Refused) as caught:
        report._made(tmp_path / "out")
    assert caught.value.hint == f"look at what it is, then: rm {tmp_path / 'out'}"
    (tmp_path / "out").unlink()
    assert report._made(tmp_path / "out") == tmp_path / "out"
    refused = terminal(*REHEARSE, "--out", "/proc/nowhere")
    assert (refused.code, refused.hint) == (1, "name a directory that can be made: --out DIR")
    assert terminal(*REHEARSE, "--out", "kept").code == 0
    terminal.configure({**TASKS, "points": 11})
    differs = terminal(*REHEARSE, "--expect", "kept")
    assert (differs.code, "keep them with --out if right" in " ".join(differs.err.split())) == (5, True)
    assert terminal(*REHEARSE, "--out", "kept").code == 0
    assert terminal(*REHEARSE, "--expect", "kept").code == 0


def test_a_file_is_written_when_its_directory_is_there(tmp_path):
    with pytest.raises(LbmigrateError) as caught:
        extjson.write(tmp_path / "gone" / "tasks.ndjson", [{"_id": 1}])
    assert caught.value.hint == "check the directory"
    os.mkdir(tmp_path / "gone")
    assert extjson.write(tmp_path / "gone" / "tasks.ndjson", [{"_id": 1}]) == 1
