"""Memory of every verb where documents are as large as a server takes them: each a process, with its own peak."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import Int64
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, EVENTS, REJECTS
from tests.apps import NEW_YEAR, TASKS, USERS, oid, task, user
from tests.runs import by_hand, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), by_hand]

MOST_MB = 300
MANY, BIG = 60, 6_000_000  # documents of one kind, and the bytes of each: what all of them need is more than twice that
# Not getrusage: what that tells begins with the peak of the process that started this one.
MEASURED = """
import re, sys
from pathlib import Path
from lbmigrate.cli.main import status
code = status()
print(re.search(r"VmHWM:.*", Path("/proc/self/status").read_text())[0], file=sys.stderr)
sys.exit(code)
"""
CODES = {0, 3, 5, 6}
LOOKS = ("doctor", "plan", "status", "history", "rejects", "top -n 100", f"rank {oid(1)}", f"around {oid(1)}")
REPAIRS = ("backfill", "verify", "verify --full", "recount", "reconcile --dry-run", "reconcile", "backfill --full")
COPIES = ("run --dry-run", "backup --sources --out B", "backup verify B", "backup restore B --database NAME_copy --yes")
ENDS = (f"forget {oid(1)} --yes", f"forget {oid(2)} --yes", "rollback --yes", "run --yes")
ALL = (*LOOKS, *REPAIRS, "tail --max-runtime 3s", *COPIES, *ENDS)


@dataclass
class Measured:
    """Verbs typed at a database of their own, and what each needed."""

    uri: str
    directory: Path
    config: Path
    figures: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __call__(self, words: str) -> None:
        words = words.replace("NAME", self.config.stem)
        environment = {**os.environ, "MONGODB_URI": self.uri, "PYTHONPATH": os.pathsep.join(sys.path)}
        environment |= {"LBMIGRATE_CONFIG": str(self.config), "LBMIGRATE_BACKUP_REF": "a test's"}
        command = [sys.executable, "-c", MEASURED, *words.split()]
        done = subprocess.run(command, env=environment, cwd=self.directory, capture_output=True, text=True, check=False)
        found = re.search(r"VmHWM:\s+(\d+) kB", done.stderr)
        self.figures[words] = int(found[1]) // 1024 if found else 0
        if self.figures[words] > MOST_MB or done.returncode not in CODES or "Traceback" in done.stderr:
            self.wrong.append(f"{words}: {self.figures[words]} MB, exit {done.returncode}: {done.stderr[-400:]}")


@pytest.fixture
def measured(database: Database[Any], server_uri: str, tmp_path: Path) -> Iterator[Measured]:
    """Ten users with ten tasks each, on the board."""
    database["tasks"].create_index("updatedAt")
    database["users"].insert_many([user(number, updatedAt=NEW_YEAR) for number in range(1, 11)])
    database["tasks"].insert_many([task(number, owner=1 + number % 10) for number in range(100)])
    yield Measured(server_uri, tmp_path, configured(tmp_path, database.name, TASKS))
    database.client.drop_database(f"{database.name}_copy")


def configured(directory: Path, name: str, source: Document) -> Path:
    users = {**USERS, "updated": "updatedAt"}
    return write_config(directory, name, [source], users=users, backfill={"workers": 2, "failing_share": 1.0})


def put(database: Database[Any], collection: str, documents: Iterable[Document]) -> None:
    """One by one, and past the validators: an app is held to neither."""
    for document in documents:
        raw: Any = RawBSONDocument(bson.encode(document))
        database[collection].insert_many([raw], bypass_document_validation=True)


def big(number: int) -> str:
    return f"{number:06}" + "x" * (BIG - 6)


# --- what is large ----------------------------------------------------------------------------------------------


def event(number: int, **fields: Any) -> Document:
    at = NEW_YEAR + dt.timedelta(hours=number)
    usual = {"_id": f"task_complete:{oid(900_000 + number)}", "userId": oid(1), "actionType": "task_complete"}
    more = {"points": Int64(10), "sourceId": oid(900_000 + number), "meta": {"origin": "live"}, "createdAt": at}
    return {**usual, **more, **fields}


def entry(number: int, **fields: Any) -> Document:
    period, at = f"19{number:02}-W01", NEW_YEAR  # long before those that the run has made
    usual = {"_id": f"{period}:{oid(1)}", "userId": oid(1), "period": period, "score": Int64(5), "streak": 1}
    more = {"events": Int64(1), "rev": Int64(1), "lastEventAt": at, "optOutSnapshot": False, "avatarSnapshot": None}
    return {**usual, **more, "displayNameSnapshot": "x", **fields}


def odd_events(number: int) -> Document:
    """Each another place where an app may have put much."""
    ways = (
        {"meta": {"origin": "live", "x": big(number)}}, {"meta": big(number)}, {"x": big(number)},
        {"meta": {"origin": "live", "reason": big(number)}}, {"sourceId": big(number)}, {"points": big(number)},
        {"_id": f"task_complete:{big(number)}"}, {"_id": f"odd:{big(number)}", "actionType": "odd"},
        {"actionType": big(number)}, {"userId": big(number)},
    )  # fmt: skip
    return event(number, **ways[number % len(ways)])


def odd_entries(number: int) -> Document:
    ways = (
        {"x": big(number)}, {"displayNameSnapshot": big(number)}, {"avatarSnapshot": big(number)},
        {"userId": big(number), "_id": number}, {"period": big(number)}, {"score": big(number)},
        {"_id": f"global:{oid(700 + number)}", "userId": oid(700 + number), "period": "global", "x": big(number)},
        {"_id": f"2024:{big(number)}"},
    )  # fmt: skip
    return entry(number, **ways[number % len(ways)])


def odd_tasks(number: int) -> Document:
    ways = (
        {"x": big(number)}, {"priority": big(number)}, {"userId": big(number)}, {"completedAt": big(number)},
        {"_id": big(number)}, {"_id": big(number)[:1_900_000]}, {"updatedAt": big(number)}, {"status": big(number)},
    )  # fmt: skip
    return task(5000 + number, owner=1 + number % 10, **ways[number % len(ways)])


def odd_users(number: int) -> Document:
    ways = (
        {"x": big(number)}, {"name": big(number)}, {"avatar": "x" * 15_000_000}, {"hidden": big(number)},
        {"_id": big(number)}, {"updatedAt": big(number)},
    )  # fmt: skip
    return {**user(100 + number), **ways[number % len(ways)]}


def rejected(number: int) -> Document:
    row = {"_id": oid(number), "source": "tasks", "createdAt": dt.datetime.now(dt.UTC)}
    return {**row, "reason": big(number), "sourceId": big(number)}


def of_odd_users(number: int) -> Document:
    return task(6000 + number, owner=100 + number % MANY)


KINDS: dict[str, list[tuple[str, Callable[[int], Document]]]] = {
    "events of one user": [(EVENTS, lambda number: event(number, meta={"origin": "live", "x": big(number)}))],
    "odd events": [(EVENTS, odd_events)],
    "entries": [(ENTRIES, odd_entries)],
    "tasks": [("tasks", odd_tasks)],
    "users": [("users", odd_users), ("tasks", of_odd_users)],
    "rejects": [(REJECTS, rejected)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_verb_needs_more_memory_because_documents_are_large(
    database: Database[Any], measured: Measured, kind: str
) -> None:
    measured("run --yes")
    measured("tail --max-runtime 1s")  # what follows from here on meets each of them as a change
    for collection, make in KINDS[kind]:
        put(database, collection, map(make, range(MANY)))
    for words in ("tail --max-runtime 10s", *ALL):
        measured(words)
    print(kind, measured.figures)
    assert measured.wrong == []


def test_no_verb_needs_more_memory_because_an_array_is_long(database: Database[Any], measured: Measured) -> None:
    at = NEW_YEAR + dt.timedelta(days=1)
    elements = [{"id": number, "at": at, "done": number % 5 == 0} for number in range(250_000)]
    lists = ({"_id": oid(8000 + n), "userId": oid(1), "updatedAt": at, "items": elements} for n in (1, 2))
    put(database, "lists", lists)
    source = {**TASKS, "name": "items", "collection": "lists", "unwind": "items", "where": {"items.done": True}}
    configured(measured.directory, database.name, {**source, "action": "item", "at": ["items.at"], "meta": {}})
    for words in ("run --yes", *ALL):
        measured(words)
    print(measured.figures)
    assert measured.wrong == []
