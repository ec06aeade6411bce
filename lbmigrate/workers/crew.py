"""Who works for a run: its own threads or processes, by the executor that was asked for, and whoever has joined it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lbmigrate.errors import UsageError
from lbmigrate.mongo.concerns import is_fake
from lbmigrate.run.context import Context
from lbmigrate.run.crew import Crew, Line
from lbmigrate.state.mailbox import Post
from lbmigrate.values.excerpts import excerpt
from lbmigrate.workers.executor import ALONE, Executor, in_memory
from lbmigrate.workers.hosts import Hosts

if TYPE_CHECKING:
    from lbmigrate.workers.processes import Processes


class Everybody:
    """The workers of a run on a server. Without `own` ones its threads work themselves."""

    def __init__(self, context: Context, own: Processes | None) -> None:
        self._pace, self._own = context.pace, own
        self._hosts = Hosts(Post(context.state, context.run))
        self._news: list[str] = []

    def hands(self) -> int:
        return self._pace.threads() + len(self._hosts)

    def helpers(self) -> int:
        return len(self._hosts) + (self._own.helpers() if self._own else 0)

    @contextmanager
    def line(self) -> Iterator[Line | None]:
        if host := self._hosts.take():
            try:
                yield host
            finally:
                if told := self._hosts.give_back(host):
                    self._news.append(f"{told}; what it had in hand is done once more")
        elif self._own:
            with self._own.line() as line:
                yield line
        else:
            yield None

    def news(self) -> list[str]:
        told, self._news = self._news, []
        return told + (self._own.news() if self._own else [])

    def close(self) -> None:
        """End all processes, and send home who has joined."""
        if self._own:
            self._own.close()
        self._hosts.close()


@contextmanager
def of(context: Context, executor: Executor, scheduler: str | None = None) -> Iterator[Crew | None]:
    """The crew of a run that holds the lease; None where its own threads do all the work.

    Nobody joins a run beside the runs, whose lease has no fence: what is done there does not hang on one.
    """
    beside = not context.state.fence
    if is_fake(context.target) or (beside and executor == Executor.THREADS):
        yield None
        return
    if executor == Executor.DASK:
        from lbmigrate.workers import dask_cluster  # noqa: PLC0415  an incremental run of threads starts faster

        with dask_cluster.crew(context, scheduler) as found:
            yield found
        return
    own = _processes(context) if executor == Executor.PROCESSES else None
    crew = own if own and beside else Everybody(context, own)
    try:
        yield crew
    finally:
        crew.close()


def _processes(context: Context) -> Processes:
    from lbmigrate.workers.processes import Processes  # noqa: PLC0415  as above

    return Processes(context)


def refuse_unusable(context: Context, executor: Executor) -> None:
    """Raise UsageError for what is none, where what the work is done on is in this very process, and without Dask."""
    if executor not in tuple(Executor):
        raise UsageError(f"no executor is called {excerpt(executor)}", f"name one of {', '.join(Executor)}")
    if executor != Executor.THREADS and (is_fake(context.target) or is_fake(context.sources)):
        raise in_memory(executor)
    if executor == Executor.DASK and find_spec("distributed") is None:
        raise UsageError("Dask is not installed here", f"pip install 'lbmigrate[dask]', or {ALONE}")
