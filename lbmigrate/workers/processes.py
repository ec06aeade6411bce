"""Processes of this host that work for a run: each has a client of its own, and a pipe that leads to the run.

What they need to know goes through that pipe, so no secret stands on a command line. A process whose run is gone ends
at once, and signals are the run's affair: Ctrl-C reaches all of them, and none of them but the run heeds it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from pymongo.errors import PyMongoError

from lbmigrate.backfill.tasks import carry_out
from lbmigrate.config.model import Config
from lbmigrate.errors import LbmigrateError
from lbmigrate.mongo import errors_told
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.run.crew import Answer, Line, WorkerLost
from lbmigrate.run.pace import Pace
from lbmigrate.telling import secrets
from lbmigrate.workers.at_work import at_work, packed, unpacked

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 2.0  # seconds until a process that is to end, and does not, is killed
HINT = "where memory ran out: fewer --workers, or a smaller backfill.chunk_size; then lbmigrate run"


@dataclass(frozen=True, slots=True)
class Order:
    """What a process has to know of the run that it works for, and which words are secrets."""

    config: Config
    run: str
    fence: int
    secrets: frozenset[str]


class Process:
    """One process, as the run sees it."""

    def __init__(self, order: Order) -> None:
        self._here, there = multiprocessing.Pipe()
        self._process = SpawnProcess(target=work, args=(there, order), name="lbmigrate worker", daemon=True)
        resource_tracker.ensure_running()  # which else lets signals through again
        with _undisturbed():
            self._process.start()
        there.close()
        self.is_lost = ""

    def ask(self, task: Document, answer: Answer) -> Document:
        """What came of a task. Raises WorkerLost, after which the process is of no use."""
        try:
            self._here.send_bytes(packed({"task": task}))
            while "done" not in (said := unpacked(self._here.recv_bytes())):
                self._here.send_bytes(packed(answer(said["ask"])))
        except (EOFError, OSError) as error:
            self._process.join(PATIENCE)
            self.is_lost = f"worker process {self._process.pid} {_ended(self._process.exitcode)}"
            raise WorkerLost(f"{self.is_lost} with {_named(task)} in hand", HINT) from error
        except BaseException:
            self.is_lost = f"worker process {self._process.pid} was left alone"
            raise
        done: Document = said["done"]
        return done

    def end(self, is_idle: bool) -> None:
        """Have the process end: by itself where it is idle, and else at once, without its task."""
        if is_idle:
            self._here.close()
            self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()


class Processes:
    """As many processes as the run has `workers`, started when there is work for them."""

    def __init__(self, context: Context) -> None:
        fence = context.state.fence
        self._order = Order(context.config, context.run, fence or 0, secrets.known())
        self._pace: Pace = context.pace
        self._turn = threading.Lock()
        self._all: list[Process] = []
        self._idle: list[Process] = []
        self._news: list[str] = []
        self._is_closed = False

    def hands(self) -> int:
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

    def _free(self) -> Process:
        with self._turn:
            if self._is_closed:
                raise LbmigrateError("the run has ended")
            if self._idle:
                return self._idle.pop()
            process = Process(self._order)
            self._all.append(process)
            return process


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A process that is started within the block hears no signal before it has said what it does with them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with {code}" if code is not None else "does not answer"


def _named(task: Document) -> str:
    return str(task.get("row") or "a roll-up")


# --- in the process ------------------------------------------------------------------------------------------------


def work(pipe: Connection, order: Order) -> None:
    """Carry out one task after another, until the run closes the pipe."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.environ["NUMEXPR_NUM_THREADS"] = "1"  # the processes share the cores
    secrets.keep(order.secrets)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    with suppress(EOFError, OSError):
        _serve(pipe, order)


def _end_with_the_run() -> None:
    if run := multiprocessing.parent_process():
        run.join()
        os._exit(0)


def _serve(pipe: Connection, order: Order) -> None:
    def ask(asked: Document) -> Document:
        pipe.send_bytes(packed({"ask": asked}))
        return unpacked(pipe.recv_bytes())

    try:
        with at_work(order.config, order.run, order.fence) as context:
            while True:
                task = unpacked(pipe.recv_bytes())["task"]
                pipe.send_bytes(packed({"done": carry_out(context, task, ask)}))
    except (LbmigrateError, PyMongoError) as error:  # there is no way to the server
        pipe.recv_bytes()
        pipe.send_bytes(packed({"done": {"error": errors_told.as_document(error)}}))
