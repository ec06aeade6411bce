"""How often a process looks for garbage: one that handles millions of documents, and one that is about to end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Let the garbage collector rest: millions of documents are no cycles. Measured: a third of the client's time."""
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def leave_to_the_system() -> None:
    """Let a process that is about to end not look through all that it holds once more. Measured: a quarter of `status`.

    What is to be written or closed must have been: objects in a circle are not finalized.
    """
    gc.freeze()
