"""The examples that need no server run as they are; `tests/mongod/board/test_page.py` has the page with FastAPI."""

from __future__ import annotations

import runpy
from pathlib import Path

from lbmigrate.verify import again

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_notebook_runs_from_the_first_cell_to_the_last_and_ends_with_a_board_that_is_right(monkeypatch, capsys):
    monkeypatch.setattr(again, "WAITS", (0.0, 0.0, 0.0))  # nothing else writes meanwhile
    run = runpy.run_path(str(EXAMPLES / "notebook.py"))
    printed = capsys.readouterr().out.splitlines()
    assert printed[:5] == ["11 tasks read, 11 events", "1 Cleo 130", "2 Ben 110", "3 Anna 90", "Cleo is 1 in week 45"]
    assert printed[5] == "verified"
    assert "user anna in global: the entry says 1090 points" in printed[6]
    assert printed[7] == "90 points in 3 events; the last one: task_complete:9"
    assert [place.score for place in run["board"].top("global", 3)] == [130, 110, 90]
