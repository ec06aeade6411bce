"""Entries into which new events were folded are those that the whole ledger comes to, whatever happened before.

The oracle is the roll-up that reads everything: it must find nothing to write.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

import pytest
from bson import Int64
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lbmigrate import ScoreRecorder
from lbmigrate.backfill import noting
from lbmigrate.ledger import changes, emit, fold_by_index, looked_at, rollup
from lbmigrate.ledger.people import People
from lbmigrate.migration.steps import STEPS, s4_backfill
from lbmigrate.mongo import fake
from lbmigrate.rules import ranking
from lbmigrate.run.additions import Additions
from lbmigrate.run.context import Scope
from tests.apps import NEW_YEAR, SESSIONS, TASKS, App, config, oid, pieces, session, task, user

USERS = 3
WEIGHED = {**TASKS, "let": {"weight": {"path": "weight", "missing": 1}}, "points": "weight * 10"}
PERIODS = ["global", "day", "week", "month"]
END = NEW_YEAR + dt.timedelta(days=30)
Happening = Callable[["Story"], None]


class Story:
    """An app, what becomes of it, and by how often its users were found known when they were rolled up."""

    def __init__(self, database: Any, rule: Any = TASKS, **parts: Any) -> None:
        parts = {"periods": PERIODS, "backfill": {"lag": "2d", "chunk_size": 4}, **parts}
        self.database = database
        self.app = App(database, config(rule, SESSIONS, **parts))
        for name in ("tasks", "sessions"):
            database[name].create_index("updatedAt" if name == "tasks" else "endedAt")
        database["users"].insert_many([user(number) for number in range(1, USERS + 1)])
        self.number, self.now = 0, END
        for number in range(12):
            self.finish(1 + number % USERS, days_ago=25 - 2 * number)
        database["sessions"].insert_many([session(number, owner=1 + number % USERS) for number in range(4)])
        self.app.apply(STEPS[:3])
        self.recorder = ScoreRecorder(
            database, self.app.config, strict=True, clock=self.app.clock, monotonic=lambda: 0.0
        )
        self.app.backfill()

    def tick(self) -> dt.datetime:
        self.now += dt.timedelta(minutes=7)
        return self.now

    def finish(self, owner: int, days_ago: float = 0.0, **fields: Any) -> Any:
        """A task that is finished, perhaps some days ago, and told of now."""
        self.number += 1
        at = self.tick()
        done = task(self.number, owner, updatedAt=at) | {"completedAt": at - dt.timedelta(days=days_ago), **fields}
        self.database["tasks"].insert_one(done)
        return done["_id"]

    def any_task(self, chance: random.Random) -> Any:
        return chance.choice([row["_id"] for row in self.database["tasks"].find({}, {"_id": 1})])

    def change(self, name: Any, **fields: Any) -> None:
        self.database["tasks"].update_one({"_id": name}, {"$set": {**fields, "updatedAt": self.tick()}})

    def check(self) -> None:
        """The roll-up that reads the whole ledger finds every entry of everybody right as it is."""
        self.app.backfill()
        before = self.app.entries()
        rolled = rollup.roll_up(self.app.context(scope=Scope(full=True)), {"$in": self.everybody()})
        assert (rolled.written, self.app.entries()) == (0, before)

    def everybody(self) -> list[Any]:
        return [oid(number) for number in range(1, USERS + 1)]


@pytest.fixture
def database():
    with fake.client() as client:
        yield client[f"test_{uuid.uuid4().hex[:8]}"]


@pytest.fixture
def folded(monkeypatch):
    """The users into whose entries events were folded."""
    found: list[Any] = []
    fold = fold_by_index.fold_by_index

    def noted(context: Any, users: Any) -> Any:
        rolled, left = fold(context, users)
        found.extend(each for each in users if each not in left)
        return rolled, left

    monkeypatch.setattr(fold_by_index, "fold_by_index", noted)
    return found


# --- what happens --------------------------------------------------------------------------------------------------


def _events_of_an_app(story: Story, chance: random.Random) -> None:
    """An app writes the event itself, as the runbook has it."""
    name = story.finish(chance.randint(1, USERS))
    done = story.database["tasks"].find_one({"_id": name})
    event = {"_id": f"task_complete:{name}", "userId": done["userId"], "actionType": "task_complete"}
    rest = {"points": Int64(10), "sourceId": name, "meta": {}, "createdAt": done["completedAt"]}
    story.database["score_events"].insert_one({**event, **rest})


def _odd_event(story: Story, chance: random.Random) -> None:
    """Somebody writes what is no event, and what is one that no document tells of."""
    odd = {"userId": oid(chance.randint(1, USERS)), "actionType": "gift", "sourceId": story.number, "meta": {}}
    points = chance.choice([1.5, "10", Int64(3)])
    story.number += 1
    story.database["score_events"].insert_one(
        {"_id": f"gift:{story.number}", **odd, "points": points, "createdAt": story.tick()}
    )


def _killed(story: Story, chance: random.Random) -> None:
    """A backfill that ends after some of its pieces, the last one remembered or not."""
    walk = s4_backfill.apply(story.app.context())
    for piece in islice(walk, chance.randint(1, 12)):
        if piece.checkpoint is not None and chance.random() < 0.9:
            story.app.state.save(piece.checkpoint)
    walk.close()


def _edited(story: Story, chance: random.Random) -> None:
    """Somebody edits an entry, so that it counts or shows something else, and somebody acts."""
    owner = chance.randint(1, USERS)
    wrong = chance.choice(
        [{"events": Int64(1)}, {"rev": "x"}, {"displayNameSnapshot": "X"}, {"streak": 9}, {"score": 5.0}]
    )
    story.database["leaderboard_entries"].update_one({"_id": f"global:{oid(owner)}"}, {"$set": wrong})
    story.finish(owner)


def _renamed(story: Story, chance: random.Random) -> None:
    """Somebody takes another name, and acts: nothing else tells of the name."""
    owner = chance.randint(1, USERS)
    story.database["users"].update_one({"_id": oid(owner)}, {"$set": {"name": chance.choice("ABC")}})
    story.finish(owner)


HAPPENINGS: dict[str, Callable[[Story, random.Random], Any]] = {
    "new": lambda story, chance: story.finish(chance.randint(1, USERS)),
    "newer": lambda story, chance: [story.finish(chance.randint(1, USERS)) for _ in range(6)],
    "late": lambda story, chance: story.finish(chance.randint(1, USERS), days_ago=chance.randint(1, 26)),
    "twice": lambda story, chance: [
        story.finish(1, completedAt=END + dt.timedelta(days=chance.randint(0, 3))) for _ in range(2)
    ],
    "undone": lambda story, chance: story.change(story.any_task(chance), status="todo"),
    "redone": lambda story, chance: story.change(story.any_task(chance), status="done"),
    "rated": lambda story, chance: story.change(story.any_task(chance), weight=chance.randint(0, 3)),
    "given": lambda story, chance: story.change(story.any_task(chance), userId=oid(chance.randint(1, USERS))),
    "moved": lambda story, chance: story.change(story.any_task(chance), completedAt=story.tick()),
    "deleted": lambda story, chance: story.database["tasks"].delete_one({"_id": story.any_task(chance)}),
    "live": lambda story, chance: story.recorder.record_source("tasks", story.finish(chance.randint(1, USERS))),
    "live too": lambda story, chance: story.recorder.record_source("tasks", story.any_task(chance)),
    "app": _events_of_an_app,
    "odd": _odd_event,
    "renamed": _renamed,
    "edited": _edited,
    "killed": _killed,
    "backfill": lambda story, chance: story.app.backfill(),
    "reconcile": lambda story, chance: story.app.reconcile(),
}
OFTEN = ["new", "newer", "late", "backfill", "backfill", "backfill"]
happenings = st.lists(st.sampled_from([*OFTEN, *sorted(HAPPENINGS)]), min_size=4, max_size=14)


class Meddling:
    """Others who act in the middle of what a run does: it calls this at each of its steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, story: Story, chance: random.Random, share: float) -> None:
        self._story, self._chance, self._share, self._busy = story, chance, share, False
        for owner, name in (
            (looked_at, "entries_of"),
            (emit, "enter"),
            (fold_by_index, "_times"),
            (changes.Differences, "write"),
        ):
            monkeypatch.setattr(owner, name, self._before(getattr(owner, name)))

    def _before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def meddled(*given: Any) -> Any:
            self._act()
            return work(*given)

        return meddled

    def _act(self) -> None:
        if self._busy or self._chance.random() > self._share:
            return
        self._busy = True
        try:
            name = self._chance.choice(["live", "live too", "app", "odd", "new"])
            HAPPENINGS[name](self._story, self._chance)
        finally:
            self._busy = False


