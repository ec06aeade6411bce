"""A made-up history of a productivity app: users, tasks and focus sessions, for `lbmigrate demo` and for tests.

It behaves like a real one where that matters to a leaderboard: a few people do most of the work, they do it by day and
in spells of consecutive days, newcomers keep arriving, some leave, and some rows are not as they should be. Equal
arguments give equal documents. Names are put together from syllables; nobody is meant.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from bson import ObjectId

from lbmigrate.records import Document

DAYS = 548  # a year and a half
DELETED = 0.03  # deleted users for each one that is left; their tasks and sessions stayed
DONE = 0.7  # of all tasks
WEEKEND = 0.55  # how busy a Saturday is, against a Tuesday
EPOCH = dt.datetime(1970, 1, 1)

BEGINNINGS = "Al Bren Cal Dor El Fen Gal Hal Is Jor Kel Lor Mar Nel Or Pel Quil Ros Sel Tam Ul Ver Wil Yor Zel".split()
ENDINGS = "a ara den dis eth ian ika ira lan lia lin mir mon na nor ric rin sa va vin wen wyn".split()
VERBS = "Check Discuss Draft Finish Fix Plan Prepare Review Send Test Tidy Update Write".split()
THINGS = (
    "backlog|budget|contract|garden|invoice|lecture|login page|release notes|report|slides|summary|timetable".split("|")
)
HOURS, HOURS_ODDS = (7.5, 9.5, 10.5, 14.0, 15.5, 20.5, 22.5), (1, 4, 5, 4, 4, 3, 1)
PRIORITIES, PRIORITY_ODDS = ("low", "medium", "high"), (3, 5, 2)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the app: since when, how much, around which hour (UTC)."""

    id: ObjectId
    joined: dt.datetime
    appetite: float
    hour: float


Rota = list[list[Person]]  # who is active, for each of the days


def generate(
    users: int, tasks: int, sessions: int, *, end: dt.datetime, seed: int = 7
) -> dict[str, Iterator[Document]]:
    """The collections of the app by name, with as many documents as asked for (`users` at least 1), made while read.

    The history covers the DAYS before the last midnight up to `end` (naive UTC). Tasks come in the order in which they
    were done or else created, sessions in the order in which they ended.
    """
    if users < 1:
        raise ValueError("a history needs at least one user")
    stop = end.replace(hour=0, minute=0, second=0, microsecond=0)
    start = stop - dt.timedelta(DAYS)
    people, rota = _people(Random(f"{seed} people"), users + round(users * DELETED), start)
    return {
        "users": _users(Random(f"{seed} users"), people[:users]),
        "tasks": _tasks(Random(f"{seed} tasks"), rota, tasks, start),
        "sessions": _sessions(Random(f"{seed} sessions"), rota, sessions, start),
    }


def _people(rng: Random, count: int, start: dt.datetime) -> tuple[list[Person], Rota]:
    people: list[Person] = []
    rota: Rota = [[] for _ in range(DAYS)]
    for _ in range(count):
        first = int(DAYS * rng.uniform(-0.2, 1))  # a sixth were there before the history begins
        joined = start + dt.timedelta(days=first, seconds=-rng.randrange(2 * 3600, 12 * 3600))
        zeal = rng.betavariate(1.2, 3)
        appetite = (0.2 + zeal) * min(20.0, rng.paretovariate(1.3))
        person = Person(_object_id(rng, joined), joined, appetite, rng.choices(HOURS, HOURS_ODDS)[0])
        people.append(person)
        for day in _active_days(rng, max(0, first), zeal):
            rota[day].append(person)
    return people, rota


def _active_days(rng: Random, first: int, zeal: float) -> Iterator[int]:
    """Spells of consecutive days with gaps between them, until the person loses interest."""
    day, last = first, first + rng.expovariate(1 / (60 + 900 * zeal))
    while day <= last and day < DAYS:
        spell = 1 + int(rng.expovariate(1 / (0.5 + 14 * zeal)))
        yield from range(day, min(day + spell, DAYS))
        day += spell + 1 + int(rng.expovariate(1 / (12 - 10 * zeal)))


