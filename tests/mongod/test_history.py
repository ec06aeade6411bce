"""Real history: 92 thousand documents of a public project, against figures that were computed without this code."""

from __future__ import annotations

import gzip
import json
from itertools import cycle
from pathlib import Path

import pytest
import yaml

HISTORY = Path(__file__).parents[3] / "shared" / "data" / "history"

pytestmark = pytest.mark.skipif(
    not (HISTORY / "expected.json").is_file(), reason=f"the data of this test is not here: {HISTORY}"
)


@pytest.mark.slow
def test_the_demo_on_real_history_gives_the_figures_computed_without_this_code(terminal):
    expected = json.loads((HISTORY / "expected.json").read_text())
    done = terminal("demo", "--data", str(HISTORY), "--config", str(HISTORY / "leaderboard.yaml"), "--json")
    assert done.code == 0, done.err
    assert done.result["loaded"] == {name: expected[name] for name in ("users", "tasks", "sessions")}
    assert done.result["score_events"] == expected["score_events"] == {"task_complete": 60_751, "focus_session": 9_858}
    assert done.result["entries"] == expected["entries"] == {"global": 2_669, "week": 17_257}
    assert done.result["points"]["global"] == expected["points"]["global"]
    for digest in ("sha256_global", "sha256_week"):
        assert done.result[digest] == expected[digest]


@pytest.mark.slow
def test_with_clocks_of_their_own_that_all_show_utc_the_figures_are_the_same(terminal, tmp_path):
    expected = json.loads((HISTORY / "expected.json").read_text())
    data = tmp_path / "history"
    data.mkdir()
    for name in ("tasks.ndjson.gz", "sessions.ndjson.gz"):
        (data / name).symlink_to(HISTORY / name)
    zones = cycle(["UTC", "Etc/UTC", "+00:00", "GMT", None, "nowhere"])
    with gzip.open(HISTORY / "users.ndjson.gz", "rt") as users, gzip.open(data / "users.ndjson.gz", "wt") as written:
        written.writelines(f"{json.dumps({**json.loads(line), 'tz': next(zones)})}\n" for line in users)
    config = yaml.safe_load((HISTORY / "leaderboard.yaml").read_text())
    config["users"]["timezone"] = "tz"
    (tmp_path / "leaderboard.yaml").write_text(yaml.safe_dump(config))
    done = terminal("demo", "--data", str(data), "--config", str(tmp_path / "leaderboard.yaml"), "--json")
    assert done.code == 0, done.err
    assert done.result["entries"] == expected["entries"]
    for digest in ("sha256_global", "sha256_week"):
        assert done.result[digest] == expected[digest]