def audit(monkeypatch: pytest.MonkeyPatch, folded: list[Any]) -> None:
    """Whenever events are folded in, what comes of it is what all that the ledger has at that moment comes to."""

    class Audited(fold_by_index._Found):
        def __init__(self, context: Any, additions: Any, users: Any) -> None:
            super().__init__(context, additions, users)
            kept = [each for each in users if each in self.made]
            folded.extend(kept)
            ledger = rollup.days(context.target, {"$in": kept}, People(context))
            whole = ranking.entries(ledger, PERIODS) if kept else []
            there = {entry["_id"]: entry for entry in context.target["leaderboard_entries"].find()}
            made = {
                f"{entry['period']}:{user}": {"_id": f"{entry['period']}:{user}", "userId": user, **entry}
                for user in kept
                for entry in self.made[user]
            }
            assert made.keys() <= {entry["_id"] for entry in whole}
            for entry in whole:
                now = made.get(entry["_id"]) or there[entry["_id"]]
                assert {name: now.get(name) for name in entry} == entry
                assert "counted" not in entry

    monkeypatch.setattr(fold_by_index, "_Found", Audited)


@settings(max_examples=int(os.environ.get("LBMIGRATE_FOLDED", "5")), phases=[Phase.explicit, Phase.generate])
@given(happenings, st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.3]), st.booleans())
def test_after_any_history_every_entry_is_what_the_whole_ledger_comes_to(names, seed, share, weighed):
    chance = random.Random(seed)
    with fake.client() as client, pytest.MonkeyPatch.context() as patched:
        story = Story(client[f"test_{uuid.uuid4().hex[:8]}"], WEIGHED if weighed else TASKS)
        audit(patched, [])
        Meddling(patched, story, chance, share)
        for name in names:
            with suppress(IndexError):  # no task is left that something could become of
                HAPPENINGS[name](story, chance)
        patched.undo()
        for owner in range(1, USERS + 1):
            story.finish(owner)  # whoever took another name, and whose task was deleted since, is told of by this
        story.check()


