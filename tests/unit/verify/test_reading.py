"""The second reading of a configuration gives what the scoring gives, whatever a document holds; and shares no code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from bson import ObjectId

import lbmigrate
from lbmigrate.rules import scoring
from lbmigrate.testing import messy
from lbmigrate.verify.reading import Reading
from tests.apps import SESSIONS, TASKS, config, oid, session, task

WRITERS = {
    "lbmigrate.rules.scoring", "lbmigrate.rules.ranking", "lbmigrate.rules.periods", "lbmigrate.rules.event",
    "lbmigrate.rules.variables", "lbmigrate.rules.local_days", "lbmigrate.rules.unwind", "lbmigrate.rules.adjustments",
    "lbmigrate.ledger.rollup", "lbmigrate.ledger.emit", "lbmigrate.ledger.sources", "lbmigrate.ledger.entries",
    "lbmigrate.board.profiles", "lbmigrate.board.lookup", "lbmigrate.board.visibility", "lbmigrate.values.coerce",
    "lbmigrate.values.arithmetic",
}  # fmt: skip
FORMULAS = ["minimum(floor(minutes), 120)", "where(minutes > 30, minutes ** 2 / 7, minutes % 7)", "round(minutes // 3)"]
VERIFY = sorted((Path(lbmigrate.__file__).parent / "verify").glob("*.py"))


def both(source, documents, zone="Europe/Paris"):
    made = config(source, timezone=zone)
    scored = scoring.score(documents, made.sources[0], zone)
    expected = {(event["_id"], event["userId"], event["points"], event["createdAt"]) for event in scored.events}
    read = {(a.id, a.user, a.points, a.at) for a in Reading(made, made.sources[0], None, None).actions(documents)}
    return read, expected


@pytest.mark.parametrize("formula", FORMULAS)
def test_messy_sessions_are_worth_the_same_to_both(formula):
    clean = [session(number, owner=1 + number % 5, minutes=number % 150) for number in range(2_000)]
    read, expected = both({**SESSIONS, "points": formula}, list(messy(clean, share=0.5, seed=3)))
    assert read == expected


def test_messy_tasks_are_worth_the_same_to_both():
    clean = [task(number, owner=1 + number % 5) for number in range(2_000)]
    table = {"weight": {"path": "priority", "map": {"low": 1, "2": 2}, "default": 3}}
    source = {**TASKS, "at": ["completedAt", "updatedAt"], "let": table, "points": "10 * weight"}
    read, expected = both(source, list(messy(clean, share=0.5, seed=4)))
    assert read == expected


def test_users_that_are_to_be_of_one_type_are_the_same_to_both():
    texts = [task(number, userId=str(oid(number))) for number in range(9)] + [
        task(9, userId="no id"),
        task(10, userId=7),
    ]
    for kind in ("objectId", "string"):
        read, expected = both({**TASKS, "user": {"path": "userId", "as": kind}}, texts)
        assert read == expected
        assert any(isinstance(user, ObjectId) == (kind == "objectId") for _, user, _, _ in read)


@pytest.mark.parametrize("path", VERIFY, ids=lambda path: path.stem)
def test_the_verifier_shares_no_code_with_who_writes(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    assert not names & WRITERS
