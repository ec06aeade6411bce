"""What is told to people, typed at a terminal: the report, the old counter, and why a score is what it is."""

from __future__ import annotations

import os

import pytest
from bson import Int64

from tests.apps import oid, session, task, user

ADA = str(oid(1))
HOSTILE = "<script>alert(1)</script>\x1b[31m"


@pytest.fixture
def board(terminal, database):
    """Three users on the board, whose old counter is ten points too low for one of them."""
    database["users"].insert_many([user(number, points=60) for number in (1, 2)])
    database["users"].insert_one({**user(3, points=70), "name": HOSTILE})
    database["tasks"].insert_many([task(number, owner=1 + number % 3) for number in range(18)])
    database["sessions"].insert_one({**session(1), "durationSec": "long"})
    assert terminal("run", "--to", "4").code == 0
    return database


def test_a_report_is_written_and_the_counter_compared_also_where_something_is_wrong(board, terminal, tmp_path):
    report = tmp_path / "out.html"
    good = terminal("verify", "--full", "--against", "users:points", "--report", str(report), "--json")
    assert (good.code, good.result["report"]) == (0, str(report))
    assert (good.result["against"]["both"], good.result["against"]["equal"]) == (3, 2)
    assert "✓ Passed" in report.read_text("utf-8")
    assert report.stat().st_mode & 0o777 == 0o600
    board["leaderboard_entries"].update_one({"_id": f"global:{ADA}"}, {"$inc": {"score": Int64(1)}})
    bad = terminal("verify", "--full", "--against", "users:points", "--report", str(report))
    assert bad.code == 5
    assert "✗ Failed: " in report.read_text("utf-8")
    assert "Against users.points" in bad.out
    assert "<script>" not in report.read_text("utf-8") + bad.out.replace("<script>alert(1)</script>", "")
    assert "\x1b" not in bad.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--report", "out.pdf"), 2, "end it in .html or .md"),
        (("--against", "users"), 2, "write COLLECTION:PATH or COLLECTION:PATH:KEY"),
        (("--against", "gone:points"), 2, "there is no collection 'gone'"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_compared(board, terminal, words, code, said):
    outcome = terminal("verify", *words)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err


def test_a_report_that_cannot_be_written_does_not_hide_what_is_wrong(board, terminal, tmp_path, monkeypatch):
    board["leaderboard_entries"].update_one({"_id": f"global:{ADA}"}, {"$inc": {"score": Int64(1)}})

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    outcome = terminal("verify", "--full", "--report", str(tmp_path / "out.md"))
    assert outcome.code == 5
    assert "No space left on device" in outcome.err
    assert "verification found" in outcome.err


def test_an_explanation_says_why_and_the_command_that_it_names_ends_the_difference(board, terminal):
    explained = terminal("explain", ADA.upper(), "--json").result["explanation"]
    assert (explained["points"], explained["entry"]["score"], explained["rejects_total"]) == (60, 60, 1)
    board["tasks"].delete_one({"_id": oid(1003)})
    outcome = terminal("explain", ADA)
    assert outcome.code == 0
    assert "next: lbmigrate reconcile" in outcome.out
    assert terminal("reconcile").code == 0
    outcome = terminal("explain", ADA)
    assert "voided" in outcome.out
    assert "✓ entry, ledger and sources agree" in outcome.out
    assert "\x1b" not in terminal("explain", str(oid(3))).out


def test_whom_nobody_knows_is_told_so(board, terminal):
    outcome = terminal("explain", "nobody")
    assert (outcome.code, outcome.out) == (2, "")
    assert "nobody has the id 'nobody'" in outcome.err


def test_before_a_migration_there_is_nothing_to_explain(terminal):
    outcome = terminal("explain", ADA)
    assert outcome.code == 2
    assert "next: lbmigrate run" in outcome.err