# --- what vouches, and what does not -------------------------------------------------------------------------------


def test_new_events_are_folded_into_the_entries_of_their_users_alone(database, folded):
    story = Story(database)
    before = story.app.entries()
    story.finish(1)
    story.finish(2, days_ago=0.5)
    story.app.backfill()
    assert set(folded) == {oid(1), oid(2)}
    changed = {each["userId"] for name, each in story.app.entries().items() if before.get(name) != each}
    assert changed == {oid(1), oid(2)}
    story.check()


def test_the_first_events_of_a_user_are_folded_into_nothing(database, folded):
    story = Story(database)
    database["users"].insert_one(user(7))
    story.finish(7)
    story.finish(7, days_ago=1)
    story.app.backfill()
    assert folded == [oid(7)]
    assert story.app.entries()[f"global:{oid(7)}"]["score"] == 20
    assert rollup.roll_up(story.app.context(scope=Scope(full=True)), {"$in": [oid(7)]}).written == 0


def _adjusted(story: Story) -> None:
    story.change(oid(1001), status="todo")
    story.app.backfill()


def _moved_on(story: Story) -> None:
    """A day becomes active between two that were: later periods have a longer streak."""
    for days in (3, 1):
        story.finish(1, days_ago=days)
    story.app.backfill()
    story.finish(1, days_ago=2)


