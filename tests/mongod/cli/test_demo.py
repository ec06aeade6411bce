"""A demo whose data is kept: what it says is next shows it."""

from __future__ import annotations

import shlex

import pytest

SMALL = ("--users", "10", "--tasks", "100", "--sessions", "20")


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["with-a-configuration", "without"])
def test_what_a_demo_has_kept_is_looked_at_as_it_says(terminal, tmp_path, named, mongod):
    given = ["--config", str(terminal.config)] if named else []
    done = terminal("demo", *SMALL, "--keep", str(tmp_path / "kept"), *given)
    assert done.code == 0, done.err
    for command in done.hint.split(", then: "):
        program, *words = shlex.split(command)
        assert program == "lbmigrate"
        shown = terminal(*words)
        assert shown.code == 0, shown.err
    assert "demo done" in shown.out
