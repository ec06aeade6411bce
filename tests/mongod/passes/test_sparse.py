"""A filter that few documents meet: a backfill with nothing new looks at little more than what is new."""

from __future__ import annotations

import datetime as dt

import pytest

from lbmigrate.mongo.sample import both_ends
from tests.apps import NEW_YEAR, TASKS, oid, task, user

ALL, DONE = 6_000, 60


@pytest.fixture
def app(database, terminal):
    """Of a hundred tasks one is done, and no index finds it."""
    database["users"].insert_many([user(number, avatar="a.png", hidden=False) for number in (1, 2, 3)])
    tasks = [task(n, 1 + n % 3, hours=n / 60, status="todo" if n % (ALL // DONE) else "done") for n in range(ALL)]
    database["tasks"].insert_many(tasks)
    terminal.configure(TASKS, backfill={"chunk_size": 2_000, "workers": 1, "target": None, "lag": "1h"})
    return database


def examined(database, work):
    """How many documents of the tasks a server looks at meanwhile."""
    database.command("profile", 2)
    work()
    database.command("profile", 0)
    seen = database["system.profile"].find({"ns": f"{database.name}.tasks"})
    return sum(row.get("docsExamined", 0) for row in seen)


def fixes(terminal):
    return [each["fix"] for each in terminal("doctor", "--json").result["findings"] if "createIndex" in each["fix"]]


@pytest.mark.parametrize("indexed", [False, True], ids=["no index", "an index on the time of change"])
def test_an_idle_backfill_reads_all_documents_at_most_once(app, terminal, indexed):
    if indexed:
        app["tasks"].create_index("updatedAt")
    assert terminal("run").code == 0
    app["score_events"].count_documents({})
    looked_at = examined(app, lambda: terminal("backfill"))
    # What lies around either end is looked at twice, for the sake of what refuses a run.
    assert looked_at <= (0 if indexed else ALL) + 4 * 1_000 + 1_000
    assert terminal("verify", "--full").code == 0
    assert app["score_events"].count_documents({}) == DONE


@pytest.mark.slow
def test_doctor_says_which_indexes_are_missing_until_they_are_there(app, terminal):
    told = fixes(terminal)
    assert told == [
        "db.tasks.createIndex({'status': 1}), so that a look at them does not read all",
        "db.tasks.createIndex({'updatedAt': 1})",
    ]
    for field in ("status", "updatedAt"):
        app["tasks"].create_index(field)
    assert fixes(terminal) == []


def test_a_bounded_look_at_both_ends_examines_no_more_than_it_is_worth(app):
    found = []
    looked_at = examined(
        app, lambda: found.extend(both_ends(app["tasks"], {"status": "done"}, {"userId": 1}, 100, bounded=True))
    )
    assert looked_at <= 400
    assert [[row["_id"] for row in rows] for rows in found] == [[oid(1000), oid(1100)], [oid(6900), oid(6800)]]


def test_a_look_that_has_seen_all_from_one_end_does_not_look_from_the_other(app):
    assert [len(rows) for rows in both_ends(app["tasks"], {"status": "done"}, {"userId": 1}, 100)] == [DONE]
    assert [len(rows) for rows in both_ends(app["tasks"], {"status": "done"}, {"userId": 1}, 10)] == [10, 10]


@pytest.mark.slow
def test_what_is_new_is_found_all_the_same(app, terminal):
    assert terminal("run").code == 0
    late = NEW_YEAR + dt.timedelta(hours=ALL)
    app["tasks"].update_one({"status": "todo"}, {"$set": {"status": "done", "updatedAt": late}})
    assert terminal("backfill", "--json").result["counts"]["emitted"] == 1
