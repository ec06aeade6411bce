"""The second reading of a configuration gives what the scoring gives, whatever a document holds; and shares no code."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from bson import ObjectId

import lbmigrate
from lbmigrate.rules import scoring
from lbmigrate.testing import messy
from lbmigrate.verify.reading import Reading
from tests.apps import SESSIONS, TASKS, config, oid, session, task

WRITERS = {
    "lbmigrate.rules.scoring", "lbmigrate.rules.ranking", "lbmigrate.rules.periods", "lbmigrate.rules.numbered",
    "lbmigrate.rules.event", "lbmigrate.rules.variables", "lbmigrate.rules.local_days", "lbmigrate.rules.unwind",
    "lbmigrate.rules.adjustments", "lbmigrate.ledger.rollup", "lbmigrate.ledger.emit", "lbmigrate.ledger.sources",
    "lbmigrate.ledger.entries", "lbmigrate.board.profiles", "lbmigrate.board.lookup", "lbmigrate.board.visibility",
    "lbmigrate.values.coerce", "lbmigrate.values.columns", "lbmigrate.values.arithmetic",
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


# --- an operator's own function ------------------------------------------------------------------------------------

RULE = """
import pandas as pd

tables = []


def points(frame):
    tables.append(len(frame))
    if frame["owner"].isin(REFUSED).any():
        raise ValueError("not these")
    return frame["weight"] * 2 + frame["createdAt"].dt.day
"""


@pytest.fixture
def by_function(tmp_path, monkeypatch):
    """What documents are worth to a function that fails for some owners, and how many rows it was given each time."""

    def read(refused, documents):
        (tmp_path / "rules_of_a_reading.py").write_text(f"REFUSED = {refused!r}\n{RULE}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "rules_of_a_reading", raising=False)
        told = {"let": {"weight": {"path": "priority", "map": {"low": 1, "2": 2}, "default": 3}}}
        source = {**TASKS, **told, "meta": {"owner": "owner"}, "points": "rules_of_a_reading:points"}
        made = config(source).allowing(["rules_of_a_reading"])
        reading = Reading(made, made.sources[0], None, None)
        found = {action.id: action.points for action in reading.actions(documents)}
        return found, sys.modules["rules_of_a_reading"].tables

    return read


def owned(number):
    return [task(each, owner=1 + each % 5) | {"owner": each % 100, "priority": "low"} for each in range(number)]


def test_a_function_is_given_tables_of_many_documents_and_none_is_lost(by_function):
    documents = owned(2_500)
    documents[7]["completedAt"] = "no time at all"
    documents[8]["userId"] = None
    found, tables = by_function([], documents)
    assert found == {
        f"task_complete:{each['_id']}": 2 + each["completedAt"].day for each in documents if each not in documents[7:9]
    }
    assert (sum(tables), len(tables)) == (2_498, 3)


@pytest.mark.parametrize("refused", [[3], list(range(50)), list(range(100))], ids=["few", "half", "all"])
def test_documents_that_a_function_fails_for_are_worth_nothing_and_the_others_as_ever(refused, by_function):
    documents = owned(300)
    found, _ = by_function(refused, documents)
    worth = {f"task_complete:{each['_id']}" for each in documents if each["owner"] not in refused}
    assert found.keys() == worth


@pytest.mark.parametrize("path", VERIFY, ids=lambda path: path.stem)
def test_the_verifier_shares_no_code_with_who_writes(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    assert not names & WRITERS
