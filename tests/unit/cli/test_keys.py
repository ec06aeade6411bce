"""A screen that is watched: what is pressed ends it, and the terminal is as it was."""

from __future__ import annotations

import io
import os
import termios

import pytest

from lbmigrate.cli import keys
from lbmigrate.console.screen import Screen


@pytest.fixture
def terminal(monkeypatch):
    """The operator's end of a terminal, whose other end is our stdin."""
    operator, ours = os.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield operator
    os.close(operator)


@pytest.mark.parametrize(("typed", "ends"), [(b"q", True), (b"Q", True), (b"\x04", True), (b"x", False)])
def test_a_key_counts_without_the_return_key(terminal, typed, ends):
    with keys.one_at_a_time() as pressed:
        os.write(terminal, typed)
        assert (pressed(5.0) in keys.END) is ends
        assert pressed(0.0) == ""


def test_the_terminal_is_afterwards_as_it_was_before(terminal):
    import sys

    before = termios.tcgetattr(sys.stdin.fileno())
    within = []

    def looked():
        with keys.one_at_a_time():
            within.append(termios.tcgetattr(sys.stdin.fileno()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        looked()
    assert within != [before]
    assert termios.tcgetattr(sys.stdin.fileno()) == before


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_screen_is_drawn_again_and_its_last_state_stays(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Screen(stream).redrawn() as draw:
        draw(["first"])
        draw(["last"])
        assert "q ends" in stream.getvalue()
    left = stream.getvalue().rpartition("\x1b[?1049l")[2]
    assert ("first" in left, "last" in left) == (False, True)
