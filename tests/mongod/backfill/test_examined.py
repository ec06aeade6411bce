"""How many documents a server looks at in an incremental run: about as many as changed, however long a ledger is."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import pytest

from lbmigrate.backfill import noting
from lbmigrate.ledger import rollup
from lbmigrate.migration.steps import STEPS
from lbmigrate.run.context import Scope
from tests.apps import NEW_YEAR, TASKS, App, config, oid, task, user

pytestmark = pytest.mark.usefixtures("mongod")
FULL = Scope(full=True)


def filled(database: Any, users: int, tasks: int, **parts: Any) -> App:
    """An app whose first user has every second task, a minute apart each, all of them in the entries."""
    size = {"backfill": {"chunk_size": 10_000, "lag": "1h"}}
    app = App(database, config(TASKS, **size, **parts))
    database["users"].insert_many([user(number) for number in range(1, users + 1)])
    owners = [1 if number % 2 else 1 + number // 2 % users for number in range(tasks)]
    database["tasks"].insert_many([task(n, owner, hours=n / 60) for n, owner in enumerate(owners)])
    database["tasks"].create_index("updatedAt")
    app.apply(STEPS[:4])
    return app


def change(app: App, tasks: int, users: int, new: int, undone: int = 0) -> None:
    """So many new tasks of different users, the first one's among them, and some of the last ones undone."""
    at = NEW_YEAR + dt.timedelta(minutes=tasks)
    soon = [dt.timedelta(seconds=1 + number) for number in range(new)]
    owners = [1 if number % 7 == 0 else 1 + number % users for number in range(new)]
    rows = [task(tasks + n, owner) | {"completedAt": at + later, "updatedAt": at + later}
            for n, (owner, later) in enumerate(zip(owners, soon, strict=True))]  # fmt: skip
    app.database["tasks"].insert_many(rows)
    for number in range(undone):
        changed = {"$set": {"status": "todo", "updatedAt": at + dt.timedelta(hours=1)}}
        app.database["tasks"].update_one({"_id": oid(1000 + tasks - 1 - 2 * number)}, changed)


def examined(app: App) -> Counter[str]:
    """How many documents of each collection a backfill has a server look at."""
    app.database.create_collection("system.profile", capped=True, size=50_000_000)
    app.database.command("profile", 2)
    app.backfill()
    app.database.command("profile", 0)
    found: Counter[str] = Counter()
    for row in app.database["system.profile"].find({"docsExamined": {"$gt": 0}}, {"ns": 1, "docsExamined": 1}):
        found[row["ns"].partition(".")[2]] += row["docsExamined"]
    return found


def check(app: App) -> None:
    """The entries are those that the whole ledger comes to."""
    everybody = [row["_id"] for row in app.database["users"].find({}, {"_id": 1})]
    before = app.entries()
    assert rollup.roll_up(app.context(scope=FULL), {"$in": everybody}).written == 0
    assert app.entries() == before


def test_of_a_long_ledger_nothing_is_read_for_what_is_new(database):
    app = filled(database, users=20, tasks=3_000)
    change(app, 3_000, 20, new=60)
    found = examined(app)
    assert found["score_events"] <= 3 * 60 + 1_000 + 220  # known ones, and as many as may be others'
    assert found["leaderboard_entries"] <= 4 * 60
    assert found["tasks"] <= 3 * (60 + 60) + 400
    check(app)


@pytest.mark.slow
def test_without_knowing_what_is_new_the_whole_ledger_is_read_and_comes_to_the_same(database, monkeypatch):
    monkeypatch.setattr(noting, "additions", lambda context: None)
    app = filled(database, users=20, tasks=3_000)
    change(app, 3_000, 20, new=60)
    assert examined(app)["score_events"] > 3_000
    check(app)


@pytest.mark.slow
def test_a_thousand_changes_among_fifty_thousand_tasks_have_few_documents_looked_at(database):
    app = filled(database, users=500, tasks=50_000)
    change(app, 50_000, 500, new=1_000)
    found = examined(app)
    assert found.total() <= 10_000
    check(app)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["single", "partitioned"])
def test_what_is_undone_is_read_whole_and_others_are_not(database, layout):
    app = filled(database, users=20, tasks=2_000, layout=layout, periods=["global", "day", "week", "month"])
    change(app, 2_000, 20, new=40, undone=3)
    app.backfill()
    check(app)
    change(app, 2_100, 20, new=40)
    app.backfill()
    check(app)
