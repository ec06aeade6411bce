"""The databases that are measured: their sizes and shapes, those of the fit and those that are held back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from pymongo.database import Database

from benchmarks import data
from benchmarks.stage import DONE
from lbmigrate.config.model import Config
from lbmigrate.records import Document

VERSION = 2  # raised when other documents are made: kept ones of an older version are made again
WEEKS = ("global", "week")
AT = ("createdAt", "updatedAt", "completedAt", "endedAt")
RULES = "benchmarks.estimate.rules"
NOTES = "It has to be done before the others can begin; ask whoever was there the last time. "


@dataclass(frozen=True, slots=True)
class Case:
    """A database and a way to run: so many tasks of users who have `per_user` each, a share of them `done`.

    `sessions` are as many as there are beside the tasks, and `stretch` how many times as long the history is.
    `padding` are bytes more in each task, `indexes` those of the ledger beyond its own. The rule is `plain` (points are
    a number), a `formula`, `texts` (times are text: documents are scored one by one), or `slow` (a Python function).
    `level` is that of the verification.
    """

    name: str
    docs: int
    per_user: int = 70
    done: float = 0.7
    padding: int = 0
    indexes: int = 0
    rule: str = "plain"
    periods: tuple[str, ...] = WEEKS
    workers: int = 2
    executor: str = "threads"
    sessions: int = 0
    stretch: int = 1
    level: str = "sample"

    @property
    def database(self) -> str:
        """Cases of equal documents share one."""
        name = f"fit_{self.docs}_{self.per_user}_{round(100 * self.done)}_{self.padding}_{self.rule == 'texts':d}"
        return f"{name}_{self.sessions}_{self.stretch}" if self.sessions or self.stretch > 1 else name

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Case:
        found = json.loads(text)
        return cls(**{**found, "periods": tuple(found["periods"])})


FITTED = (
    Case("small", 20_000),
    Case("middle", 60_000),
    Case("large", 150_000),
    Case("few events a user", 60_000, per_user=12),
    Case("many events a user", 60_000, per_user=600),
    Case("few are done", 100_000, done=0.2),
    Case("large documents", 60_000, padding=3_000),
    Case("two indexes more", 60_000, indexes=2),
    Case("a formula", 60_000, rule="formula"),
    Case("times as text", 60_000, rule="texts"),
    Case("a slow rule", 40_000, per_user=25, rule="slow"),
    Case("a slow rule, many events a user", 30_000, per_user=150, rule="slow"),
    Case("four kinds of periods", 60_000, periods=("global", "week", "day", "month")),
    Case("by day over ten years", 20_000, per_user=40, stretch=7, periods=("global", "day")),
    Case("one thread", 60_000, workers=1),
    Case("four threads", 60_000, workers=4),
    Case("two processes", 120_000, workers=2, executor="processes"),
    Case("all of it verified", 60_000, level="full"),
    Case("all of it verified by processes", 60_000, executor="processes", level="full"),
)
HELD_BACK = (
    Case("more, of fewer each", 200_000, per_user=35),
    Case("larger documents, an index more", 90_000, per_user=150, done=0.85, padding=1_200, indexes=1),
    Case("a slow rule in processes", 70_000, per_user=20, rule="slow", executor="processes"),
    Case("times as text, by day and month", 45_000, per_user=50, rule="texts", periods=("global", "day", "month")),
    Case("all of it verified, by day", 40_000, per_user=30, periods=("global", "day"), level="full"),
)


def document(case: Case, uri: str) -> Document:
    """The tasks and sessions of the starter configuration, with the rule of a case."""
    hidden = {"path": "settings.leaderboardOptOut", "missing": False}
    return {
        "version": 1,
        "database": {"uri": uri, "name": case.database},
        "users": {"display_name": ["displayName"], "avatar": ["avatarUrl"], "opt_out": hidden},
        "sources": [_tasks(case), *([SESSIONS] if case.sessions else [])],
        "periods": list(case.periods),
        "backfill": {"workers": case.workers},
        "verify": {"level": case.level},
    }


def _tasks(case: Case) -> Document:
    source: Document = {
        "name": "tasks", "collection": "tasks", "action": "task_complete", "where": DONE, "user": "userId",
        "at": "completedAt", "updated": "updatedAt", "points": 10, "meta": {"priority": "priority"},
    }  # fmt: skip
    if case.rule == "formula":
        weight = {"path": "priority", "map": {"low": 1, "medium": 2, "high": 3}, "default": 1}
        source |= {"let": {"weight": weight}, "points": "minimum(10 * weight, 25) + floor(weight / 2)"}
    if case.rule == "slow":
        source |= {"points": f"{RULES}:laborious"}
    return source


SESSIONS: Document = {
    "name": "sessions", "collection": "sessions", "action": "focus_session", "where": {"type": "focus"},
    "user": "userId", "at": "endedAt", "updated": "endedAt",
    "let": {"minutes": {"path": "durationSec", "unit": "seconds", "to": "minutes"}},
    "points": "minimum(floor(minutes), 120)",
}  # fmt: skip


def config(case: Case, uri: str) -> Config:
    """The same, read."""
    return Config.model_validate(document(case, uri)).allowing([RULES])


def load(database: Database[Any], case: Case) -> bool:
    """Fill the database, unless it holds these very documents already; tells whether it had to."""
    if database[data.MARK].find_one({"_id": case.docs, "version": VERSION}):
        return False
    database.client.drop_database(database.name)
    rng = np.random.default_rng(case.docs)
    people = [data.object_id(data.START, number, b"user-") for number in range(max(1, case.docs // case.per_user))]
    database["users"].insert_many(map(data.user, range(len(people)), people), ordered=False)
    tasks = (_shaped(task, case) for task in data.tasks(rng, people, case.docs, case.done))
    while block := list(islice(tasks, data.BLOCK)):
        database["tasks"].insert_many(block, ordered=False)
    sessions = map(_session, range(case.sessions), data.tasks(rng, people, case.sessions, 1.0))
    while block := [_shaped(session, case) for session in islice(sessions, data.BLOCK)]:
        database["sessions"].insert_many(block, ordered=False)
    for source in (_tasks(case), *([SESSIONS] if case.sessions else [])):
        for key in (source["updated"], source["user"]):
            database[source["collection"]].create_index(key)
    database[data.MARK].insert_one({"_id": case.docs, "version": VERSION})
    return True


def _session(number: int, task: Document) -> Document:
    """When the task was done, somebody had been at it for up to an hour; every fifth is a break."""
    kept = {name: task[name] for name in ("_id", "userId")}
    kind = "break" if number % 5 == 0 else "focus"
    return {**kept, "type": kind, "durationSec": 60 + 61 * number % 3_600, "endedAt": task["completedAt"]}


def _shaped(task: Document, case: Case) -> Document:
    for name in AT:
        if name in task:
            task[name] = data.END - case.stretch * (data.END - task[name])
    if case.padding:
        task["notes"] = (NOTES * (case.padding // len(NOTES) + 1))[: case.padding]
    if case.rule == "texts" and "completedAt" in task:
        task["completedAt"] = f"{task['completedAt']:%Y-%m-%dT%H:%M:%S}Z"
    return task
