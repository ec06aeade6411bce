"""Documents that could not be scored, as somebody works with them: what is wrong, which ones, and trying them again."""

from __future__ import annotations

import io
import json
import re

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from lbmigrate.console import Console
from lbmigrate.ledger.reject_groups import Group, is_meant, kind_of
from tests.apps import TASKS, oid, task

LONG = "a-very-long-id-of-a-document-" * 4


@pytest.fixture
def rejected(app, terminal):
    """A board of six tasks, and nine that could not be scored, for two reasons."""
    app["tasks"].insert_many([task(number, completedAt=f"day {number}", updatedAt=None) for number in range(100, 106)])
    app["tasks"].insert_many([task(number, userId=None) for number in (200, 201)])
    app["tasks"].insert_one({**task(300, userId=None), "_id": LONG})
    assert terminal("run").code == 0
    return app


def test_they_are_grouped_by_what_is_wrong_with_how_many_and_an_example(rejected, terminal):
    found = terminal("rejects", "--json").result
    assert found["total"] == 9
    assert [group["documents"] for group in found["groups"]] == [6, 3]
    assert {group["source"] for group in found["groups"]} == {"tasks"}
    assert found["groups"][0]["example"] in {str(oid(1000 + number)) for number in range(100, 106)}
    assert len(found["rejects"]) == 9
    shown = terminal("rejects").out
    assert "Rejects  9 in 2 groups" in shown
    assert str(found["groups"][0]["example"]) in shown


def found_by(app, query):
    """The ids of what a line for mongosh finds."""
    name, asked = re.fullmatch(r'db\.getCollection\("(.+?)"\)\.find\((.+)\)', query).groups()
    if "distinct(" in asked:
        rejects, rows = re.search(r'db\.(\w+)\.distinct\("sourceId", (.+)\)}}', asked).groups()
        return app[rejects].distinct("sourceId", json.loads(rows))
    return [row["_id"] for row in app[name].find(json.loads(asked))]


@pytest.mark.parametrize("form", ["userId", {"path": "userId", "strip": "_User$"}], ids=["as it is", "stripped"])
def test_those_whose_users_have_ids_of_another_type_are_found_by_a_line_that_can_be_copied(app, terminal, form):
    terminal.configure({**TASKS, "user": form})
    odd = [task(number, userId="somebody" if form == "userId" else oid(9)) for number in (700, 701)]
    usual = [task(number, userId=oid(1) if form == "userId" else f"_User${oid(1)}") for number in range(100, 130)]
    app["tasks"].delete_many({})
    app["tasks"].insert_many([*usual, *(task(number, userId=None) for number in (200, 201)), *odd])
    assert terminal("run").code == 0
    groups = terminal("rejects", "--json").result["groups"]
    [query] = [group["query"] for group in groups if group["query"]]
    assert sorted(found_by(app, query)) == [oid(1700), oid(1701)]
    assert query in terminal("rejects").out.splitlines()[-1]


def test_groups_and_list_count_alike(rejected, terminal):
    listed = terminal("rejects", "list", "--json").result["rejects"]
    assert len(listed) == terminal("rejects", "groups", "--json").result["total"]
    assert len(terminal("rejects", "list", "-n", "2", "--json").result["rejects"]) == 2
    assert len(terminal("rejects", "list", "--reason", "userId", "--json").result["rejects"]) == 3


def test_one_is_shown_with_why_and_with_what_its_fields_hold_now(rejected, terminal):
    name = str(oid(1100))
    for words in (name, f"tasks:{name}"):
        shown = terminal("rejects", "show", words)
        assert shown.code == 0
        assert "'day 100'" in shown.out
    rejected["tasks"].delete_one({"_id": oid(1100)})
    assert "the document is gone" in terminal("rejects", "show", name).out
    missing = terminal("rejects", "show", "nobody")
    assert (missing.code, missing.hint) == (2, "lbmigrate rejects")


def test_a_retry_scores_what_was_made_right_and_only_that(rejected, terminal):
    set_aside = {"_id": {"$in": rejected["lbmigrate_rejects"].distinct("sourceId")}}
    rejected["tasks"].update_many(set_aside, {"$set": {"userId": oid(1), "completedAt": task(1)["completedAt"]}})
    done = terminal("rejects", "retry", "--reason", "userId", "--json")
    assert (done.code, done.result["tried"], done.result["left"]) == (0, 3, 0)
    assert rejected["lbmigrate_rejects"].count_documents({}) == 6, "those with another reason were left alone"
    assert rejected["score_events"].count_documents({}) == 6 + 3
    entry = rejected["leaderboard_entries"].find_one({"_id": f"global:{oid(1)}"})
    assert entry["score"] == 10 * rejected["score_events"].count_documents({"userId": oid(1)})
    assert terminal("rejects", "retry", "--json").result == {"verb": "rejects retry", "tried": 6, "left": 0}
    assert terminal("verify", "--full").code == 0
    assert terminal("backfill").code == 0
    assert rejected["score_events"].count_documents({}) == 15, "and counts once"


def test_what_is_still_wrong_stays_with_the_reason_that_it_has_now(rejected, terminal):
    rejected["tasks"].update_many({"userId": None}, {"$set": {"userId": oid(1), "completedAt": "x", "updatedAt": None}})
    assert terminal("rejects", "retry", "--reason", "userId", "--json").result == {
        "verb": "rejects retry", "tried": 3, "left": 0,
    }  # fmt: skip
    assert [group["documents"] for group in terminal("rejects", "--json").result["groups"]] == [9]


def test_a_reason_that_nobody_has_is_a_mistake_and_a_retry_is_on_record(rejected, terminal):
    assert terminal("rejects", "retry", "--reason", "no such thing").code == 2
    assert terminal("rejects", "retry").code == 0
    assert terminal("history", "--json").result["runs"][0]["verb"] == "rejects retry"
    assert terminal("rejects", "forget").code == 2


def test_where_there_are_none_it_says_so(migrated, terminal):
    assert terminal("rejects").out == "Rejects  none\n"
    assert terminal("rejects", "retry").code == 0


# --- ids and reasons -----------------------------------------------------------------------------------------------


class Narrow(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [20, 60, 80, 200])
def test_an_id_is_whole_and_on_one_line_at_every_width(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "dumb")
    stream = Narrow()
    console = Console(stdout=stream, stderr=stream)
    console.reject_groups([Group("tasks", "…", 12, LONG, "x")], 12, 1)
    console.rejects([{"source": "tasks", "sourceId": ObjectId("0" * 24), "reason": "r " * 50}])
    assert LONG in stream.getvalue()
    assert "0" * 24 in stream.getvalue()


def test_reasons_that_differ_in_what_they_quote_are_one():
    assert kind_of("userId 'anna' is no id of 12 digits") == kind_of("userId 'o\\'neil' is no id of 7 digits")
    assert kind_of("userId is missing") != kind_of("completedAt is missing")


@given(st.text(max_size=80))
def test_a_reason_is_meant_by_its_own_words_and_by_those_of_its_group(reason):
    assert is_meant(reason, reason)
    assert is_meant(reason, kind_of(reason))
    assert is_meant(reason, "")
