"""Real history moved to collections of single periods and back, killed on the way, while somebody reads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from lbmigrate.board.board import Board
from lbmigrate.commands._demo import demo, load_history
from lbmigrate.config.load import read_config
from lbmigrate.rehearsal.outcome import summary
from lbmigrate.schema import ENTRIES
from lbmigrate.schema.layout import partitions
from tests.runs import by_hand

HISTORY = Path(__file__).parents[4] / "shared" / "data" / "history"
FIGURES = ("score_events", "entries", "sha256_global", "sha256_week")


@pytest.fixture
def migrated(terminal, database):
    """The history on the board; returns what types a verb in a process of its own, with this layout."""
    if not (HISTORY / "expected.json").is_file():
        pytest.skip(f"the data of this test is not here: {HISTORY}")
    here = {"database.uri": terminal.uri, "database.name": database.name}
    config = read_config(HISTORY / "leaderboard.yaml", here).config
    load_history(config, data=HISTORY)
    demo(config)

    def start(layout, *words):
        written = yaml.safe_load((HISTORY / "leaderboard.yaml").read_text())
        terminal.config.write_text(yaml.safe_dump({**written, "layout": layout}))
        given = {"LBMIGRATE_URI": terminal.uri, "LBMIGRATE_DATABASE": database.name}
        command = [sys.executable, "-m", "lbmigrate", *words, "--config", str(terminal.config)]
        environment = {**os.environ, **given, "PYTHONPATH": os.pathsep.join(sys.path)}
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(subprocess.Popen(command, env=environment, text=True, **output))
        return started[-1]

    started = []
    yield start
    for process in started:
        process.kill()
        process.communicate()


class Reader:
    """Reads the board over and over, and keeps what it read that was not the whole of it."""

    def __init__(self, database):
        config = read_config(HISTORY / "leaderboard.yaml").config
        self.board, self.wrong, self.reads = Board(database, config), [], 0
        self.periods = ["global", *self.board.periods(400)[1::20]]
        self.whole = {period: self.board.top(period, 20) for period in self.periods}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self):
        while not self._end.is_set():
            for period, whole in self.whole.items():
                self.reads += 1
                if (found := self.board.top(period, 20)) != whole:
                    self.wrong.append((period, found))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def killed_in_the_middle(database, process, half):
    """Kill a run with SIGKILL when it has moved a part."""
    while process.poll() is None:
        row = database["lbmigrate_state"].find_one({"_id": "entries"}) or {}
        if row.get("moving") and half(row.get("until", "")):
            process.send_signal(signal.SIGKILL)
            process.wait()
            return
    pytest.fail(f"the run was over before: {process.communicate()[0]}")


@pytest.mark.slow
@by_hand
@pytest.mark.timeout(1800)
def test_history_moved_and_moved_back_with_a_kill_in_each_has_the_same_digests_and_an_unbroken_top(migrated, database):
    expected = json.loads((HISTORY / "expected.json").read_text())
    for layout, half in (("partitioned", lambda until: until > "2"), ("single", lambda until: until < "~")):
        with Reader(database) as reader:
            killed_in_the_middle(database, migrated(layout, "run"), half)
            again = migrated(layout, "run")
            told, _ = again.communicate(timeout=300)
            assert again.returncode == 0, told
        assert reader.wrong == []
        assert reader.reads > 100
        found = summary(database)
        assert {name: found[name] for name in FIGURES} == {name: expected[name] for name in FIGURES}
        in_base = set(database[ENTRIES].distinct("period"))
        assert (in_base == {"global"}) is (layout == "partitioned")
        assert bool(partitions(database)) is (layout == "partitioned")
    verify = migrated("single", "verify", "--full")
    told, _ = verify.communicate(timeout=300)
    assert verify.returncode == 0, told
