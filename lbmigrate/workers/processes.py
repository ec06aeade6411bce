"""Processes of this host that work for a run: each has a client of its own, and a pipe that leads to the run.

What they need to know goes through that pipe, so no secret stands on a command line. A process whose run is gone ends
at once, and signals are the run's affair: Ctrl-C reaches all of them, and none of them but the run heeds it.
"""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo.faults import AGAIN
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.run.crew import Answer, Line, NotReady, WorkerLost
from lbmigrate.run.pace import Pace
from lbmigrate.telling import secrets
from lbmigrate.workers.at_work import packed, unpacked
from lbmigrate.workers.executor import ALONE, cannot_start
from lbmigrate.workers.serving import Order
from lbmigrate.workers.starting import PATIENCE, CannotStart, Starter, ended, starter

MOST_FAILED = 5  # processes, one after another, that died while they started
HINT = f"where memory ran out: fewer --workers, or a smaller backfill.chunk_size; then {AGAIN}"
NO_MEMORY = f"where memory ran out: fewer --workers, or {ALONE}"
PRINTED = f'what it has printed says why: a script starts a run below `if __name__ == "__main__":`; or {ALONE}'


class _Died(Exception):
    """A process has ended before it was ready, and did not say why."""


class Process:
    """One process, as the run sees it."""

    def __init__(self, order: Order, starts: Starter) -> None:
        self._order = order
        self._here, there = multiprocessing.Pipe()
        try:
            self._process = starts.start(there)
        except CannotStart:
            self._here.close()
            raise
        finally:
            there.close()
        self.is_lost, self.is_ready = "", False

    def get_ready(self) -> None:
        """Tell the process what it works for, and wait until it can be handed a task. Raises _Died and NotReady."""
        try:
            self._here.send_bytes(pickle.dumps(self._order))
            word, told = self._here.recv()
        except (EOFError, OSError) as error:
            self._process.join(PATIENCE)
            raise _Died(
                f"worker process {self._process.pid} {ended(self._process.exitcode)} while it started"
            ) from error
        if word == "error":
            raise cannot_start(told, self._order.config.database.uri)
        if word == "broken":
            raise NotReady(f"a worker process cannot start: {secrets.hidden(told)}", PRINTED)
        self.is_ready = True

    @property
    def was_killed(self) -> bool:
        return (self._process.exitcode or 0) < 0

    def ask(self, task: Document, answer: Answer) -> Document:
        """What came of a task. Raises WorkerLost, after which the process is of no use."""
        try:
            self._here.send_bytes(packed({"task": task}))
            while "done" not in (said := unpacked(self._here.recv_bytes())):
                self._here.send_bytes(packed(answer(said["ask"])))
        except (EOFError, OSError) as error:
            self._process.join(PATIENCE)
            self.is_lost = f"worker process {self._process.pid} {ended(self._process.exitcode)}"
            raise WorkerLost(f"{self.is_lost} with {_named(task)} in hand", HINT) from error
        except BaseException:
            self.is_lost = f"worker process {self._process.pid} was left alone"
            raise
        return unpacked(said["done"])

    def end(self, is_idle: bool) -> None:
        """Have the process end: by itself where it is idle, and else at once, without its task."""
        if is_idle:
            self._here.close()
            self._process.join(PATIENCE)
        self._process.kill()
        self._process.join(PATIENCE)


class Processes:
    """As many processes as the run has `workers`, started when there is work for them."""

    def __init__(self, context: Context) -> None:
        fence = context.state.fence
        self._order = Order(context.config, context.run, fence or 0, secrets.known())
        self._pace: Pace = context.pace
        self._turn = threading.Lock()
        self._starts = starter()
        self._all: list[Process] = []
        self._idle: list[Process] = []
        self._news: list[str] = []
        self._failed = 0  # processes that died while they started, since one did get ready
        self._is_closed = False

    def hands(self) -> int:
        return self._pace.threads()

    def helpers(self) -> int:
        return self._pace.threads()

    @contextmanager
    def line(self) -> Iterator[Line | None]:
        process = self._free()
        try:
            yield process
        finally:
            with self._turn:
                if process.is_lost:
                    self._all.remove(process)
                    self._news.append(f"{process.is_lost}; what it had in hand is done once more")
                else:
                    self._idle.append(process)
                    self._failed = 0

    def news(self) -> list[str]:
        with self._turn:
            told, self._news = self._news, []
        return told

    def close(self) -> None:
        """End all processes. Whoever waits for one of them is told that it is lost."""
        with self._turn:
            self._is_closed = True
            for process in self._all:
                process.end(is_idle=process in self._idle)
            self._starts.close()

    def _free(self) -> Process:
        """A process that is ready. One that dies while it starts is replaced; it had nothing in hand."""
        while True:
            process = None
            try:
                process, is_ready = self._idle_or_new()
                if is_ready:
                    return process
                process.get_ready()
            except (_Died, CannotStart) as error:
                self._note_failure(process, error)
            except BaseException:
                self._forget(process)
                raise
            else:
                self._failed = 0
                return process

    def _idle_or_new(self) -> tuple[Process, bool]:
        with self._turn:
            if self._is_closed:
                raise LbmigrateError("the run has ended")
            if self._idle:
                return self._idle.pop(), True
            self._all.append(process := Process(self._order, self._starts))
            return process, False

    def _note_failure(self, process: Process | None, error: _Died | CannotStart) -> None:
        self._forget(process)
        with self._turn:
            self._failed += 1
            self._news.append(f"{error}; another one is started")
            nobody_is_ready = not any(each.is_ready for each in self._all)
            if self._failed >= MOST_FAILED and nobody_is_ready and not self._is_closed:
                killed = (
                    error.was_killed if isinstance(error, CannotStart) else process is not None and process.was_killed
                )
                hint = NO_MEMORY if killed else PRINTED
                raise NotReady(f"no worker process gets ready to work: {error}", hint)

    def _forget(self, process: Process | None) -> None:
        if process is None:
            return
        process.end(is_idle=False)
        with self._turn:
            if process in self._all:
                self._all.remove(process)


def _named(task: Document) -> str:
    return str(task.get("row") or f"a task of {task['kind']}")
