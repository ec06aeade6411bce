"""Databases of nine shapes, as real apps have them, each with the configuration that somebody would write by hand.

After `FocusBuddy`, `General Task`, a pomodoro timer that names users by address, embedded to-dos, a Meteor app, an app
of zeros and ones, a board with an activity log, `TaskForge`'s generations, and one whose names say nothing.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

from bson import Int64, ObjectId

from lbmigrate.records import Document

Shape = tuple[dict[str, list[Document]], Document]
SINCE = dt.datetime(2025, 2, 3, 8)
PEOPLE = 24
NAMES = "Ana Bea Carl Dora Emil Finn Gero Hana Ines Jan Kira Leo Mia Nora Otto Pia Quinn Rosa Sam Tara Ugo Vera Wim Zoe"
MINUTES = "minimum(floor(minutes), 120)"


def at(number: int, **later: float) -> dt.datetime:
    return SINCE + dt.timedelta(hours=5 * number) + dt.timedelta(**later)


def oid(moment: dt.datetime, number: int) -> ObjectId:
    """An id made at a moment, as a driver makes them."""
    return ObjectId(ObjectId.from_datetime(moment).binary[:4] + number.to_bytes(8, "big"))


def people(**fields: Callable[[int], Any]) -> list[Document]:
    made = [SINCE - dt.timedelta(days=40 - number) for number in range(PEOPLE)]
    usual = [{"_id": oid(moment, number)} for number, moment in enumerate(made)]
    return [row | {name: value(number) for name, value in fields.items()} for number, row in enumerate(usual)]


def name(number: int) -> str:
    return NAMES.split()[number]


def address(number: int) -> str:
    return f"{name(number).lower()}{number}@example.org"


def is_done(number: int) -> bool:
    return number % 5 not in (1, 3)


def source(name: str, **fields: Any) -> Document:
    action = "focus_session" if "let" in fields else "task_complete"
    return {"name": name, "collection": name, "action": action, "points": MINUTES if "let" in fields else 10, **fields}


def took(path: str, unit: str) -> Document:
    return {"minutes": {"path": path, "unit": unit, "to": "minutes"}}


LASTING: Document = {"user": "userId", "at": ["endTime"], "let": took("duration", "minutes")}


def mongoose(rng: random.Random) -> Shape:
    users = people(name=name, email=address, password=lambda n: f"$2b$10${n:050d}", createdAt=lambda n: at(-n))
    tasks, sessions = [], []
    for n in range(200):
        owner = users[rng.randrange(PEOPLE)]["_id"]
        made, kind = at(n), "event" if n % 7 == 0 else "task"
        status = "completed" if is_done(n) else rng.choice(["todo", "inProgress"])
        state = {"status": status} if kind == "task" else {}
        tasks.append(
            {"_id": oid(made, n), "user": owner, "title": f"t{n}", "type": kind, "start": at(n, hours=1), **state}
            | {"priority": rng.choice(["low", "medium", "high"]), "allDay": False, "estimatedTime": 30}
            | {"createdAt": made, "updatedAt": at(n, hours=rng.randrange(2, 30))}
        )
        begun, long = at(n, hours=2), rng.choice([15, 25, 25, 50])
        status = "completed" if is_done(n) else "cancelled"
        sessions.append(
            {"_id": oid(begun, 9000 + n), "userId": owner, "type": rng.choice(["focus", "focus", "short_break"])}
            | {"duration": long, "status": status, "startTime": begun, "endTime": begun + dt.timedelta(minutes=long)}
            | {"completedCycles": n % 4, "createdAt": begun, "updatedAt": begun + dt.timedelta(minutes=long)}
        )
    board = [
        {"_id": oid(at(0), 50_000 + n), "user": u["_id"], "weeklyScore": n, "lastUpdated": at(3)}
        for n, u in enumerate(users)
    ]
    data = {"users": users, "tasks": tasks, "pomodorosessions": sessions, "leaderboards": board}
    by_hand = [
        source("tasks", where={"status": "completed", "type": "task"}, user="user", at=["updatedAt"]),
        source("pomodorosessions", where={"type": "focus", "status": "completed"}, **LASTING),
    ]
    return data, {"users": {"collection": "users"}, "sources": by_hand}


def snake_case(rng: random.Random) -> Shape:
    ids = [f"usr_{n:06d}" for n in range(PEOPLE)]
    users = [
        {"_id": key, "google_id": f"g{n}", "email": address(n), "name": name(n), "created_at": at(-n)}
        for n, key in enumerate(ids)
    ]
    tasks = []
    for n in range(300):
        row: Document = {"_id": f"tsk_{n:08d}", "user_id": rng.choice(ids), "title": f"t{n}", "created_at": at(n)}
        row |= {"updated_at": at(n, hours=9), "time_allocated": Int64(rng.randrange(1, 9) * 900 * 10**9)}
        if n % 4:
            row |= {"is_completed": is_done(n)}
        if is_done(n) or n % 10 == 1:  # what is undone keeps its time
            row |= {"completed_at": at(n, hours=8)}
        if n % 11 == 0:
            row |= {"is_deleted": True, "deleted_at": at(n, hours=9)}
        tasks.append(row)
    by_hand = source(
        "tasks", where={"is_completed": True, "is_deleted": {"$ne": True}}, user="user_id", at=["completed_at"]
    )
    return {"users": users, "tasks": tasks}, {"users": {"collection": "users"}, "sources": [by_hand]}


def epochs_and_addresses(rng: random.Random) -> Shape:
    users = [
        {"_id": row["_id"], "firebaseUid": f"fb{n:026d}", "userEmail": address(n), "isSubscribed": n % 2 == 0}
        for n, row in enumerate(people())
    ]
    pomodoros = []
    for n in range(250):
        begun = int(at(n).timestamp() * 1000)
        pomodoros.append(
            {
                "_id": oid(at(n), n),
                "userEmail": address(rng.randrange(PEOPLE)),
                "duration": rng.choice([15, 25, 45, 60]),
            }
            | {
                "startTime": float(begun) if n % 2 else Int64(begun),
                "date": at(n).strftime("%-m/%-d/%Y"),
                "isDummy": n % 25 == 0,
            }
        )
    by_hand = source(
        "pomodoros",
        user={"path": "userEmail", "lookup": "users.userEmail"},
        at=["startTime"],
        let=took("duration", "minutes"),
        where={"isDummy": {"$ne": True}},
    )
    return {"users": users, "pomodoros": pomodoros}, {
        "users": {"collection": "users"},
        "sources": [by_hand],
    }


def embedded(rng: random.Random) -> Shape:
    users = people(username=name, email=address, streak=lambda n: n)
    for n, row in enumerate(users):
        row["todos"] = [
            {
                "_id": oid(at(10 * n + k), 700 + 100 * n + k),
                "text": f"do {k}",
                "completed": is_done(n + k),
                "dueDate": at(k),
            }
            | ({"completedAt": at(10 * n + k, hours=3)} if is_done(n + k) else {})
            for k in range(rng.randrange(6, 14))
        ]
    by_hand = {
        **source("users"),
        "unwind": "todos",
        "where": {"todos.completed": True},
        "user": "_id",
        "at": ["todos.completedAt"],
    }
    return {"users": users}, {"users": {"collection": "users"}, "sources": [by_hand]}


def meteor(rng: random.Random) -> Shape:
    letters = "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz"
    ids = ["".join(rng.choices(letters, k=17)) for _ in range(PEOPLE)]
    users = [
        {
            "_id": key,
            "createdAt": at(-n),
            "username": name(n).lower(),
            "emails": [{"address": address(n), "verified": True}],
        }
        | {"profile": {"fullname": name(n), "avatarUrl": f"https://cdn.example.org/{n}.png"}}
        for n, key in enumerate(ids)
    ]
    cards = [
        {
            "_id": "".join(rng.choices(letters, k=17)),
            "userId": rng.choice(ids),
            "date": at(n),
            "hours": rng.choice([0.25, 0.5, 1.0, 1.5]),
            "task": f"w{n}",
            "projectId": "p1",
        }
        for n in range(240)
    ]
    by_hand = source("timecards", user="userId", at=["date"], let=took("hours", "hours"))
    return {"users": users, "timecards": cards}, {"users": {"collection": "users"}, "sources": [by_hand]}


def zeros_and_ones(rng: random.Random) -> Shape:
    members = [
        {"_id": n + 1, "login": f"{name(n)}", "mail": address(n), "avatar": f"/img/{n}.png"} for n in range(PEOPLE)
    ]
    todos = [
        {"_id": 5000 + n, "member_id": rng.randrange(PEOPLE) + 1, "done": int(is_done(n)), "created": at(n)}
        | {"done_on": at(n, hours=7).isoformat() if is_done(n) else None}
        for n in range(260)
    ]
    by_hand = source("todo_items", where={"done": 1}, user="member_id", at=["done_on"])
    return {"members": members, "todo_items": todos}, {"users": {"collection": "members"}, "sources": [by_hand]}


def kanban(rng: random.Random) -> Shape:
    members = people(fullName=name, email=address)
    boards = [{"_id": oid(at(n), 40_000 + n), "title": f"b{n}", "ownerId": members[n]["_id"]} for n in range(4)]
    cards = [
        {
            "_id": oid(at(n), n),
            "boardId": boards[n % 4]["_id"],
            "authorId": members[n % PEOPLE]["_id"],
            "title": f"c{n}",
            "createdAt": at(n),
        }
        for n in range(120)
    ]
    moves = []
    for n in range(400):
        old, new = rng.choice([("To do", "Doing"), ("Doing", "Done"), ("Doing", "To do"), ("Done", "Doing")])
        kind = "cardMoved" if n % 3 else "commentAdded"
        data: Document = {"cardId": cards[n % 120]["_id"]}
        data |= {"from": old, "to": new} if kind == "cardMoved" else {"text": "hm"}
        moves.append(
            {
                "_id": oid(at(n), 90_000 + n),
                "type": kind,
                "memberId": members[rng.randrange(PEOPLE)]["_id"],
                "data": data,
                "createdAt": at(n),
            }
        )
    by_hand = source("activities", where={"type": "cardMoved", "data.to": "Done"}, user="memberId", at=["createdAt"])
    data = {"members": members, "boards": boards, "cards": cards, "activities": moves}
    return data, {"users": {"collection": "members"}, "sources": [by_hand]}


def generations(rng: random.Random) -> Shape:
    users = people(name=name, email=address, preferences=lambda n: {"leaderboardOptIn": n % 6 != 0} if n % 3 else {})
    tasks = []
    for n in range(300):
        owner = users[rng.randrange(PEOPLE)]["_id"]
        row: Document = {"_id": oid(at(n), n), "createdAt": at(n), "updatedAt": at(n, hours=5)}
        if n < 120:
            row |= {"userId": owner, "completed": is_done(n), "priority": rng.choice(["low", "high"])}
        else:
            row |= {"userId": str(owner), "status": "done" if is_done(n) else "todo", "priority": rng.randrange(1, 6)}
            row |= {"completedAt": at(n, hours=4)} if is_done(n) and n > 200 else {}
        tasks.append(row)
    where = {"$or": [{"status": "done"}, {"completed": True}]}
    user = {"path": "userId", "as": "objectId"}
    by_hand = source("tasks", where=where, user=user, at=["completedAt", "updatedAt"], updated="updatedAt")
    return {"users": users, "tasks": tasks}, {"users": {"collection": "users"}, "sources": [by_hand]}


def german(rng: random.Random) -> Shape:
    users = people(benutzername=name, email=address, bild=lambda n: f"https://b.example.org/{n}.jpg")
    tasks = [
        {"_id": oid(at(n), n), "benutzerId": users[rng.randrange(PEOPLE)]["_id"], "titel": f"A{n}", "erstelltAm": at(n)}
        | {"zustand": "erledigt" if is_done(n) else rng.choice(["offen", "geplant"]), "geaendertAm": at(n, hours=6)}
        | ({"erledigtAm": at(n, hours=5)} if is_done(n) else {})
        for n in range(240)
    ]
    sessions = [
        {
            "_id": oid(at(n), 7000 + n),
            "benutzerId": users[rng.randrange(PEOPLE)]["_id"],
            "beginn": at(n),
            "art": rng.choice(["arbeit", "pause"]),
        }
        | {"dauerMinuten": (long := rng.choice([20, 25, 40])), "ende": at(n, minutes=long)}
        for n in range(240)
    ]
    by_hand = [
        source("aufgaben", where={"zustand": "erledigt"}, user="benutzerId", at=["erledigtAm"]),
        source(
            "sitzungen", where={"art": "arbeit"}, user="benutzerId", at=["ende"], let=took("dauerMinuten", "minutes")
        ),
    ]
    return {"benutzer": users, "aufgaben": tasks, "sitzungen": sessions}, {
        "users": {"collection": "benutzer"},
        "sources": by_hand,
    }


def nameless(rng: random.Random) -> Shape:
    users = people(f1=name, f2=address, f3=lambda n: n * 17)
    tasks = [
        {
            "_id": oid(at(n), n),
            "a": users[rng.randrange(PEOPLE)]["_id"],
            "b": "k3" if is_done(n) else rng.choice(["k1", "k2"]),
        }
        | {"c": at(n), "d": at(n, hours=6) if is_done(n) else None, "e": at(n, hours=7), "f": f"x{n}"}
        for n in range(260)
    ]
    sessions = [
        {"_id": oid(at(n), 7000 + n), "q": users[rng.randrange(PEOPLE)]["_id"], "r": at(n)}
        | {"s": (long := rng.choice([900, 1500, 2700])), "t": at(n, seconds=long)}
        for n in range(200)
    ]
    by_hand = [
        source("c2", where={"b": "k3"}, user="a", at=["d"]),
        source("c3", user="q", at=["t"], let=took("s", "seconds")),
    ]
    return {"c1": users, "c2": tasks, "c3": sessions}, {"users": {"collection": "c1"}, "sources": by_hand}


SHAPES: dict[str, Callable[[random.Random], Shape]] = {
    "Mongoose": mongoose,
    "snake_case with text ids and soft delete": snake_case,
    "epoch milliseconds and addresses": epochs_and_addresses,
    "embedded in users": embedded,
    "Meteor": meteor,
    "zeros and ones": zeros_and_ones,
    "moves in an activity log": kanban,
    "two generations": generations,
    "another language": german,
    "names that say nothing": nameless,
}
