"""A Dask cluster that works for a run: one that is there, or one of this host for as long as the run takes.

Nothing secret is in a task: a worker reads its own configuration, and where the server is from its own environment. One
of this host is handed both there by the run. Dask does a task of a worker that is lost once more by itself, so each is
handed out as one that somebody may have tried.
"""

from __future__ import annotations

import base64
import itertools
import logging
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import resource_tracker
from typing import Any

from lbmigrate.config.model import Config
from lbmigrate.errors import LbmigrateError
from lbmigrate.ledger.emitted import Seen
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.run.crew import Answer, Line, WorkerLost
from lbmigrate.state.mailbox import Post
from lbmigrate.telling import secrets
from lbmigrate.workers.at_work import packed, unpacked
from lbmigrate.workers.child import undisturbed
from lbmigrate.workers.dask_hints import DESERTED, Hints, hints
from lbmigrate.workers.executor import cannot_start
from lbmigrate.workers.joining import marks
from lbmigrate.workers.on_dask import BEGINS, HANDED, work

TICK = 0.05  # seconds between two looks at whether a worker asks something
LOOK = 5.0  # … at whether there are workers
FETCHED = 10.0  # seconds in which the result of a task is there, if the worker that has it lives
CONNECT = "15s"
LOGGERS = ("distributed", "distributed.client")  # each has a handler of its own, and a line of theirs is no JSON


