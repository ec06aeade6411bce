"""The generated app: users and their tasks over a year and a half, and a day on which some of the tasks change.

Equal sizes give equal documents. A few people do much of the work, but nearly everybody is active in many weeks, which
is the hard case for the roll-up: two entries for every three events.

How alike the tasks are is one of KINDS: all of one layout; three layouts mixed, with 1 % of odd tasks, half of which
cannot be scored; or no two with the same fields.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from typing import Any

import numpy as np
from bson import ObjectId
from pymongo.database import Database

from lbmigrate.demodata import THINGS, VERBS
from lbmigrate.records import Document

KINDS = ("alike", "layouts", "shapeless")
VERSION = 1  # raised when other documents are generated: kept ones of an older version are made again
MARK = "generated"
START, DAYS = dt.datetime(2024, 1, 1), 548
END = START + dt.timedelta(days=DAYS)
TASKS_PER_USER = 70
SHARE_DONE = 0.7
BLOCK = 10_000
PRIORITIES = ("low", "medium", "high")
OPEN = ("todo", "in_progress")
WHY = ("before the review on Monday", "with the people from support", "and tell the team", "as agreed last week")


def load(database: Database[Any], docs: int, kind: str = "alike") -> bool:
    """Fill the database, unless it holds these very documents already; tells whether it had to."""
    if database[MARK].find_one({"_id": docs, "version": VERSION}):
        return False
    database.client.drop_database(database.name)
    rng = np.random.default_rng(docs)
    people = [object_id(START, number, b"user-") for number in range(max(1, docs // TASKS_PER_USER))]
    database["users"].insert_many(map(user, range(len(people)), people), ordered=False)
    made = map(MADE[kind], tasks(rng, people, docs), count())
    while block := list(islice(made, BLOCK)):
        database["tasks"].insert_many(block, ordered=False)
    for key in ("updatedAt", "userId"):
        database["tasks"].create_index(key)
    _mark(database, docs)
    return True


def _mark(database: Database[Any], docs: int) -> None:
    database[MARK].insert_one({"_id": docs, "version": VERSION})


def object_id(at: dt.datetime, number: int, machine: bytes) -> ObjectId:
    return ObjectId(int(at.replace(tzinfo=dt.UTC).timestamp()).to_bytes(4, "big") + machine + number.to_bytes(3, "big"))


def user(number: int, key: ObjectId) -> Document:
    return {
        "_id": key,
        "displayName": f"Member {number:06d}",
        "email": f"member{number}@app.example",
        "avatarUrl": f"https://avatars.example/{number}.png",
        "settings": {"leaderboardOptOut": number % 50 == 0},
    }


def tasks(
    rng: np.random.Generator, people: list[ObjectId], docs: int, share_done: float = SHARE_DONE
) -> Iterator[Document]:
    """In the order of their creation, which is the order of their ids."""
    reach = np.cumsum(rng.lognormal(0, 0.8, len(people)))
    titles = [f"{verb} the {thing} {why}" for verb in VERBS for thing in THINGS for why in WHY]
    span = DAYS * 86_400_000
    for first in range(0, docs, BLOCK):
        size = min(BLOCK, docs - first)
        created = ((first + np.arange(size) + rng.random(size)) * span / docs).astype(np.int64)
        took = np.minimum(rng.lognormal(17.5, 1.8, size), (span - created) * rng.random(size)).astype(np.int64)
        columns = zip(
            range(first, first + size),
            (np.datetime64(START, "ms") + created).tolist(),
            (np.datetime64(START, "ms") + created + took).tolist(),
            np.searchsorted(reach, rng.random(size) * reach[-1]).tolist(),
            (rng.random(size) < share_done).tolist(),
            rng.choice(len(titles), size).tolist(),
            strict=True,
        )
        for number, at, later, owner, done, title in columns:
            yield _task(number, at, later, people[owner], done, titles[title])


def _task(number: int, created: dt.datetime, updated: dt.datetime, owner: ObjectId, done: bool, title: str) -> Document:
    task = {
        "_id": object_id(created, number, b"task-"),
        "userId": owner,
        "title": title,
        "status": "done" if done else OPEN[number % 2],
        "priority": PRIORITIES[number % 3],
        "createdAt": created,
        "updatedAt": updated,
    }
    return {**task, "completedAt": updated} if done else task


def _alike(task: Document, _: int) -> Document:
    return task


def _in_layouts(task: Document, number: int) -> Document:
    """An app of three versions: one had no priorities, one had them as numbers, behind the user."""
    if number % 100 == 50:
        return task | ({"userId": None} if number % 200 == 50 else {"completedAt": task["updatedAt"].isoformat()})
    if number % 3 == 0:
        return {name: value for name, value in task.items() if name != "priority"}
    return task if number % 3 == 1 else {**task, "priority": number % 4}


def _shapeless(task: Document, number: int) -> Document:
    """What an event has a copy of has other names and other lengths in each task."""
    return {**task, "priority": {f"set by {number}": "high" * (number % 7), f"{number % 5}": number}}


MADE: dict[str, Callable[[Document, int], Document]] = dict(zip(KINDS, (_alike, _in_layouts, _shapeless), strict=True))


@contextmanager
def changed(database: Database[Any], docs: int, changes: int = 1_000) -> Iterator[None]:
    """For the block: half of `changes` are new finished tasks, the others open tasks that are finished now."""
    tasks = database["tasks"]
    half = changes // 2
    before = list(tasks.find({"status": {"$in": OPEN}}).sort("_id", -1).limit(half))
    moments = [END + dt.timedelta(seconds=second) for second in range(changes)]
    owners = [row["_id"] for row in database["users"].find({}, {"_id": 1}).limit(half)]
    new = [_task(n, at, at, owners[n % len(owners)], True, "Say thanks") for n, at in enumerate(moments[half:])]
    database[MARK].delete_one({"_id": docs})  # interrupted in here, the data are not what they were
    tasks.insert_many(new)
    for task, at in zip(before, moments, strict=False):
        tasks.update_one({"_id": task["_id"]}, {"$set": {"status": "done", "completedAt": at, "updatedAt": at}})
    yield
    tasks.delete_many({"_id": {"$in": [task["_id"] for task in new]}})
    for task in before:
        tasks.replace_one({"_id": task["_id"]}, task)
    _mark(database, docs)