def _moments(rng: Random, rota: Rota, count: int, start: dt.datetime) -> Iterator[tuple[Person, dt.datetime]]:
    """`count` actions in the order of time: each day has its share, and on it everybody by appetite."""
    days = [start + dt.timedelta(day) for day in range(DAYS)]
    loads = [sum(person.appetite for person in active) for active in rota]
    busy = [load * (WEEKEND if day.weekday() >= 5 else 1) for day, load in zip(days, loads, strict=True)]
    reached = list(accumulate(busy))
    done = 0
    for day, active, share in zip(days, rota, reached, strict=True):
        due = round(count * share / reached[-1]) - done
        done += due
        if due:
            chosen = rng.choices(active, [person.appetite for person in active], k=due)
            hours = [(rng.gauss(person.hour, 2.5) % 24, person) for person in chosen]
            for hour, person in sorted(hours, key=lambda pair: pair[0]):
                yield person, day + dt.timedelta(milliseconds=int(hour * 3_600_000))


def _users(rng: Random, people: list[Person]) -> Iterator[Document]:
    for number, person in enumerate(people, start=1):
        user: Document = {"_id": person.id, "displayName": f"{_name(rng)} {_name(rng)}"}
        user |= {"createdAt": person.joined, "updatedAt": person.joined}
        if rng.random() < 0.02:
            del user["displayName"]  # signed up and never filled in the profile
        if rng.random() < 0.7:
            user["avatarUrl"] = f"https://avatars.example/{number}.png"
        if rng.random() < 0.3:
            user["settings"] = {"leaderboardOptOut": rng.random() < 0.15}
        yield user


def _tasks(rng: Random, rota: Rota, count: int, start: dt.datetime) -> Iterator[Document]:
    stop = start + dt.timedelta(DAYS)
    for person, at in _moments(rng, rota, count, start):
        done = rng.random() < DONE
        took = dt.timedelta(seconds=int(rng.lognormvariate(9.5, 1.8)))  # four hours, or minutes, or weeks
        created = max(person.joined, at - took) if done else at
        edited = at + dt.timedelta(seconds=int(rng.expovariate(1 / 200_000)))
        task = {
            "_id": _object_id(rng, created),
            "userId": person.id,
            "title": f"{rng.choice(VERBS)} the {rng.choice(THINGS)}",
            "status": "done" if done else rng.choice(("todo", "todo", "doing")),
            "priority": rng.choices(PRIORITIES, PRIORITY_ODDS)[0],
            "createdAt": created,
            "updatedAt": edited if edited < stop and rng.random() < 0.1 else at,
        }
        if done and rng.random() > 0.02:  # an early version of the app did not write completedAt
            task["completedAt"] = at
        yield task


def _sessions(rng: Random, rota: Rota, count: int, start: dt.datetime) -> Iterator[Document]:
    for person, at in _moments(rng, rota, count, start):
        focus = rng.random() < 0.75
        completed = rng.random() < (0.88 if focus else 0.97)
        planned = 60 * rng.choice((15, 25, 25, 25, 45, 50, 90) if focus else (5, 5, 5, 15))
        seconds = planned if completed else rng.randrange(planned)
        started = at - dt.timedelta(seconds=seconds + (rng.randrange(600) if rng.random() < 0.1 else 0))
        session = {
            "_id": _object_id(rng, started),
            "userId": person.id,
            "type": "focus" if focus else "break",
            "completed": completed,
            "startedAt": started,
            "endedAt": at,
            "durationSec": seconds,
            "priority": rng.choices(PRIORITIES, PRIORITY_ODDS)[0],
        }
        if rng.random() < 0.005:
            del session["durationSec"]  # the app was closed before it could be written
        yield session


def _name(rng: Random) -> str:
    return rng.choice(BEGINNINGS) + rng.choice(ENDINGS)


def _object_id(rng: Random, at: dt.datetime) -> ObjectId:
    return ObjectId(int((at - EPOCH).total_seconds()).to_bytes(4, "big") + rng.randbytes(8))
