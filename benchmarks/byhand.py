"""What one would write without the product: pipelines that end in $merge, bulk upserts, and the plain loop.

All three compute less than ours: no streak, no copies of the user's name, avatar and opt-out, no bookkeeping from which
to resume. Their events, scores, counts and times are the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from bson import Int64
from pymongo import UpdateOne
from pymongo.collection import Collection

from benchmarks.stage import ACTION, DONE, POINTS, Figures, Stage, Work, opened, set_up
from lbmigrate.records import Document
from lbmigrate.schema import ENTRIES, EVENTS

BATCH = 1_000

# --- pipelines ---------------------------------------------------------------------------------------------------

TO_EVENTS: list[Document] = [
    {"$match": DONE},
    {
        "$project": {
            "_id": {"$concat": [f"{ACTION}:", {"$toString": "$_id"}]},
            "userId": 1,
            "actionType": ACTION,
            "points": {"$toLong": {"$literal": POINTS}},
            "sourceId": "$_id",
            "meta": {"priority": "$priority", "origin": "backfill"},
            "createdAt": "$completedAt",
        }
    },
    {"$merge": {"into": EVENTS, "on": "_id", "whenMatched": "keepExisting", "whenNotMatched": "insert"}},
]
WEEK = {"$dateToString": {"format": "%G-W%V", "date": "$createdAt"}}


def _to_entries(period: Any) -> list[Document]:
    sums = {"score": {"$sum": "$points"}, "events": {"$sum": Int64(1)}, "lastEventAt": {"$max": "$createdAt"}}
    entry = {
        "_id": {"$concat": ["$_id.period", ":", {"$toString": "$_id.userId"}]},
        "userId": "$_id.userId",
        "period": "$_id.period",
        **dict.fromkeys(sums, 1),
        "rev": {"$toLong": {"$literal": 1}},
        **dict.fromkeys(("lastUpdated", "createdAt", "updatedAt"), "$$NOW"),
    }
    return [
        {"$group": {"_id": {"userId": "$userId", "period": period}, **sums}},
        {"$project": entry},
        {"$merge": {"into": ENTRIES, "on": "_id", "whenMatched": "replace", "whenNotMatched": "insert"}},
    ]


@contextmanager
def merge(stage: Stage) -> Iterator[Work]:
    """$match, $project, $merge; then $group and $merge for weeks and for all time. All of it on the server."""
    with opened(stage) as database:
        set_up(database)

        def work() -> Figures:
            database["tasks"].aggregate(TO_EVENTS)
            for period in (WEEK, {"$literal": "global"}):
                database[EVENTS].aggregate(_to_entries(period), allowDiskUse=True)
            return {}

        yield work


# --- documents, one by one ---------------------------------------------------------------------------------------


def _events(tasks: Collection[Any], limit: int = 0) -> Iterator[Document]:
    projection = {"userId": 1, "priority": 1, "completedAt": 1}
    for task in tasks.find(DONE, projection).hint([("_id", 1)]).limit(limit):
        yield {
            "_id": f"{ACTION}:{task['_id']}",
            "userId": task["userId"],
            "actionType": ACTION,
            "points": Int64(POINTS),
            "sourceId": task["_id"],
            "meta": {"priority": task["priority"], "origin": "backfill"},
            "createdAt": task["completedAt"],
        }


def _periods(at: dt.datetime) -> tuple[str, str]:
    year, week, _ = at.isocalendar()
    return "global", f"{year}-W{week:02d}"


def _add(entries: dict[str, Document], event: Document) -> None:
    for period in _periods(event["createdAt"]):
        entry = entries.setdefault(
            f"{period}:{event['userId']}",
            {"userId": event["userId"], "period": period, "score": 0, "events": 0, "lastEventAt": event["createdAt"]},
        )
        entry["score"] += event["points"]
        entry["events"] += 1
        entry["lastEventAt"] = max(entry["lastEventAt"], event["createdAt"])


def _upsert(collection: Collection[Any], documents: Iterable[Document], operator: str) -> None:
    updates = (UpdateOne({"_id": each.pop("_id")}, {operator: each}, upsert=True) for each in documents)
    while some := list(islice(updates, BATCH)):
        collection.bulk_write(some, ordered=False)


@contextmanager
def upserts(stage: Stage) -> Iterator[Work]:
    """One thread: events by $setOnInsert in batches of 1,000, sums in a dict, entries by $set likewise."""
    with opened(stage) as database:
        set_up(database)

        def work() -> Figures:
            entries: dict[str, Document] = {}
            _upsert(database[EVENTS], _added(_events(database["tasks"]), entries), "$setOnInsert")
            _upsert(database[ENTRIES], _finished(entries), "$set")
            return {}

        yield work


def _added(events: Iterable[Document], entries: dict[str, Document]) -> Iterator[Document]:
    for event in events:
        _add(entries, event)
        yield event


def _finished(entries: dict[str, Document]) -> Iterator[Document]:
    now = dt.datetime.now(dt.UTC)
    stamps = {"rev": Int64(1), "lastUpdated": now, "createdAt": now, "updatedAt": now}
    for key, entry in entries.items():
        whole = {"score": Int64(entry["score"]), "events": Int64(entry["events"])}
        yield {"_id": key, **entry, **whole, **stamps}


@contextmanager
def loop(stage: Stage) -> Iterator[Work]:
    """One thread, one document at a time, on the first `stage.slice` documents: insert the event, $inc the entries."""
    with opened(stage) as database:
        set_up(database)

        def work() -> Figures:
            count = 0
            for event in _events(database["tasks"], stage.slice):
                database[EVENTS].insert_one(event)
                for period in _periods(event["createdAt"]):
                    database[ENTRIES].update_one({"_id": f"{period}:{event['userId']}"}, _inc(event, period), True)
                count += 1
            return {"emitted": count}

        yield work


def _inc(event: Document, period: str) -> Document:
    return {
        "$inc": {"score": event["points"], "events": Int64(1), "rev": Int64(1)},
        "$max": {"lastEventAt": event["createdAt"]},
        "$currentDate": {"lastUpdated": True, "updatedAt": True},
        "$setOnInsert": {"userId": event["userId"], "period": period},
    }
