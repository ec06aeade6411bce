"""A worker of another host as a row of the state: what a run hands to it, what it hands back, its last sign of life.

The row is written by both, each its own fields: by the run `task` and `answer`, by the worker all others. Each carries
a number, so that nobody takes an old one for a new one. Whoever is silent for SILENT seconds by the server's clock is
given up and its row removed. A worker that cannot sign for TRUSTED seconds, by its own clock, which goes on while it
sleeps, writes nothing more before that: so a task that was given to another is not finished late.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from lbmigrate.errors import LeaseLost
from lbmigrate.mongo.client import retrying, server_time
from lbmigrate.records import Document
from lbmigrate.state.conditions import of
from lbmigrate.state.fenced import LAYOUT
from lbmigrate.state.holder import Holder
from lbmigrate.state.lease import LOCK, is_held
from lbmigrate.state.rows import State
from lbmigrate.state.shapes import LETTERS

WORKER = "worker"
SILENT, TRUSTED, SIGN = 15.0, 10.0, 2.0  # seconds


class Mailbox:
    """The row of one worker, as that worker sees it."""

    def __init__(self, state: State, run: str, holder: Holder, by: str = "") -> None:
        self._rows, self.run, self._holder, self._by = state.rows, run, holder, by
        self.row = f"{WORKER}:{run}:{holder.host[:60]}:{holder.pid}:{time.monotonic_ns()}"
        self._trusted = 0.0
        self.is_gone = False

    def open(self) -> None:
        """Offer to work. The run that is meant sees it within a second of its next task."""
        who = {"run": self.run, "holder": asdict(self._holder), "by": self._by}
        begun = {"kind": WORKER, "layout": LAYOUT, "fence": 0, "tasks": 0, "documents": 0, "seconds": 0.0}
        began = time.monotonic()
        change = {"$set": {**who, **begun}, "$currentDate": {"at": True, "startedAt": True}}
        retrying(lambda: self._rows.update_one({"_id": self.row}, change, upsert=True))
        self._trusted = began + TRUSTED

    def sign(self) -> None:
        """Give a sign of life; where the run has given this worker up, it is gone for good."""
        began = time.monotonic()
        if self._rows.update_one({"_id": self.row}, {"$currentDate": {"at": True}}).matched_count:
            self._trusted = began + TRUSTED
        else:
            self.is_gone = True

    @property
    def is_trusted(self) -> bool:
        """Whether it has signed lately: if its row is gone nevertheless, the run has sent it home, not given it up."""
        return time.monotonic() < self._trusted

    def check(self) -> None:
        """Raise LeaseLost unless the run surely still counts on this worker. Costs no round trip."""
        if self.is_gone or not self.is_trusted:
            raise LeaseLost(
                "this worker was not heard of for too long: its task is another's by now", "lbmigrate worker"
            )

    def look(self) -> tuple[Document, Document]:
        """The lock, and this worker's row; each empty where there is none."""
        asked = {"_id": {"$in": [LOCK, self.row]}}
        found = {row["_id"]: row for row in retrying(lambda: list(self._rows.find(asked)))}
        return found.get(LOCK, {}), found.get(self.row, {})

    def goes_on(self, lock: Document) -> bool:
        """Whether the run that this worker has joined goes on, by its lock."""
        return lock.get("run") == self.run and is_held(lock, server_time(self._rows.database))

    def hand_back(self, number: int, body: bytes, documents: int, seconds: float) -> None:
        """What came of a task."""
        more = {"tasks": 1, "documents": documents, "seconds": seconds}
        change = {"$set": {"done": {"n": number, "body": body}}, "$inc": more, "$currentDate": {"at": True}}
        retrying(lambda: self._rows.update_one({"_id": self.row, "done.n": {"$ne": number}}, change))

    def count(self, documents: int, seconds: float) -> None:
        """Note that a task is done, whose result takes another way."""
        more = {"tasks": 1, "documents": documents, "seconds": seconds}
        change = {"$inc": more, "$currentDate": {"at": True}}
        retrying(lambda: self._rows.update_one({"_id": self.row}, change), attempts=1)

    def ask(self, number: int, turn: int, body: bytes) -> None:
        """Ask the run something in the middle of a task."""
        change = {"$set": {"ask": {"n": number, "m": turn, "body": body}}, "$currentDate": {"at": True}}
        retrying(lambda: self._rows.update_one({"_id": self.row}, change))

    def close(self) -> None:
        """Leave."""
        retrying(lambda: self._rows.delete_one({"_id": self.row}), attempts=2)


class Post:
    """The rows of all workers, as the run sees them."""

    def __init__(self, state: State, run: str) -> None:
        self._rows, self._run = state.rows, run

    def workers(self) -> Iterator[str]:
        """Who may be handed a task. Rows of those who are gone, or who worked for another run, are removed."""
        found = retrying(lambda: list(self._rows.find(of(WORKER), dict.fromkeys(LETTERS, 0))))
        now = server_time(self._rows.database) if found else dt.datetime.min
        gone = [row["_id"] for row in found if row.get("run") != self._run or is_silent(row, now)]
        if gone:
            retrying(lambda: self._rows.delete_many({"_id": {"$in": gone}}))
        return (row["_id"] for row in found if row["_id"] not in gone and not row.get("by"))

    def hand(self, row: str, number: int, body: bytes) -> bool:
        """Hand a task to a worker; False where it is gone."""
        change = {"$set": {"task": {"n": number, "body": body}}}
        return bool(retrying(lambda: self._rows.update_one({"_id": row}, change)).matched_count)

    def answer(self, row: str, number: int, turn: int, body: bytes) -> None:
        """Answer what a worker has asked."""
        change = {"$set": {"answer": {"n": number, "m": turn, "body": body}}}
        retrying(lambda: self._rows.update_one({"_id": row}, change))

    def letters(self, row: str) -> Document:
        """What a worker has written; empty where it is gone."""
        shown = dict.fromkeys(("task", "answer"), 0)
        return retrying(lambda: self._rows.find_one({"_id": row}, shown)) or {}

    def asking(self, number: int) -> list[Document]:
        """The rows of those who ask, or have asked, something about a task: one after another, where one was lost."""
        asked = {**of(WORKER), "run": self._run, "ask.n": number}
        return retrying(lambda: list(self._rows.find(asked, {"ask": 1})))

    def is_lost(self, row: Document) -> bool:
        """Whether a worker is surely gone, or was not heard of for too long."""
        return is_silent(row, server_time(self._rows.database))

    def remove(self, row: str) -> None:
        """Give a worker up: what it does from now on counts for nothing."""
        retrying(lambda: self._rows.delete_one({"_id": row}))

    def close(self) -> None:
        """Send everybody home."""
        retrying(lambda: self._rows.delete_many({**of(WORKER), "run": self._run}), attempts=2)


def is_silent(row: Document, now: dt.datetime) -> bool:
    """Whether a worker by its row is gone, or was not heard of for too long."""
    holder = Holder.of(row)
    at: Any = row.get("at")
    quiet = not isinstance(at, dt.datetime) or now - at > dt.timedelta(seconds=SILENT)
    return quiet or bool(holder and holder.is_dead())


def present(state: State, now: dt.datetime) -> list[Document]:
    """The workers that are there, with how much each has done and when it was heard of."""
    rows = retrying(partial(_found, state))
    return [row for row in rows if not is_silent(row, now)]


def _found(state: State) -> list[Document]:
    return list(state.rows.find(of(WORKER), dict.fromkeys(LETTERS, 0)))
