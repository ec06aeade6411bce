"""A key that is pressed while a screen is watched."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

END = frozenset({"q", "Q", "\x03", "\x04"})  # q, Ctrl-C and Ctrl-D


@contextmanager
def one_at_a_time() -> Iterator[Callable[[float], str]]:
    """Within the block, what is typed comes key by key; the terminal is afterwards as it was before.

    Yields what waits for a key at most so many seconds; empty where none was pressed, Ctrl-D where nobody can.
    """
    stream = sys.stdin.fileno()
    before = termios.tcgetattr(stream)

    def pressed(seconds: float) -> str:
        try:
            ready, _, _ = select.select([stream], [], [], seconds)
            return (os.read(stream, 1).decode(errors="replace") or "\x04") if ready else ""
        except KeyboardInterrupt:
            return "\x03"

    try:
        tty.setcbreak(stream)
        yield pressed
    finally:
        termios.tcsetattr(stream, termios.TCSADRAIN, before)
