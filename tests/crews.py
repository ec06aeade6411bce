"""Workers in the very process of a test: a task goes to them as bytes, and so comes back what came of it."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.run.crew import MOST_LOST, Answer, WorkerLost
from lbmigrate.state import State
from lbmigrate.workers.at_work import answered, packed, unpacked
from lbmigrate.workers.ways import carry_out


class Loopback:
    """So many workers with surroundings of their own. By lot one is lost with a task that it has done, or has not."""

    def __init__(self, context: Context, hands: int = 2, losing: float = 0.0) -> None:
        state = State(context.state.rows.database)
        state.fence = context.state.fence
        self._context = replace(context, state=state, crew=None)
        self._hands, self._losing, self._rng = hands, losing, random.Random(7)
        self._turn = threading.Lock()
        self._told: list[str] = []
        self._losses: Counter[str] = Counter()
        self.kinds: list[str] = []

    def hands(self) -> int:
        return self._hands

    def helpers(self) -> int:
        return self._hands

    @contextmanager
    def line(self) -> Iterator[Loopback]:
        yield self

    def ask(self, task: Document, answer: Answer) -> Document:
        with self._turn:
            self.kinds.append(task["kind"])
            self._lose(task, "before")
            done = answered(carry_out(self._context, unpacked(packed(task)), lambda asked: told(answer, asked)))
            self._lose(task, "behind")
            return unpacked(done)

    def _lose(self, task: Document, when: str) -> None:
        name = str({key: value for key, value in task.items() if key not in ("tried", "now")})
        if self._losses[name] < MOST_LOST - 1 and self._rng.random() < self._losing:
            self._losses[name] += 1
            self._told.append(f"a worker was lost {when} its task")
            raise WorkerLost(self._told[-1])

    def news(self) -> list[str]:
        told, self._told = self._told, []
        return told

    def close(self) -> None:
        """Nobody is to be sent home."""


def told(answer: Answer, asked: Document) -> Document:
    """An answer as it comes through a pipe."""
    return unpacked(packed(answer(unpacked(packed(asked)))))


def helped(context: Context, **how: Any) -> Context:
    """The surroundings of a run that such workers work for."""
    return replace(context, crew=Loopback(context, **how))
