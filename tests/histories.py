"""Random histories of an app, and what its documents are worth after them: told from the documents alone.

An app finishes tasks and elements of lists, undoes and redoes them, deletes them softly or hard, rates them otherwise,
gives them to another user or another time; its users take other names, leave the board, come back, and move to other
zones. Those who follow may be killed in the middle of anything.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from pymongo import IndexModel
from pymongo.database import Database

from lbmigrate import Board
from lbmigrate.migration.steps import STEPS
from tests import oracle
from tests.apps import NEW_YEAR, TASKS, USERS, App, config, oid, task, user

WEIGHED = {**TASKS, "let": {"weight": {"path": "weight", "missing": 1}}, "points": "weight * 10", "meta": {}}
LISTS = {
    "name": "lists", "collection": "lists", "action": "item_done", "unwind": "items", "where": {"items.done": True},
    "user": "userId", "at": "items.at", "updated": "updatedAt", "points": 5,
}  # fmt: skip
FOLLOWED = {**USERS, "updated": "updatedAt", "timezone": "zone"}
ZONES = (None, "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia")
OWNERS = (1, 2, 3)
LATER = NEW_YEAR + dt.timedelta(days=400)  # than everything that an app begins with
Place = tuple[Any, dt.datetime]  # user and time


def migrated(
    database: Database[Any], tasks: list[Any], lists: list[Any], rules: Any = WEIGHED, is_indexed: bool = True
) -> App:
    """Three users and these documents, migrated by a configuration that reads what changed within an hour again."""
    database["users"].insert_many([user(number, updatedAt=NEW_YEAR) for number in OWNERS])
    for name, documents in (("tasks", tasks), ("lists", lists), ("users", [])):
        if name not in database.list_collection_names():
            database.create_collection(name)
        if is_indexed:
            database[name].create_indexes([IndexModel("updatedAt"), IndexModel("completedAt")])
        if documents:
            database[name].insert_many(documents)
    first = {"order": ["score", "earliest"]}
    made = App(database, config(rules, LISTS, backfill={"lag": "1h"}, users=FOLLOWED, ranking=first))
    made.apply(STEPS[:5])
    return made


def usual(database: Database[Any]) -> App:
    """Three users with four tasks each, and an empty list, migrated."""
    first = {"_id": oid(0), "userId": oid(1), "updatedAt": NEW_YEAR, "items": []}
    return migrated(database, [task(number, owner=1 + number % 3) for number in range(12)], [first])


# --- what is to come out -----------------------------------------------------------------------------------------


def actions(database: Database[Any]) -> oracle.Expected:
    """What the app's documents are worth, by what each is: the user, the points, and when."""
    found: oracle.Expected = {}
    for each in database["tasks"].find({"status": "done", "userId": {"$ne": None}}):
        found[f"task {each['_id']}"] = (each["userId"], 10 * each.get("weight", 1), each["completedAt"])
    for each in database["lists"].find():
        for item in each["items"]:
            if item["done"]:
                found[f"item {each['_id']} {item['_id']}"] = (each["userId"], 5, item["at"])
    return found


def worth(database: Database[Any]) -> dict[Place, int]:
    """The points of each user and time."""
    found = Counter[Place]()
    for who, points, at in actions(database).values():
        found[who, at] += points
    return dict(found)


def recorded(database: Database[Any]) -> dict[Place, int]:
    """The same as the ledger has it; times at which nothing is left are left out."""
    found = Counter[Place]()
    for event in database["score_events"].find():
        found[event["userId"], event["createdAt"]] += event["points"]
    return {place: points for place, points in found.items() if points}


def board(database: Database[Any]) -> oracle.Periods:
    """The score and streak of every user and period, by the days of each user's own zone."""
    zones = {row["_id"]: ZoneInfo(row.get("zone") or "UTC") for row in database["users"].find()}
    local: oracle.Expected = {}
    for name, (who, points, at) in actions(database).items():
        local[name] = (who, points, at.replace(tzinfo=dt.UTC).astimezone(zones[who]).replace(tzinfo=None))
    return oracle.board(local)


def reached(database: Database[Any]) -> dict[Any, dt.datetime]:
    """The newest time at which each user has points, which all of them are: since then the score is what it is."""
    found: dict[Any, dt.datetime] = {}
    for who, at in worth(database):
        found[who] = max(at, found.get(who, at))
    return found