def _entry(**wrong: Any) -> Callable[[Story], None]:
    def edit(story: Story) -> None:
        story.database["leaderboard_entries"].update_one({"_id": f"global:{oid(1)}"}, {"$set": wrong})

    return edit


DOUBTS: dict[str, Callable[[Story], Any]] = {
    "an adjustment": _adjusted,
    "a day between": _moved_on,
    "a score that cannot be": _entry(score=Int64(-7)),
    "a wrong number": _entry(events=Int64(70)),
    "a number of another type": _entry(events=5),
    "another name": _entry(displayNameSnapshot="X"),
    "an older revision": _entry(rev="x"),
    "the user's new name": lambda story: story.database["users"].update_one(
        {"_id": oid(1)}, {"$set": {"name": "Another"}}
    ),
    "an odd event": lambda story: story.database["score_events"].insert_one(
        {"_id": "x", "userId": oid(1), "points": 1.5, "createdAt": END}
    ),
    "an event of no time": lambda story: story.database["score_events"].insert_one(
        {"_id": "x", "userId": oid(1), "points": Int64(1), "createdAt": "now"}
    ),
    "an event of one moment with another": lambda story: story.finish(1, completedAt=END),
    "a live action": lambda story: story.recorder.record_source("tasks", story.finish(1)),
    "other rules": lambda story: setattr(story.app, "config", config(TASKS, SESSIONS, day_starts="04:00")),
}


@pytest.mark.sampled
@pytest.mark.parametrize("doubt", DOUBTS)
def test_where_something_does_not_vouch_the_whole_ledger_is_read(database, folded, doubt):
    story = Story(database)
    story.finish(1, completedAt=END)
    story.app.backfill()
    folded.clear()
    DOUBTS[doubt](story)
    story.finish(1)
    story.app.backfill()
    assert folded == []
    before = story.app.entries()
    assert rollup.roll_up(story.app.context(scope=Scope(full=True)), {"$in": [oid(1)]}).written == 0
    assert story.app.entries() == before


def test_an_entry_under_the_id_of_another_users_is_not_taken_for_that_users(database):
    story = Story(database)
    entries, before = story.database["leaderboard_entries"], story.app.entries()
    mine, theirs = f"global:{oid(1)}", f"global:{oid(2)}"
    alike = {name: value for name, value in entries.find_one({"_id": mine}).items() if name != "_id"}
    entries.update_one({"_id": theirs}, {"$set": alike})  # somebody has copied what stands in one into the other
    story.finish(1)
    story.finish(2)
    story.app.backfill()
    assert entries.find_one({"_id": mine})["score"] == alike["score"] + 10
    their = entries.find_one({"userId": oid(2), "period": "global"})
    assert their["score"] == before[theirs]["score"] + 10


@pytest.mark.parametrize("saved", [True, False])
def test_a_run_that_takes_over_reads_the_whole_ledger_of_whom_the_other_has_begun_with(database, folded, saved):
    """Killed between the write of the first entry and of the second: nobody knows of what the dead run has added."""
    story = Story(database)
    story.finish(1)
    walk = pieces(s4_backfill, story.app.context())
    for piece in walk:
        if piece.subject == "tasks" and piece.counts is not None:
            break
    if saved:
        next(walk)
    walk.close()
    story.app.backfill()
    assert folded == []
    story.check()


def test_whoever_is_asked_for_by_name_is_read_whole(database, folded):
    story = Story(database)
    story.finish(1)
    story.app.backfill(scope=Scope(user=str(oid(1))))
    assert folded == []
    story.check()


def test_of_more_than_a_run_remembers_the_whole_ledger_is_read(database, folded, monkeypatch):
    monkeypatch.setattr(noting, "Additions", partial(Additions, most=1))
    story = Story(database)
    for owner in (1, 2, 2):
        story.finish(owner)
    story.app.backfill()
    assert folded == []
    story.check()
