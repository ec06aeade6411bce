"""A board of a million entries: what a page asks, with Redis and without, and a rebuild against a bare ZADD.

    python -m benchmarks.boards [--entries 1000000] [--rounds 5]

Each round asks both ways in turn, so that what else the machine does meets both. The bare ZADD has the members and
scores in memory and sends them in pipelines of as many as a rebuild has in a command.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from bson import Int64, ObjectId
from pymongo.database import Database

from lbmigrate import Board
from lbmigrate.board.boards import Boards
from lbmigrate.board.redis_client import client_of
from lbmigrate.board.sorted_sets import BATCH
from lbmigrate.config.model import Config
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.schema import ENTRIES
from lbmigrate.state import State
from tests.apps import TASKS, config
from tests.valkey import Valkey

ASKED = 40  # times in a round
AT_ONCE = 20_000  # entries of an insert


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="boards-") as home,
        embedded.serve(Path(home, "server")) as uri,
        open_client(uri) as client,
    ):
        valkey = Valkey(Path(home))
        valkey.start()
        try:
            fill(client["bench"], asked.entries)
            measure(client["bench"], valkey, asked.entries, asked.rounds)
        finally:
            valkey.kill()
    return 0


def entry(number: int) -> dict[str, Any]:
    user, score = ObjectId(f"{number:024x}"), Int64(number * 7919 % 250_000)
    return {
        "_id": f"global:{user}", "userId": user, "period": "global", "score": score, "streak": 1, "events": Int64(9),
        "rev": Int64(1), "optOutSnapshot": number % 50 == 0, "displayNameSnapshot": f"User {number}",
        "avatarSnapshot": None,
    }  # fmt: skip


def fill(database: Database[Any], count: int) -> None:
    rows = map(entry, range(1, count + 1))
    while some := list(islice(rows, AT_ONCE)):
        database[ENTRIES].insert_many(some, ordered=False)
        database["users"].insert_many([{"_id": each["userId"], "displayName": "A"} for each in some], ordered=False)
    database[ENTRIES].create_index([("period", 1), ("score", -1), ("userId", -1)])
    database[ENTRIES].create_index([("userId", 1)])


def measure(database: Database[Any], valkey: Valkey, count: int, rounds: int) -> None:
    plain = config(TASKS)
    asked = config(TASKS, redis={"url": valkey.url})
    rebuilds, bare = rebuilt(database, asked, valkey, rounds)
    print(f"rebuild {rebuilds:.2f} s, bare ZADD {bare:.2f} s: {rebuilds / bare:.2f} ×")
    middle = database[ENTRIES].find({"period": "global"}).sort([("score", -1), ("userId", -1)]).skip(count // 2)
    user = next(middle)["userId"]
    boards = {"MongoDB": Board(database, plain), "Redis": Board(database, asked)}
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name, board in boards.items():
            questions: dict[str, Callable[[Board], object]] = {
                "top(100)": lambda board: board.top(n=100),
                "rank at the median": lambda board: board.rank(user),
                "around(5) there": lambda board: board.around(user, n=5),
            }
            for question, ask in questions.items():
                times.setdefault((question, name), []).extend(timed(lambda ask=ask, board=board: ask(board)))
    for (question, name), seconds in times.items():
        slow = statistics.quantiles(seconds, n=20)[-1]
        print(f"{question:20} {name:8} p50 {statistics.median(seconds) * 1000:7.2f} ms, p95 {slow * 1000:7.2f} ms")


def timed(ask: Callable[[], object]) -> list[float]:
    seconds = []
    for _ in range(ASKED):
        began = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - began)
    return seconds


def rebuilt(database: Database[Any], asked: Config, valkey: Valkey, rounds: int) -> tuple[float, float]:
    """Seconds of a rebuild and of the bare ZADD, the medians of some rounds."""
    boards = Boards.of(asked, database, State(database))
    found = database[ENTRIES].find({}, {"userId": 1, "score": 1})
    members = [(str(each["userId"]), int(each["score"])) for each in found]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        began = time.perf_counter()
        list(boards.rebuild_all() if boards else ())
        middle = time.perf_counter()
        bare(valkey, members)
        seconds[0].append(middle - began)
        seconds[1].append(time.perf_counter() - middle)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def bare(valkey: Valkey, members: list[tuple[str, int]]) -> None:
    client = client_of(valkey.url)
    client.delete("bare")
    for start in range(0, len(members), 10 * BATCH):
        with client.pipeline(transaction=False) as pipe:
            for at in range(start, min(start + 10 * BATCH, len(members)), BATCH):
                pipe.zadd("bare", dict(members[at : at + BATCH]))
            pipe.execute()


if __name__ == "__main__":
    raise SystemExit(main())