class Presence:
    """Whether the cluster has workers: without any, what is handed out would be waited for without an end.

    One of this host is kept at as many as the run has had at most: Dask gives up on one that dies while it starts.
    """

    def __init__(
        self, client: Any, workers: Callable[[], int], hints: Hints, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._workers, self._most, self._hints = client, workers, 1, hints
        self._monotonic, self._turn = monotonic, threading.Lock()
        self._seen = self._looked = monotonic()
        self._news: list[str] = []
        self._is_told = False

    def check(self) -> None:
        """Raise LbmigrateError where there has been no worker for DESERTED seconds. Asks now and then."""
        with self._turn:
            if self._monotonic() - self._looked < LOOK:
                return
            self._most = max(self._most, self._workers())
            if self._client.cluster is not None:
                self._client.cluster.scale(self._most)
            if self._is_somebody():
                self._seen, self._is_told = self._monotonic(), False
            elif not self._is_told:
                self._news, self._is_told = [*self._news, self._hints.waiting], True
            self._looked = self._monotonic()
        if self._looked - self._seen > DESERTED:
            raise LbmigrateError(f"no worker has been at the Dask scheduler for {DESERTED:.0f} s", self._hints.nobody)

    def news(self) -> list[str]:
        """That nobody is there, once each time that it begins."""
        with self._turn:
            told, self._news = self._news, []
        return told

    def _is_somebody(self) -> bool:
        try:
            return bool(self._client.ncores())
        except (OSError, TimeoutError):  # the scheduler does not answer: who waits for a task is told so
            return True


class DaskLine:
    """The way to any worker of the cluster."""

    def __init__(
        self, client: Any, post: Post, order: Document, number: int, uri: str, presence: Presence, hints: Hints
    ) -> None:
        self._client, self._post, self._order, self._number, self._uri = client, post, order, number, uri
        self._presence, self._hints = presence, hints

    def ask(self, task: Document, answer: Answer) -> Document:
        """What came of a task. Raises WorkerLost, and LbmigrateError where the scheduler is gone."""
        if task.get("seen") == Seen.OVERLAP.value:
            task = {**task, "seen": Seen.RETRY.value}
        order = {**self._order, "number": self._number}
        asks, heard = task["perSecond"] is not None or task["asks"], dict[str, int]()
        future = self._client.submit(work, packed(order), packed(task), pure=False, key=_key(task, self._number))
        while (came := self._result(future) if future.done() else None) is None:
            if asks:
                self._answer_all(heard, answer)
            self._presence.check()
            time.sleep(TICK)
        found = unpacked(came)
        if "unready" in found:
            raise cannot_start(found["unready"], self._uri, self._hints.unready, f"the Dask worker with {found['who']}")
        return found

    def _answer_all(self, heard: dict[str, int], answer: Answer) -> None:
        """Answer what was not answered yet; `heard` has up to which question whoever had the task was."""
        for row in self._post.asking(self._number):
            name, turn, asked = row["_id"], row["ask"]["m"], unpacked(row["ask"]["body"])
            if heard.get(name, 0) >= turn:
                continue
            told = {"again": bool(heard.keys() - {name})} if BEGINS in asked else answer(asked)
            heard[name] = turn
            self._post.answer(name, self._number, turn, packed(told))

    def _result(self, future: Any) -> bytes | None:
        """What a task that is done has come to; None where it is not to be had, and whoever works it out again asks.

        So it is where a worker is killed before its result was fetched.
        """
        from distributed import CancelledError, KilledWorker  # noqa: PLC0415  an extra

        try:
            found: bytes = future.result(timeout=FETCHED)
        except TimeoutError:
            return None
        except KilledWorker as error:
            raise WorkerLost(f"workers of the Dask cluster died of a task: {error}", self._hints.killed) from error
        except (CancelledError, OSError) as error:
            told = "the scheduler of the Dask cluster is gone"
            raise LbmigrateError(told, self._hints.gone) from error
        except Exception as error:
            told = f"a worker of the Dask cluster cannot do this work: {secrets.hidden(repr(error))}"
            raise LbmigrateError(told, self._hints.another_version) from error
        return found


def _most(context: Context) -> int:
    """As many as were asked for, or more where `tune` has asked for more."""
    return max(context.workers, context.pace.threads())


def _key(task: Document, number: int) -> str:
    """By what the task is called on the dashboard: the row of a chunk, or the kind of work; nobody's id."""
    return f"{task.get('row') or task['kind']}-{number}"


class DaskCrew:
    """The cluster; so many tasks are handed out at the same time as the run has `workers`."""

    def __init__(self, context: Context, client: Any, scheduler: str | None) -> None:
        self._pace, self._client = context.pace, client
        self._post, self._numbers = Post(context.state, context.run), itertools.count(1)
        wanted = partial(_most, context)
        self._uri, self._hints = context.config.database.uri, hints(scheduler)
        self._presence = Presence(client, wanted, self._hints)
        self._order = {"run": context.run, "fence": context.state.fence or 0, "marks": marks(context.config)}

    def hands(self) -> int:
        return self._pace.threads()

    def helpers(self) -> int:
        return self._pace.threads()

    @contextmanager
    def line(self) -> Iterator[Line | None]:
        order, number = self._order, next(self._numbers)
        yield DaskLine(self._client, self._post, order, number, self._uri, self._presence, self._hints)

    def news(self) -> list[str]:
        return self._presence.news()

    def close(self) -> None:
        """Send the workers home; the cluster ends with its own block."""
        self._post.close()


@contextmanager
def crew(context: Context, scheduler: str | None) -> Iterator[DaskCrew]:
    """The crew of a run that a cluster works for. Raises LbmigrateError where there is none."""
    with _client(context, scheduler) as client:
        found = DaskCrew(context, client, scheduler)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def _client(context: Context, scheduler: str | None) -> Iterator[Any]:
    import distributed  # noqa: PLC0415  an extra

    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they have to say comes back as errors, and is told
    with ExitStack() as later:
        try:
            address = scheduler or later.enter_context(_of_this_host(context))
            client = later.enter_context(distributed.Client(address, timeout=CONNECT, set_as_default=False))
        except (OSError, ValueError) as error:
            what = f"there is no Dask scheduler at {scheduler}" if scheduler else "no Dask cluster starts on this host"
            told = f"{what}: {secrets.hidden(str(error))}"
            raise LbmigrateError(told, hints(scheduler).no_cluster) from error
        yield client


@contextmanager
def _of_this_host(context: Context) -> Iterator[Any]:
    """A cluster that nobody but this process can talk to: its members know each other by certificates."""
    from distributed import LocalCluster  # noqa: PLC0415  an extra
    from distributed.security import Security  # noqa: PLC0415

    handed = {HANDED: packed_config(context.config), "NUMEXPR_NUM_THREADS": "1"}
    shape = {"n_workers": context.workers, "threads_per_worker": 1, "dashboard_address": None}
    more = {"env": handed, "silence_logs": 50, "local_directory": os.environ.get("TMPDIR")}
    resource_tracker.ensure_running()  # which else lets signals through again
    with undisturbed():  # what starts its processes, now and later, is a thread that is begun in here
        cluster = LocalCluster(**shape, security=Security.temporary(), **more)
    with cluster as found:
        yield found


def packed_config(config: Config) -> str:
    """A configuration as a variable of the environment of our own children."""
    return base64.b64encode(pickle.dumps((config, secrets.known()))).decode()
