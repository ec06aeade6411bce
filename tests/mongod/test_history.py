"""Real history: 92 thousand documents of a public project, against figures that were computed without this code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
