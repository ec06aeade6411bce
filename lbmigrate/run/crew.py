"""Who works for a run beside its own threads: processes of this host, or of others.

The run stays who holds the lease and keeps the ledger of chunks: a worker is handed one task, and what came of it comes
back. Both are documents that BSON can hold, so that nothing depends on the way between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from lbmigrate.errors import LbmigrateError
from lbmigrate.records import Document

T = TypeVar("T")
R = TypeVar("R")
MOST_LOST = 5  # workers, one after another, of which each was lost with the same task in hand

Answer = Callable[[Document], Document]  # what the run says to what a worker asks in the middle of a task


class WorkerLost(LbmigrateError):
    """A worker is gone, or was not heard of any more, with a task in hand: nobody knows how much of it is done."""


class NotReady(LbmigrateError):
    """Nobody who was started for a run gets ready to work: what is to be done was in nobody's hands."""


class Line(Protocol):
    """The way to one worker."""

    def ask(self, task: Document, answer: Answer) -> Document:
        """What came of a task. Raises WorkerLost."""


class Crew(Protocol):
    """All workers of one run."""

    def hands(self) -> int:
        """How many tasks can be worked on at the same time."""

    def helpers(self) -> int:
        """How many of these are not threads of the run."""

    def line(self) -> AbstractContextManager[Line | None]:
        """The way to a worker who is ready and free; None where the thread that asks is to work itself.

        Raises NotReady.
        """

    def news(self) -> list[str]:
        """What has happened to workers since this was asked last, a sentence each."""


def carried_out(
    crew: Crew | None, item: T, away: Callable[[T, Line], R], here: Callable[[T], R], again: Callable[[T], T]
) -> R:
    """What came of an item: through a worker (`away`), or in this very thread (`here`).

    Of one whose worker was lost `again` makes what the next one is handed. Raises WorkerLost where that happens
    MOST_LOST times: then it is not the worker.
    """
    losses = 0
    while crew is not None:
        with crew.line() as line:
            if line is None:
                break
            try:
                return away(item, line)
            except WorkerLost:
                losses += 1
                if losses == MOST_LOST:
                    raise
        item = again(item)
    return here(item)
