"""`python -m benchmarks.exact_ranks`: what questions cost on a large board, and what quick ranks cost a roll-up.

All are asked in turn in one run, on the embedded server: with the histogram and, for comparison, by counting, which is
what a board does that has none. Users at and about the median rank are asked for.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bson import Int64, ObjectId
from pymongo.database import Database

from benchmarks.results import Target
from benchmarks.table import columns, verdicts
from lbmigrate import Board
from lbmigrate.config.model import Config
from lbmigrate.ledger import rollup, walk
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.ledger.make_histograms import Making
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.records import Document
from lbmigrate.run.context import Context, utc_now
from lbmigrate.schema import ENTRIES, EVENTS, INDEXES
from lbmigrate.state import State

PERIOD = "global"
BATCH = 20_000
ROLLED = 4_000  # users of a roll-up
ROUNDS = 16  # roll-ups, every other one with the histogram
Ask = Callable[[Board, Any], object]
QUESTIONS: dict[str, Ask] = {
    "top(100)": lambda board, user: board.top(PERIOD, 100),
    "rank": lambda board, user: board.rank(user, PERIOD),
    "around(5)": lambda board, user: board.around(user, PERIOD, 5),
}
LIMITS = {"top(100)": 3.0, "rank": 10.0, "around(5)": 15.0}  # milliseconds


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.exact_ranks", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000, metavar="N", help="entries of the board (1000000)")
    parser.add_argument("--asked", type=int, default=100, metavar="N", help="how often each question is asked (100)")
    options = parser.parse_args()
    home = tempfile.TemporaryDirectory(prefix="lbmigrate-bench-")
    with home as directory, embedded.serve(Path(directory)) as uri, open_client(uri) as client:
        targets = _measured(client["bench_boards"], options.entries, options.asked)
    print(f"\n{verdicts(targets)}")
    return 0


def _measured(database: Database[Any], entries: int, asked: int) -> list[Target]:
    _fill(database, entries)
    context = Context(_config(), database, database, State(database), run="bench")
    made = _seconds(lambda: list(Making(context).heal()))
    print(f"{entries:,} entries; their histogram took {made:.2f} s to make")
    with_it, counted = Board(database, _config()), Board(database, _config(state={"database": "none"}))
    found = {name: _asked(database, ask, (with_it, counted), asked) for name, ask in QUESTIONS.items()}
    rows = [("", "p50 ms", "p95 ms", "counted p50 ms", "p95 ms")]
    rows += [(name, *(f"{each:.1f}" for times in both for each in _told(times))) for name, both in found.items()]
    print(columns(rows))
    print(f"100 entries and their users by two bare commands: p50 {_told(_bare(database, asked))[0]:.1f} ms")
    ratio = _rolled(context, database)
    targets = [Target(f"{name} p50, ms", "≤", LIMITS[name], median(both[0])) for name, both in found.items()]
    return [*targets, Target("roll-up with the histogram kept, × without", "≤", 1.1, ratio)]


def _config(**parts: Any) -> Config:
    source = {"name": "tasks", "collection": "tasks", "action": "task_complete", "user": "userId", "at": "at"}
    users = {"display_name": ["name"], "opt_out": {"path": "hidden", "missing": False}}
    return Config.model_validate(
        {"users": users, "sources": [{**source, "points": 10}], "periods": ["global"], **parts}
    )


def _fill(database: Database[Any], entries: int) -> None:
    """A board whose scores are spread as those of apps are, and the users whose board it is."""
    rng, numbers = random.Random(7), iter(range(entries))
    while some := list(islice(numbers, BATCH)):
        database[ENTRIES].insert_many([_entry(n, int(rng.lognormvariate(6, 1.2))) for n in some], ordered=False)
        database["users"].insert_many([{"_id": _user(n), "name": f"User {n}"} for n in some], ordered=False)
    for index in INDEXES:
        database[index.collection].create_index(list(index.keys), **index.options)


def _user(number: int) -> ObjectId:
    return ObjectId(f"{number:024x}")


def _entry(number: int, score: int) -> Document:
    user, now = _user(number), utc_now()
    known = {"displayNameSnapshot": f"User {number}", "avatarSnapshot": None, "optOutSnapshot": False}
    times = {"lastUpdated": now, "createdAt": now, "updatedAt": now, "lastEventAt": now}
    counted = {"score": Int64(score), "streak": 1, "events": Int64(1), "rev": Int64(1)}
    return {"_id": f"{PERIOD}:{user}", "userId": user, "period": PERIOD, **counted, **known, **times}


def _asked(database: Database[Any], ask: Ask, boards: Sequence[Board], times: int) -> list[list[float]]:
    """How many milliseconds each board takes, in turn, for users about the median."""
    order = [("score", -1), ("userId", -1)]
    middle = database[ENTRIES].estimated_document_count() // 2
    found = database[ENTRIES].find({"period": PERIOD}, {"userId": 1}).sort(order).skip(middle).limit(times)
    taken: list[list[float]] = [[] for _ in boards]
    for entry in found.to_list():
        for board, its in zip(boards, taken, strict=True):
            its.append(1000 * _seconds(lambda board=board, user=entry["userId"]: ask(board, user)))  # type: ignore[misc]
    return taken


def _bare(database: Database[Any], times: int) -> list[float]:
    """How many milliseconds the least takes that a page can be made of: what the server and the driver need alone."""
    return [1000 * _seconds(lambda: _first(database)) for _ in range(times)]


def _first(database: Database[Any]) -> list[Document]:
    order = [("score", -1), ("userId", -1)]
    shown = {"userId": 1, "score": 1, "streak": 1, "events": 1, "displayNameSnapshot": 1, "avatarSnapshot": 1}
    entries = database[ENTRIES].find({"period": PERIOD}, shown).sort(order).limit(100).to_list()
    return database["users"].find({"_id": {"$in": [each["userId"] for each in entries]}}, {"name": 1}).to_list()


def _told(times: Sequence[float]) -> tuple[float, float]:
    return median(times), quantiles(times, n=20)[-1]


def _rolled(context: Context, database: Database[Any]) -> float:
    """How many times as long a roll-up takes that keeps the histogram; each changes the score of every user of it."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        kept = number % 2 == 0
        database[EVENTS].insert_many(list(_events(number, ROLLED)), ordered=False)
        if kept:
            list(Making(context).heal())
        else:
            Histograms(context).void()
        seconds = _seconds(lambda: [rollup.roll_up(context, some, redone=True) for some in _selected()])
        taken[kept].append(seconds + (_seconds(lambda: Histograms(context).settle(0)) if kept else 0))
    kept, without = median(taken[True]), median(taken[False])
    print(f"a roll-up of {ROLLED:,} users: {kept:.2f} s, without a histogram {without:.2f} s")
    return kept / without


def _selected() -> Iterator[Document]:
    return walk.selections([_user(number) for number in range(ROLLED)])


def _events(number: int, users: int) -> Iterator[Document]:
    for user in range(users):
        for each in range(10 if number == 0 else 1):
            source = f"{number}-{each}-{user}"
            told = {"actionType": "task_complete", "points": Int64(10), "sourceId": source, "meta": {"origin": "live"}}
            yield {"_id": f"task_complete:{source}", "userId": _user(user), **told, "createdAt": utc_now()}


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
