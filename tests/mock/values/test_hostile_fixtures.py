"""Files and rules of somebody else's pull request: nothing of them is run, and none of them fills the machine."""

from __future__ import annotations

import gzip
import os
import resource
from pathlib import Path

import pytest

from lbmigrate.errors import UsageError
from lbmigrate.values import extjson, json_stream
from tests.apps import SESSIONS, TASKS, oid, session, task, user
from tests.terminal import Terminal

NOWHERE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=10"
# Its columns are the words of a command: touch marker userId createdAt
PROGRAM = {**TASKS, "points": "subprocess:call", "meta": {"touch": "title", "marker": "title"}}
MANY = 1 << 20


@pytest.fixture
def terminal(monkeypatch, capsys, tmp_path):
    for name in [name for name in os.environ if name.startswith(("LBMIGRATE_", "MONGODB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LBMIGRATE_MONGOD", "/nonexistent")
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys, tmp_path / "leaderboard.yaml", NOWHERE, "app")


@pytest.fixture
def fixtures(tmp_path):
    documents = {
        "users": [user(number) for number in (1, 2)],
        "tasks": [task(number, owner=1 + number % 2) for number in range(6)],
        "sessions": [session(0)],
    }
    directory = tmp_path / "fixtures"
    directory.mkdir()
    for name, some in documents.items():
        extjson.write(directory / f"{name}.ndjson", some)
    return directory


# --- functions -------------------------------------------------------------------------------------------------------

VERBS = [
    "config check", "config show", "doctor", "plan", "run --no-backup", "run --dry-run", "backfill", "verify --full",
    "reconcile", "tail --max-runtime 1s", "run --dry-run --fixtures fixtures", "demo --data fixtures",
]  # fmt: skip


@pytest.mark.parametrize("words", VERBS)
def test_no_verb_runs_a_program_that_a_file_names(terminal, fixtures, words):
    terminal.configure(PROGRAM, SESSIONS)
    refused = terminal(*words.split(), "--config", "leaderboard.yaml")
    assert refused.code == 2
    assert "functions from subprocess are not allowed" in refused.err
    assert "--allow-functions subprocess" in refused.err
    assert sorted(path.name for path in Path().iterdir()) == ["fixtures", "leaderboard.yaml"]


def test_not_even_where_its_module_is_allowed_is_a_program_a_rule(terminal, fixtures):
    Path("my_own_rules.py").write_text("from subprocess import call\n")
    terminal.configure({**PROGRAM, "points": "my_own_rules:call"}, SESSIONS)
    words = ("run", "--dry-run", "--fixtures", str(fixtures), "--allow-functions", "my_own_rules")
    refused = terminal(*words)
    assert (refused.code, Path("marker").exists()) == (2, False)
    assert "my_own_rules:call is from subprocess" in refused.err


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_function_of_an_allowed_module_is_the_rule(terminal, fixtures, monkeypatch, how):
    Path(f"rules_by_{how}.py").write_text("def seven(frame):\n    return [7] * len(frame)\n")
    terminal.configure({**TASKS, "points": f"rules_by_{how}:seven"}, SESSIONS)
    words = ["run", "--dry-run", "--fixtures", str(fixtures), "--json"]
    if how == "flag":
        words += ["--allow-functions", "rules_by_flag"]
    else:
        monkeypatch.setenv("LBMIGRATE_ALLOW_FUNCTIONS", "rules_by_variable")
    done = terminal(*words)
    assert done.code == 0, done.err
    assert done.result["points"]["global"] == 6 * 7 + 25


# --- files -----------------------------------------------------------------------------------------------------------


def packed(path, first, unit, times):
    """A compressed file of a text that one machine could not hold."""
    with gzip.open(path, "wb", 9) as file:
        file.write(first)
        for _ in range(times):
            file.write(unit)


BOMBS = {
    "one string": (b'{"_id": "', b"a" * MANY, 80, "a document of more than 16 million characters"),
    "one list": (b'{"_id": [', b"[]," * MANY, 3, "a document of more than 1 million characters"),
    "one line of nothing": (b" ", b" " * MANY, 80, "expands to more than 200 times its size"),
    "a list of documents": (b'{"_id": [', b"{}," * MANY, 3, "a document of more than 1 million characters"),
    "many empty lines": (b"", b"\n" * MANY, 80, "expands to more than 200 times its size"),
    "a deep list": (b'{"_id": ', b"[" * MANY, 2, "a document of more than 180 levels"),
    "a deep document": (b'{"_id": ', b'{"a":' * 1000, 2, "a document of more than 180 levels"),
    "half a document": (b"{" + b'"a": 1,' * 100, b"", 0, "not Extended JSON"),
}


@pytest.mark.parametrize("suffix", [".ndjson.gz", ".json.gz"])
@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.slow
def test_a_file_that_would_fill_the_memory_is_refused_as_what_it_is(terminal, fixtures, name, suffix, monkeypatch):
    first, unit, times, words = BOMBS[name]
    if times == 3:
        monkeypatch.setattr(json_stream, "LONGEST", MANY)  # sixteen times that much takes sixteen times as long
    terminal.configure()
    (fixtures / "tasks.ndjson").unlink()
    packed(fixtures / f"tasks{suffix}", first, unit, times)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = terminal("run", "--dry-run", "--fixtures", str(fixtures))
    assert refused.code == 2
    assert words in refused.err
    assert len(refused.err) < 2000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 * 1024  # KB


def test_a_long_array_after_a_long_document_is_read_once(tmp_path):
    """What is left of a long piece is not copied for each of the short documents in it."""
    path = tmp_path / "a.json"
    long = '{"_id": "%s"}' % ("a" * 2_000_000)
    path.write_text(f"[{long}," + '{"a":1},' * 300_000 + "{}]")
    assert sum(1 for _ in extjson.read(path)) == 300_002


@pytest.mark.parametrize("levels", [json_stream.DEEPEST, json_stream.DEEPEST + 1])
def test_as_many_levels_as_a_server_keeps_are_read(tmp_path, levels):
    path = tmp_path / "a.ndjson"
    path.write_text('{"a":' * (levels - 1) + "{}" + "}" * (levels - 1))
    if levels > json_stream.DEEPEST:
        with pytest.raises(UsageError, match="more than 180 levels"):
            list(extjson.read(path))
    else:
        assert len(list(extjson.read(path))) == 1


@pytest.mark.parametrize("value", ["9" * 30, '"\\ud800"', '{"b\\u0000": 1}', "9" * 5000, '{"$date": "x"}'])
def test_a_document_that_cannot_be_stored_is_named(terminal, fixtures, value):
    terminal.configure()
    with (fixtures / "tasks.ndjson").open("a") as file:
        file.write(f'{{"_id": {{"$oid": "{oid(77)}"}}, "a": {value}}}\n')
    refused = terminal("run", "--dry-run", "--fixtures", str(fixtures))
    assert refused.code in (2, 6), refused.err
    assert "Traceback" not in refused.err
