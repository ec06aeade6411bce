"""Redis killed while actions are recorded, and an app killed while it scores into Redis: what is left is right."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from lbmigrate import commands
from tests.apps import oid
from tests.runs import by_hand, until
from tests.soak.redis_killed import migrated, soak

pytestmark = [pytest.mark.slow, by_hand]
APP = """
import sys, redis
url, first, user, told = sys.argv[1], int(sys.argv[2]), sys.argv[3], open(sys.argv[4], "a")
scores = redis.Redis.from_url(url)
for number in range(first, first + 10_000_000):
    with scores.pipeline(transaction=True) as both:
        both.xadd("lb:actions", {"action": "task_complete", "user": user, "source": f"{number:024x}"})
        both.zincrby("lb:global", 10, user)
        both.execute()
    print(number, file=told, flush=True)
"""


def test_with_redis_killed_at_random_moments_no_rank_is_wrong_and_a_rebuild_heals(database, server_uri, tmp_path):
    found = soak(database, server_uri, tmp_path, 600, 50, random.Random(1))
    assert found["recorded"] == 600
    assert found["kills"] > 0
    assert found["wrong"] == 0


def test_an_app_and_a_persist_killed_at_random_moments_lose_and_double_nothing(database, server_uri, tmp_path, valkey):
    asked, chance = migrated(database, server_uri, valkey, 5), random.Random(2)
    told = tmp_path / "told"
    told.touch()
    for turn in range(3):
        words = [sys.executable, "-c", APP, valkey.url, str(10_000_000 * (turn + 1)), str(oid(1 + turn)), str(told)]
        killed(words, lambda: told.stat().st_size, chance)
        words = [sys.executable, "-c", PERSIST.format(uri=server_uri, name=database.name, url=valkey.url)]
        killed(words, database["score_events"].estimated_document_count, chance)
    commands.persist_boards(asked)
    sources = Counter(int(str(each["sourceId"]), 16) for each in database["score_events"].find())
    assert set(sources) >= {int(line) for line in Path(told).read_text().split()}
    assert set(sources.values()) == {1}
    assert commands.check_boards(asked) > 0


def killed(words, done, chance):
    """Kill a process at a random moment after it has begun to work: after what is `done` has grown."""
    before = done()
    process = subprocess.Popen(words)
    until(lambda: done() > before, "it to work")
    time.sleep(chance.random() / 5)
    process.kill()
    process.wait()


PERSIST = """
from lbmigrate import commands
from tests.apps import TASKS, config
commands.persist_boards(config(TASKS, database=dict(uri={uri!r}, name={name!r}), redis=dict(url={url!r})))
"""
