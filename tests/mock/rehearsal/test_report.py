"""Dry runs from files: no server, the same outcome, kept and compared, and told what is wrong with the files."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
import re
from pathlib import Path

import pytest
from bson import Int64

from lbmigrate.mongo import fake
from lbmigrate.rehearsal import report
from lbmigrate.values import extjson
from tests.apps import NEW_YEAR, SESSIONS, TASKS, oid, session, task, user
from tests.terminal import Terminal

NOWHERE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=10"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def terminal(monkeypatch, capsys, tmp_path):
    """A terminal on a machine without a server."""
    for name in [name for name in os.environ if name.startswith(("LBMIGRATE_", "MONGODB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LBMIGRATE_MONGOD", "/nonexistent")
    monkeypatch.chdir(tmp_path)
    terminal = Terminal(monkeypatch, capsys, tmp_path / "leaderboard.yaml", NOWHERE, "app")
    terminal.configure()
    return terminal


@pytest.fixture
def fixtures(tmp_path):
    """Three users, thirty tasks, twelve sessions, and two that nobody can score."""
    documents = {
        "users": [user(number) for number in (1, 2, 3)],
        "tasks": [task(number, owner=1 + number % 3) for number in range(30)],
        "sessions": [session(number, owner=1 + number % 2) for number in range(12)],
    }
    documents["tasks"] += [task(90, userId=None), task(91, completedAt="soon")]
    directory = tmp_path / "fixtures"
    directory.mkdir()
    for name, some in documents.items():
        extjson.write(directory / f"{name}.ndjson", some)
    return directory


def rehearsed(terminal, fixtures, *more):
    return terminal("run", "--dry-run", "--fixtures", str(fixtures), "--json", *more)


# --- without a server -----------------------------------------------------------------------------------------------


def test_a_rehearsal_takes_every_step_without_a_server(terminal, fixtures):
    done = rehearsed(terminal, fixtures)
    assert done.code == 0
    assert done.result["counts"] == {
        "read": 44, "emitted": 42, "duplicates": 0, "rejected": 2, "skipped": 0, "approximate": 0, "future": 0,
        "adjusted": 0,
    }  # fmt: skip
    assert done.result["rejects"] == {"no usable time in completedAt": 1, "no user": 1}
    assert done.result["score_events"] == {"focus_session": 12, "task_complete": 30}
    assert sum(done.result["points_by_week"].values()) == done.result["points"]["global"] == 30 * 10 + 12 * 25
    assert [event["_id"] for event in done.result["samples"]["score_events"]] == [
        f"focus_session:{oid(5000 + number)}" for number in range(3)
    ]
    assert "dry run: nothing was written to any server" in done.err
    for step in ("1 create-collections", "2 create-indexes", "3 dual-write", "4 backfill", "5 verify", "6 cut-over"):
        assert f"✓ {step}" in done.err
    for would in ("would create score_events", "would turn write on", "would turn read on", "would write 42 events"):
        assert would in done.err
    assert not re.search(r"· created|write is on|read is on|next: lbmigrate rejects", done.err)


def test_fixtures_are_a_dry_run_even_where_that_was_not_said(terminal, fixtures):
    assert terminal("run", "--fixtures", str(fixtures)).code == 0


@pytest.mark.parametrize("suffix", [".ndjson.gz", ".json", ".json.gz"])
def test_fixtures_may_be_packed_and_may_be_arrays(terminal, fixtures, suffix):
    plain = rehearsed(terminal, fixtures).result
    lines = (fixtures / "tasks.ndjson").read_text("utf-8").splitlines()
    (fixtures / "tasks.ndjson").unlink()
    text = "\n".join(lines) if suffix.startswith(".nd") else "[" + ",\n".join(lines) + "]"
    data = text.encode()
    (fixtures / f"tasks{suffix}").write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    assert rehearsed(terminal, fixtures).result["sha256_week"] == plain["sha256_week"]


def test_a_part_of_the_steps_can_be_rehearsed(terminal, fixtures):
    done = rehearsed(terminal, fixtures, "--to", "2")
    assert done.code == 0
    assert done.result["counts"]["read"] == 0
    assert "3 dual-write" not in done.err


def test_only_a_dry_run_takes_a_sample(terminal):
    refused = terminal("run", "--sample", "1%")
    assert refused.code == 2
    assert "add --dry-run" in refused.err


# --- keeping and comparing ------------------------------------------------------------------------------------------


@pytest.fixture
def kept(terminal, fixtures, tmp_path):
    assert rehearsed(terminal, fixtures, "--out", str(tmp_path / "kept")).code == 0
    return tmp_path / "kept"


def test_what_is_kept_is_the_same_byte_for_byte_when_it_is_made_again(terminal, fixtures, kept, tmp_path):
    rehearsed(terminal, fixtures, "--out", str(tmp_path / "again"))
    names = ["leaderboard_entries.ndjson", "score_events.ndjson"]
    assert sorted(path.name for path in kept.iterdir()) == names
    for name in names:
        assert (kept / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_kept_files_are_canonical_sorted_by_id_and_without_the_times_of_writing(kept):
    events = (kept / "score_events.ndjson").read_text("utf-8").splitlines()
    first = json.loads(events[0])
    assert first["points"] == {"$numberLong": "25"}
    assert first["createdAt"] == {
        "$date": {"$numberLong": str(int(NEW_YEAR.replace(tzinfo=dt.UTC).timestamp()) * 1000)}
    }
    for name in report.KEPT:
        ids = [document["_id"] for document in extjson.read(kept / f"{name}.ndjson")]
        assert ids == sorted(ids)
        assert ids
    entry = next(extjson.read(kept / "leaderboard_entries.ndjson"))
    assert not {"createdAt", "updatedAt", "lastUpdated"} & entry.keys()


def test_the_kept_outcome_is_the_expected_one(terminal, fixtures, kept):
    done = rehearsed(terminal, fixtures, "--expect", str(kept))
    assert done.code == 0
    assert done.result["differences"] == []


def test_a_changed_rule_shows_what_it_changes(terminal, fixtures, kept):
    terminal.configure({**TASKS, "points": 11}, SESSIONS)
    done = rehearsed(terminal, fixtures, "--expect", str(kept))
    assert done.code == 5
    assert f"the outcome differs from {kept} in" in done.err
    assert f"score_events task_complete:{oid(1000)}: points 10 → 11" in done.result["differences"]
    assert f"score_events task_complete:{oid(1000)}: points 10 → 11" in done.err
    assert " more" in done.err
    assert len(done.result["differences"]) == report.DIFFERENCES


def test_what_is_missing_and_what_is_more_is_told(terminal, fixtures, kept):
    tasks = list(extjson.read(fixtures / "tasks.ndjson"))
    extjson.write(fixtures / "tasks.ndjson", [*tasks[1:], task(300, owner=4)])
    done = rehearsed(terminal, fixtures, "--expect", str(kept))
    assert done.code == 5
    for line in (
        f"score_events task_complete:{oid(1000)}: expected, and not there",
        f"score_events task_complete:{oid(1300)}: there, and not expected",
        f"leaderboard_entries global:{oid(4)}: there, and not expected",
    ):
        assert line in done.err


@pytest.mark.parametrize("points", [Int64(26), 25.0, 25, None])
def test_another_value_or_type_of_one_field_is_one_difference(kept, points):
    with fake.client() as client:
        target = client["app"]
        for name in report.KEPT:
            target[name].insert_many(list(extjson.read(kept / f"{name}.ndjson")))
        assert report.compare(target, kept) == []
        target["score_events"].update_one({"_id": f"focus_session:{oid(5000)}"}, {"$set": {"points": points}})
        assert report.compare(target, kept) == [f"score_events focus_session:{oid(5000)}: points 25 → {points}"]


def test_values_that_equal_nothing_are_no_difference_to_themselves(terminal, fixtures, tmp_path):
    tasks = list(extjson.read(fixtures / "tasks.ndjson"))
    extjson.write(fixtures / "tasks.ndjson", [{**tasks[0], "priority": float("nan")}, *tasks[1:]])
    assert rehearsed(terminal, fixtures, "--out", str(tmp_path / "kept")).code == 0
    assert rehearsed(terminal, fixtures, "--expect", str(tmp_path / "kept")).code == 0


def test_an_expectation_that_is_not_there_is_told_with_what_makes_it(terminal, fixtures, tmp_path):
    refused = rehearsed(terminal, fixtures, "--expect", str(tmp_path / "nowhere"))
    assert refused.code == 2
    assert "nowhere is not a directory" in refused.err


def test_an_outcome_can_be_kept_and_compared_at_once(terminal, fixtures, kept, tmp_path):
    terminal.configure({**TASKS, "points": 11}, SESSIONS)
    assert rehearsed(terminal, fixtures, "--expect", str(kept), "--out", str(tmp_path / "new")).code == 5
    assert rehearsed(terminal, fixtures, "--expect", str(tmp_path / "new")).code == 0


# --- what is wrong with the files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ['{"_id": 1, "status": "done"', '{"_id": {"$oid": "no"}}', "[1]", "\x00"])
def test_a_broken_line_is_named_with_its_file(terminal, fixtures, line):
    with (fixtures / "tasks.ndjson").open("a") as file:
        file.write(line + "\n")
    refused = rehearsed(terminal, fixtures)
    assert refused.code == 2
    assert f"{fixtures}/tasks.ndjson:33: not Extended JSON" in refused.err
    assert "next: correct or remove that line" in refused.err


def test_a_file_that_ends_in_the_middle_is_told(terminal, fixtures):
    packed = gzip.compress((fixtures / "tasks.ndjson").read_bytes())
    (fixtures / "tasks.ndjson").unlink()
    (fixtures / "tasks.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    refused = rehearsed(terminal, fixtures)
    assert refused.code == 2
    assert "tasks.ndjson.gz cannot be read" in refused.err


def test_a_collection_without_a_file_is_told(terminal, fixtures):
    (fixtures / "sessions.ndjson").unlink()
    refused = rehearsed(terminal, fixtures)
    assert refused.code == 2
    assert "has no file for sessions" in refused.err


def test_two_documents_with_one_id_are_told(terminal, fixtures):
    with (fixtures / "tasks.ndjson").open("a") as file:
        file.write((fixtures / "tasks.ndjson").read_text().splitlines()[0] + "\n")
    refused = rehearsed(terminal, fixtures)
    assert refused.code == 2
    assert f"{fixtures / 'tasks.ndjson'}:33: the same _id as in line 1" in refused.err
    assert "next: remove one of the two" in refused.err


def test_a_path_that_no_fixture_has_is_refused_as_by_a_run(terminal, fixtures):
    terminal.configure({**TASKS, "user": "owner"}, SESSIONS)
    refused = rehearsed(terminal, fixtures)
    assert refused.code == 6
    assert "none of 32 documents of tasks in scope has owner" in refused.err


# --- what memory cannot do ------------------------------------------------------------------------------------------

BEYOND = {
    "$text": {"$text": {"$search": "report"}},
    "$jsonSchema": {"$jsonSchema": {"required": ["status"]}},
    "$expr": {"$expr": {"$gt": ["$updatedAt", "$completedAt"]}},
    "nested $expr": {"$and": [{"status": "done"}, {"$expr": {"$eq": ["$a", "$b"]}}]},
    "$bitsAllSet": {"flags": {"$bitsAllSet": 1}},
    "$geoWithin": {"place": {"$geoWithin": {"$centerSphere": [[0, 0], 1]}}},
    "$mod": {"number": {"$mod": [0, 1]}},
}


@pytest.mark.parametrize("name", BEYOND)
def test_a_filter_that_memory_cannot_evaluate_is_named_with_the_way_that_can(terminal, fixtures, name):
    terminal.configure({**TASKS, "where": BEYOND[name]}, SESSIONS)
    refused = rehearsed(terminal, fixtures)
    assert refused.code == 2
    assert refused.err.splitlines()[-2].startswith("lbmigrate: tasks: ")
    assert name.split()[-1] in refused.err.splitlines()[-2]
    assert "no server can run here: LBMIGRATE_MONGOD names /nonexistent" in refused.err
    assert "next: set LBMIGRATE_MONGOD to the path of a mongod, or unset it; or rehearse on the real" in refused.err
    asked = rehearsed(terminal, fixtures, "--engine", "memory")
    assert asked.code == 2
    assert f"next: lbmigrate run --dry-run --fixtures {fixtures} --engine mongod" in asked.err


def test_a_filter_on_elements_that_memory_cannot_evaluate_is_named_too(terminal, fixtures):
    extjson.write(fixtures / "lists.ndjson", [{"_id": 1, "userId": oid(1), "items": [{"id": 1, "doneAt": NEW_YEAR}]}])
    lists = {**TASKS, "name": "lists", "collection": "lists", "unwind": "items", "at": "items.doneAt", "where": {}}
    terminal.configure({**lists, "action": "item_done", "updated": "items.doneAt"})
    assert rehearsed(terminal, fixtures).code == 0
    terminal.configure({**lists, "where": {"items.id": {"$mistyped": 1}}})
    refused = rehearsed(terminal, fixtures)
    assert refused.code == 2
    assert "$mistyped" in refused.err


# --- real ones ------------------------------------------------------------------------------------------------------

HISTORY = ROOT.parent / "shared" / "data" / "history"


@pytest.mark.skipif(not HISTORY.is_dir(), reason="the data set is not beside the checkout")
@pytest.mark.slow
@pytest.mark.timeout(1200)  # it takes two and a half minutes of a processor that it may have to share
def test_a_real_history_in_memory_gives_the_digests_worked_out_elsewhere(terminal):
    expected = json.loads((HISTORY / "expected.json").read_text())
    done = rehearsed(terminal, HISTORY, "--config", str(HISTORY / "leaderboard.yaml"))
    assert done.code == 0
    for name in ("sha256_global", "sha256_week", "score_events", "entries"):
        assert done.result[name] == expected[name], name


def test_the_shipped_fixtures_come_to_the_kept_outcome(terminal):
    home = ROOT / "config" / "fixtures"
    done = rehearsed(terminal, home, "--config", str(home / "leaderboard.yaml"), "--expect", str(home / "expected"))
    assert done.code == 0, done.err


# --- where the outcome is kept ---------------------------------------------------------------------------------------


def test_what_is_kept_is_for_its_owner_alone_and_written_through_no_link(terminal, fixtures, tmp_path):
    elsewhere = tmp_path / "elsewhere.ndjson"
    elsewhere.write_text("precious\n")
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("score_events.ndjson", "score_events.ndjson.part"):
        (kept / name).symlink_to(elsewhere)
    assert rehearsed(terminal, fixtures, "--out", str(kept)).code == 0
    assert elsewhere.read_text() == "precious\n"
    for path in kept.iterdir():
        assert not path.is_symlink()
        assert path.stat().st_mode & 0o077 == 0


def test_a_directory_that_others_may_write_keeps_nothing(terminal, fixtures, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    kept.chmod(0o777)
    refused = rehearsed(terminal, fixtures, "--out", str(kept))
    assert refused.code == 6
    assert "can be written by others" in refused.err
    assert f"chmod go-w {kept}" in refused.err
    assert list(kept.iterdir()) == []