def assert_right(app: App, not_back: Collection[Any] = ()) -> None:
    """Ledger, entries and board are what the documents are worth; users who want to be hidden are.

    Who was hidden and is `not_back` is seen with the next backfill.
    """
    assert recorded(app.database) == worth(app.database)
    scores = board(app.database)
    assert oracle.shown(app.database) == scores
    seen = {row["_id"] for row in app.database["users"].find({"hidden": {"$ne": True}})} - set(not_back)
    places = [place for place in Board(app.database, app.config).top(n=50) if place.score]
    top = {place.original: place.score for place in places}
    assert top == {who: score for (period, who), (score, _) in scores.items() if period == "global" and who in seen}
    since = reached(app.database)
    assert {place.original: place.reached for place in places} == {who: since[who] for who in top}
    first = sorted(sorted(top, reverse=True), key=lambda who: (-top[who], since[who]))
    assert [place.original for place in places] == first


def assert_named(app: App) -> None:
    """Entries show what the users' documents say now."""
    people = {row["_id"]: (row["name"], row.get("hidden", False)) for row in app.database["users"].find()}
    shown = {(e["userId"], e["displayNameSnapshot"], e["optOutSnapshot"]) for e in app.entries().values()}
    assert shown == {(who, *people[who]) for who, _, _ in shown}


# --- what happens ------------------------------------------------------------------------------------------------


class History:
    """What one app does, by chance: with `deletes` documents go without a trace, with `moves` users to other zones."""

    def __init__(self, app: App, seed: int, *, deletes: bool, moves: bool) -> None:
        self.app, self.rng, self._deletes, self._moves = app, random.Random(seed), deletes, moves
        self._acts = 0

    def acts(self, most: int = 6) -> None:
        for _ in range(self.rng.randrange(1, most)):
            self._acts += 1
            self.rng.choices([self._task, self._list, self._person, self._gone], [12, 5, 2, 3 * self._deletes])[0]()

    @property
    def _now(self) -> dt.datetime:
        return LATER + dt.timedelta(minutes=30) * self._acts

    def _when(self) -> dt.datetime:
        return NEW_YEAR + dt.timedelta(hours=self.rng.randrange(200))

    def _owner(self) -> Any:
        return oid(self.rng.choice(OWNERS))

    def _task(self) -> None:
        given = task(self.rng.randrange(12), owner=self.rng.choice(OWNERS))
        changes: list[Any] = [
            {"status": "todo"}, {"status": "done"}, {"deleted": True, "status": "gone"}, {"completedAt": self._when()},
            {"weight": self.rng.randrange(1, 4)}, {"userId": self._owner()},
        ]  # fmt: skip
        fields = self.rng.choice(changes)
        fresh = {name: value for name, value in given.items() if name not in {"_id", "updatedAt", *fields}}
        update = {"$set": {"updatedAt": self._now, **fields}, "$setOnInsert": fresh}
        self.app.database["tasks"].update_one({"_id": given["_id"]}, update, upsert=True)

    def _list(self) -> None:
        items = [self._item(number) for number in self.rng.sample(range(5), self.rng.randrange(5))]
        fields = {"userId": self._owner(), "items": items, "updatedAt": self._now}
        self.app.database["lists"].update_one({"_id": oid(self.rng.randrange(3))}, {"$set": fields}, upsert=True)

    def _item(self, number: int) -> Any:
        return {"_id": number, "done": self.rng.random() < 0.7, "at": self._when()}

    def _person(self) -> None:
        fields = self.rng.choice(
            [{"hidden": True}, {"hidden": False}, {"name": f"Name {self._acts}"}]
            + [{"zone": zone} for zone in ZONES if self._moves]
        )
        self.app.database["users"].update_one({"_id": self._owner()}, {"$set": {"updatedAt": self._now, **fields}})

    def _gone(self) -> None:
        name, number = self.rng.choice([("tasks", 1000 + self.rng.randrange(12)), ("lists", self.rng.randrange(3))])
        self.app.database[name].delete_one({"_id": oid(number)})


# --- those who die -----------------------------------------------------------------------------------------------

MOMENTS = (
    "lbmigrate.ledger.emit.enter",
    "lbmigrate.ledger.enter.insert_new",
    "lbmigrate.ledger.settle.insert_each",
    "lbmigrate.ledger.changes.insert_entries",
    "lbmigrate.ledger.changes.change_entries",
    "lbmigrate.ledger.rollup.roll_up",
)


class Killed(BaseException):
    """Nobody catches it: what was done until then is done, and nothing after."""


@contextmanager
def killed(rng: random.Random) -> Iterator[None]:
    """Within the block the process dies before or after one of the next writes, if it comes to so many."""
    target, left, before = rng.choice(MOMENTS), rng.randrange(3), rng.random() < 0.5
    module, _, name = target.rpartition(".")
    real: Callable[..., Any] = getattr(__import__(module, fromlist=[name]), name)

    def dying(*given: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0 and before:
            raise Killed
        done = real(*given, **named)
        if left < 0:
            raise Killed
        return done

    with suppress(Killed), patch(target, dying):
        yield
