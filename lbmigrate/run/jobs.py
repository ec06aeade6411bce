"""Work that may leave the process: one way for all of it, whatever is done and whoever does it.

The run keeps the lease and the ledger of what is done; a worker is handed one item at a time as a document, and what
came of it comes back as one. Each kind of work says how it is done here, and how both documents are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from math import ceil
from typing import Any, ClassVar, Generic, TypeVar

from pymongo.errors import PyMongoError

from lbmigrate.errors import LbmigrateError, LeaseLost
from lbmigrate.mongo import errors_told
from lbmigrate.mongo.faults import AGAIN
from lbmigrate.records import Document
from lbmigrate.run.context import Context
from lbmigrate.run.crew import Answer, Line, NotReady, WorkerLost, carried_out
from lbmigrate.run.workers import Held, News, in_order, nothing_new, overlapped

T = TypeVar("T")
R = TypeVar("R")
LEFT = "left"  # a worker's word for what it leaves to the run: what came of it is too much to be sent, or cannot be

Ask = Callable[[Document], Document]
Way = Callable[[Context, Document, Ask], Document]  # how a worker carries out a task


class Job(Generic[T, R]):
    """One kind of work on items. `NAME` is what a worker knows it by.

    A worker `ASKS` where it needs to know what only the run knows of all of them. One that `COUNTS` attempts is told
    of them by a Dask cluster too, which hands on what a lost worker had by itself.
    """

    NAME: ClassVar[str]
    ASKS: ClassVar[bool] = False
    COUNTS: ClassVar[bool] = False
    context: Context

    def here(self, item: T) -> R:
        """Do it in this thread."""
        raise NotImplementedError

    def task(self, item: T) -> Document:
        """What a worker needs to know to do it."""
        raise NotImplementedError

    def came_to(self, item: T, found: Document) -> R:
        """What a worker says of an item."""
        raise NotImplementedError

    def again(self, item: T) -> T:
        """The item for somebody else: whoever had it is gone."""
        return item

    def failed(self, item: T, error: LbmigrateError | PyMongoError) -> R:
        """What an error in a worker makes of an item; raised by default."""
        raise error

    def answer(self, asked: Document) -> Document:
        """What a worker is told that asks."""
        raise NotImplementedError

    def hands(self) -> int:
        """How many items may be worked on at the same time."""
        return self.context.hands()


def others(context: Context) -> int:
    """How many others work for the run, for work that it does itself, one item after the other, where nobody does."""
    return max(1, context.crew.helpers()) if context.crew else 1


def evenly(total: int, most: int, hands: int, least: int = 1) -> int:
    """How many to hand out at a time, so that the hands end at the same time: at most `most`, and at least `least`."""
    rounds = ceil(total / (most * hands))
    return min(most, max(least, ceil(total / (rounds * hands)))) if rounds else most


def shared_out(job: Job[T, R], items: Iterable[T | Held], *, ordered: bool = False) -> Iterator[R | Held | News]:
    """What comes of every item, done by whoever works for the run: as they finish, or `ordered` as the items are.

    Between them what holds the run, and what has happened to its workers.
    """
    crew = job.context.crew
    news = crew.news if crew else nothing_new
    for came in (in_order if ordered else overlapped)(partial(_done, job), items, job.hands, news):
        yield from map(News, news())
        yield came


def _done(job: Job[T, R], item: T) -> R:
    if job.context.crew is None:
        return job.here(item)
    try:
        return carried_out(job.context.crew, item, partial(_away, job), job.here, job.again)
    except NotReady:
        raise
    except (LbmigrateError, PyMongoError) as error:
        return job.failed(item, error)


def _away(job: Job[T, R], item: T, line: Line) -> R:
    """Have a worker do it. Raises WorkerLost, and what the worker met."""
    context = job.context
    asks = {"asks": job.ASKS, "counts": job.COUNTS, "perSecond": context.pace.per_second}
    task = {"kind": job.NAME, "scope": asdict(context.scope), "now": context.clock(), **asks, **job.task(item)}
    found = line.ask(task, _answer(job))
    if "error" in found:
        raise met(found["error"])
    return job.here(job.again(item)) if LEFT in found else job.came_to(item, found)


def met(told: Document) -> LbmigrateError | PyMongoError:
    """What a worker says it has met. Raises WorkerLost where that is that it was given up, or may have been.

    It has slept, or could not say for a while that it is there; where the run itself was overtaken, that shows when the
    item is handed on.
    """
    error = errors_told.as_error(told)
    if isinstance(error, LeaseLost):
        raise WorkerLost(f"a worker has stopped in the middle: {error.message}", AGAIN) from error
    return error


def _answer(job: Job[Any, Any]) -> Answer:
    """What a worker is told: that it may read so many documents now, or what the work needs besides."""

    def answer(asked: Document) -> Document:
        if "read" in asked:
            job.context.pace.take(asked["read"], job.context.stop)
            return {}
        try:
            return job.answer(asked)
        except (LbmigrateError, PyMongoError) as error:
            return {"error": errors_told.as_document(error)}

    return answer
