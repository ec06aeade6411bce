"""One process of an app that goes on while it is migrated.

It writes tasks and sessions, takes some back, and records what it does and what others did, again and again.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import MongoClient

from lbmigrate import ScoreRecorder, load_config
from tests.apps import NEW_YEAR, oid

USERS = 40


class Racer:
    """Does one thing after another, each drawn by lot."""

    def __init__(self, database: Any, recorder: ScoreRecorder, rng: random.Random) -> None:
        self.tasks, self.sessions, self.recorder, self.rng = database["tasks"], database["sessions"], recorder, rng
        self.done: Counter[str] = Counter()

    def step(self) -> None:
        acts: list[Callable[[], Any]] = [self.add, self.finish, self.repeat, self.sit, self.forget_to_record, self.undo]
        act = self.rng.choice(acts)
        self.done[act.__name__] += 1
        self.done["new"] += bool(act())

    def moment(self) -> dt.datetime:
        return NEW_YEAR + dt.timedelta(minutes=self.rng.randrange(500_000))

    def somebody(self) -> ObjectId:
        return oid(1 + self.rng.randrange(USERS))

    def some_task(self, **condition: Any) -> Any:
        """One of those there were from the start: others reach for the same ones."""
        key = oid(1000 + self.rng.randrange(self.tasks.estimated_document_count()))
        return self.tasks.find_one({"_id": {"$gte": key}, **condition})

    def add(self) -> bool:
        return self.record(self.new_task())

    def new_task(self) -> Any:
        at = self.moment()
        task = {"_id": ObjectId(), "userId": self.somebody(), "status": "done", "completedAt": at, "updatedAt": now()}
        self.tasks.insert_one(task)
        return task

    def record(self, task: Any) -> bool:
        return self.recorder.record("task_complete", task["userId"], task["_id"], at=task["completedAt"])

    def finish(self) -> bool:
        task = self.some_task(status="todo")
        if task is None:
            return False
        change = {"status": "done", "completedAt": self.moment(), "updatedAt": now()}
        self.tasks.update_one({"_id": task["_id"], "status": "todo"}, {"$set": change})
        return self.recorder.record_source("tasks", task["_id"])

    def repeat(self) -> bool:
        task = self.some_task(status="done")
        if task is None:
            return False
        return self.record(task) if self.rng.random() < 0.5 else self.recorder.record_source("tasks", task)

    def sit(self) -> bool:
        session = {"_id": ObjectId(), "userId": self.somebody(), "type": "focus", "endedAt": self.moment()}
        self.sessions.insert_one(session | {"durationSec": self.rng.randrange(9_000), "updatedAt": now()})
        return self.recorder.record_source("sessions", session["_id"])

    def forget_to_record(self) -> bool:
        self.new_task()
        return False

    def undo(self) -> bool:
        if self.rng.random() < 0.3 and (task := self.some_task(status="done")):
            change = {"$set": {"status": "todo", "updatedAt": now()}, "$unset": {"completedAt": 1}}
            self.tasks.update_one({"_id": task["_id"], "status": "done"}, change)
        return False


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def run(uri: str, config: Path, name: str, number: int, seconds: float, line: Connection) -> None:
    """What a process does: get ready, wait for a word, race, and send back what was done."""
    with MongoClient(uri) as client:
        settings = load_config(config, environ={"MONGODB_URI": uri})
        # A clock in a hurry: the flag takes effect within half a second.
        recorder = ScoreRecorder(client[name], settings, budget=60, monotonic=lambda: 10 * time.monotonic())
        racer = Racer(client[name], recorder, random.Random(number))
        line.send("ready")
        line.recv()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            racer.step()
    line.send({**racer.done, "failures": recorder.failures})
