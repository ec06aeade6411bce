"""Kill and restart Redis at random moments while actions are recorded, and look whether a rank was ever wrong.

    python -m tests.soak.redis_killed [--records 50000] [--users 500] [--seed 1]

Redis writes its file once a second, so it comes back without the last scores. Runs by hand: it takes some minutes.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lbmigrate import Board, ScoreRecorder, commands
from lbmigrate.config.model import Config
from lbmigrate.mongo import embedded
from lbmigrate.mongo.client import open_client
from lbmigrate.state import State
from tests.apps import TASKS, config, oid, task, user
from tests.valkey import Valkey

LONGEST = 1.0  # seconds that Redis is left alone, up or down


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="redis-killed-") as home,
        embedded.serve(Path(home, "server")) as uri,
        open_client(uri) as client,
    ):
        began = time.monotonic()
        found = soak(client["soak"], uri, Path(home), asked.records, asked.users, random.Random(asked.seed))
        print(f"{time.monotonic() - began:.0f} s: {dict(found)}")
    return 1 if found["wrong"] or found["recorded"] != asked.records else 0


def migrated(database: Any, uri: str, valkey: Valkey, users: int) -> Config:
    """An app whose boards are in Redis, and whose users have done nothing yet."""
    asked = config(TASKS, database={"uri": uri, "name": database.name}, redis={"url": valkey.url})
    database["users"].insert_many([user(number) for number in range(1, users + 1)])
    database["tasks"].insert_one(task(1, owner=1))
    commands.run(asked, no_backup=True)
    return asked


def soak(database: Any, uri: str, home: Path, records: int, users: int, chance: random.Random) -> Counter[str]:
    """What came of it: records, kills, ranks that were asked for, and how many of them were wrong."""
    valkey = Valkey(home, ["--appendonly", "yes", "--appendfsync", "everysec"])
    valkey.start()
    asked = migrated(database, uri, valkey, users)
    recorder, board = ScoreRecorder(database, asked, strict=True), Board(database, asked)
    found: Counter[str] = Counter()
    try:
        with killed(valkey, chance, found):
            for number in range(records):
                who = chance.randint(1, users)
                found["recorded"] += recorder.record("task_complete", oid(who), oid(1_000_000 + number))
                if number % 10 == 0:
                    found["asked"] += 1
                    found["wrong"] += not is_right(database, board, chance.randint(1, users))
        found["stale"] = bool(State(database).get("boards").get("stale"))
        commands.rebuild_boards(asked)
        commands.check_boards(asked)  # raises when they differ
    finally:
        valkey.kill()
    return found


def is_right(database: Any, board: Board, who: int) -> bool:
    """Whether a rank is the one that the entries say; nobody writes at the moment."""
    entries = database["leaderboard_entries"]
    own = entries.find_one({"userId": oid(who), "period": "global"})
    place = board.rank(oid(who))
    if own is None or place is None:
        return own is None and place is None
    return place.rank == 1 + entries.count_documents({"period": "global", "score": {"$gt": own["score"]}})


@contextmanager
def killed(valkey: Valkey, chance: random.Random, found: Counter[str]) -> Iterator[None]:
    """Within the block Redis goes and comes back at random moments; afterwards it is there."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(chance.random() * LONGEST):
            valkey.kill()
            found["kills"] += 1
            over.wait(chance.random() * LONGEST)
            valkey.start()

    at_work = threading.Thread(target=work)
    at_work.start()
    try:
        yield
    finally:
        over.set()
        at_work.join()


if __name__ == "__main__":
    raise SystemExit(main())
