"""Workers of any host that have joined a run (`lbmigrate worker`): the way to each is its row in the state."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

from lbmigrate.records import Document
from lbmigrate.run.crew import Answer, WorkerLost
from lbmigrate.state.mailbox import Post
from lbmigrate.workers.at_work import packed, unpacked

LOOK_AGAIN = 1.0  # seconds between two looks at who is there
TICK = 0.02  # seconds between two looks at what a worker has written
HINT = "it may join again: lbmigrate worker"


class HostLine:
    """The way to one worker that has joined."""

    def __init__(self, post: Post, row: str, numbers: Callable[[], int]) -> None:
        self._post, self.row, self._numbers = post, row, numbers
        self.is_lost = ""
        self.is_closed = False

    def ask(self, task: Document, answer: Answer) -> Document:
        """What came of a task. Raises WorkerLost."""
        number, turn = self._numbers(), 0
        if not self._post.hand(self.row, number, packed(task)):
            raise self._lost("has left")
        looked = time.monotonic()
        while not self.is_closed:
            row = self._post.letters(self.row)
            if not row:
                raise self._lost("has left")
            if (done := row.get("done")) and done["n"] == number:
                return unpacked(done["body"])
            if (asked := row.get("ask")) and (asked["n"], asked["m"]) == (number, turn + 1):
                turn += 1
                self._post.answer(self.row, number, turn, packed(answer(unpacked(asked["body"]))))
            if time.monotonic() - looked > LOOK_AGAIN:
                looked = time.monotonic()
                self._give_up_if_lost(row)
            time.sleep(TICK)
        raise self._lost("was sent home")

    def _give_up_if_lost(self, row: Document) -> None:
        if self._post.is_lost(row):
            self._post.remove(self.row)
            raise self._lost("was not heard of any more")

    def _lost(self, how: str) -> WorkerLost:
        _, _, host, pid, _ = self.row.rsplit(":", 4)
        self.is_lost = f"the worker with pid {pid} on {host} {how}"
        return WorkerLost(self.is_lost, HINT)


class Hosts:
    """All workers that have joined a run."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._turn = threading.Lock()
        self._numbers = itertools.count(1)
        self._lines: dict[str, HostLine] = {}
        self._idle: list[HostLine] = []
        self._looked = float("-inf")
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._lines)

    def take(self) -> HostLine | None:
        """A worker who is free, if there is one."""
        with self._turn:
            if not self._is_closed and time.monotonic() - self._looked >= LOOK_AGAIN:
                self._look()
            return self._idle.pop() if self._idle else None

    def give_back(self, line: HostLine) -> str:
        """A worker is free again, or lost: then what is to be told of that."""
        with self._turn:
            if not line.is_lost:
                if line.row in self._lines:
                    self._idle.append(line)
                return ""
            self._lines.pop(line.row, None)
            return line.is_lost

    def _look(self) -> None:
        found = set(self._post.workers())
        for row in found - self._lines.keys():
            line = self._lines[row] = HostLine(self._post, row, lambda: next(self._numbers))
            self._idle.append(line)
        self._idle = [line for line in self._idle if line.row in found]
        busy = {row for row, line in self._lines.items() if line not in self._idle}
        self._lines = {row: line for row, line in self._lines.items() if row in found | busy}
        self._looked = time.monotonic()

    def close(self) -> None:
        """Send all of them home."""
        with self._turn:
            self._is_closed = True
            for line in self._lines.values():
                line.is_closed = True
        if self._lines:
            self._post.close()
