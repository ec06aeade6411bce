"""Files and rules of somebody else's pull request: nothing of them is run, and none of them fills the machine."""

from __future__ import annotations

import gzip
import os
import resource
from pathlib import Path

import pytest
from bson import json_util

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


# --- every type, everywhere ------------------------------------------------------------------------------------------

TYPES = {
    "minKey": '{"$minKey": 1}', "maxKey": '{"$maxKey": 1}', "code": '{"$code": "x"}',
    "code with scope": '{"$code": "x", "$scope": {"a": {"$numberInt": "1"}}}', "array": "[1]", "empty array": "[]",
    "document": '{"a": 1}', "empty document": "{}", "reference": '{"$ref": "c", "$id": {"$numberInt": "1"}}',
    "reference elsewhere": '{"$ref": "c", "$id": 1, "$db": "d"}', "half a reference": '{"$ref": 1}',
    "NaN": '{"$numberDouble": "NaN"}', "infinity": '{"$numberDouble": "-Infinity"}', "double": "7.5",
    "whole double": '{"$numberDouble": "7.0"}', "int": "7", "long": '{"$numberLong": "9007199254740993"}',
    "decimal": '{"$numberDecimal": "1.5"}', "decimal NaN": '{"$numberDecimal": "NaN"}', "bool": "true", "null": "null",
    "large decimal": '{"$numberDecimal": "1E+6000"}', "string": '"x"', "empty string": '""', "NUL": '"a\\u0000b"',
    "date": '{"$date": "2024-01-01T00:00:00Z"}', "far date": '{"$date": {"$numberLong": "99999999999999999"}}',
    "timestamp": '{"$timestamp": {"t": 1, "i": 1}}', "empty timestamp": '{"$timestamp": {"t": 0, "i": 0}}',
    "regex": '{"$regularExpression": {"pattern": "a", "options": "i"}}',
    "old regex": '{"$regex": "a", "$options": "i"}',
    "binary": '{"$binary": {"base64": "eA==", "subType": "05"}}', "old binary": '{"$binary": "eA==", "$type": "00"}',
    "uuid": '{"$uuid": "00000000-0000-0000-0000-000000000001"}', "symbol": '{"$symbol": "x"}',
    "legacy uuid": '{"$binary": {"base64": "AAECAwQFBgcICQoLDA0ODw==", "subType": "03"}}',
    "undefined": '{"$undefined": true}', "ObjectId": '{"$oid": "0000000000000000000000aa"}', "dotted": '{"a.b": 1}',
    "pointer": '{"$dbPointer": {"$ref": "c", "$id": {"$oid": "000000000000000000000001"}}}', "unknown": '{"$x": 1}',
    "unknown inside": '{"a": {"$x": 1}}', "wrong": '{"$minKey": 2}', "wrong long": '{"$numberLong": "x"}',
    "too long": "99999999999999999999", "half a character": '"\\ud800"', "short uuid": '{"$uuid": "x"}',
}  # fmt: skip
NO_ID = {
    "half a reference",
    "array",
    "empty array",
    "regex",
    "old regex",
    "unknown",
    "unknown inside",
}  # as a server has it
SAME_ID = {"whole double", "decimal NaN", "symbol", "undefined"}  # as another has
NO_DATA = {"wrong", "wrong long", "too long", "half a character", "short uuid"}
PLACES = {
    "tasks": ("_id", "userId", "status", "completedAt", "updatedAt", "priority"),
    "users": ("_id", "name", "avatar", "hidden"),
    "sessions": ("durationSec",),
}
MODELS = {"tasks": task, "users": user, "sessions": session}


def with_value(collection, field, text, number=90):
    """A line of a file: an ordinary document, but for one field."""
    whole = json_util.dumps({**MODELS[collection](number), field: "here"}, json_options=json_stream.CANONICAL)
    return whole.replace('"here"', text) + "\n"


@pytest.mark.parametrize(("collection", "field"), [(name, field) for name in PLACES for field in PLACES[name]])
def test_a_value_of_any_type_that_a_server_keeps_is_scored_or_rejected(terminal, fixtures, collection, field):
    terminal.configure({**TASKS, "user": {"path": "userId", "as": "objectId"}}, SESSIONS)
    left_out = NO_DATA | (NO_ID | SAME_ID if field == "_id" else set())
    kept = [text for name, text in TYPES.items() if name not in left_out]
    with (fixtures / f"{collection}.ndjson").open("a") as file:
        file.writelines(with_value(collection, field, text, 90 + number) for number, text in enumerate(kept))
    done = terminal("run", "--dry-run", "--fixtures", str(fixtures), "--json")
    assert done.code == 0, done.err
    counts = done.result["counts"]
    in_scope = 7 + (0 if field == "status" or collection == "users" else len(kept))
    assert counts["read"] == counts["emitted"] + counts["rejected"] + counts["skipped"] == in_scope
    assert counts["emitted"] >= 7


REFUSED = [("_id", name) for name in sorted(NO_ID)] + [("priority", name) for name in sorted(NO_DATA)]


@pytest.mark.parametrize(("field", "name"), REFUSED)
def test_a_value_that_no_server_keeps_is_named_by_file_and_line(terminal, fixtures, field, name):
    terminal.configure()
    with (fixtures / "tasks.ndjson").open("a") as file:
        file.write(with_value("tasks", field, TYPES[name]))
    refused = terminal("run", "--dry-run", "--fixtures", str(fixtures))
    assert refused.code == 2
    assert f"lbmigrate: {fixtures}/tasks.ndjson:7: " in refused.err
    assert "next: correct or remove that line, or export the file again" in refused.err


EQUAL = [
    ("1", "1"), ("7", '{"$numberDouble": "7.0"}'), ('{"$numberDouble": "NaN"}', '{"$numberDouble": "NaN"}'),
    ('{"$ref": "c", "$id": 1}', '{"$ref": "c", "$id": 1}'), ('{"$minKey": 1}', '{"$minKey": 1}'),
    ('{"a": 1}', '{"a": 1}'),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_two_lines_with_one_id_are_both_named(terminal, fixtures, one, other):
    terminal.configure()
    path = fixtures / "tasks.ndjson"
    path.write_text(path.read_text() + with_value("tasks", "_id", one) + "\n" + with_value("tasks", "_id", other))
    refused = terminal("run", "--dry-run", "--fixtures", str(fixtures))
    assert refused.code == 2
    assert f"{path}:9: the same _id as in line 7" in refused.err
    assert "next: remove one of the two, or give it another _id" in refused.err
