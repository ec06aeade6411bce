"""A run is announced to whoever listens: its start, which they may refuse, and how it ended, when all is let go of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from lbmigrate.errors import LeaseLost, Mismatch, Refused, Stopped, WorkRemains
from lbmigrate.migration import status
from lbmigrate.migration.account import Account
from lbmigrate.records import Document, Listener, Report, Work
from lbmigrate.run.context import Context
from lbmigrate.state.operator import operator
from lbmigrate.state.statuses import RunStatus
from lbmigrate.telling.secrets import hidden

ENDS: tuple[tuple[type[BaseException], RunStatus], ...] = (
    (KeyboardInterrupt, RunStatus.INTERRUPTED),
    (Stopped, RunStatus.STOPPED),
    (WorkRemains, RunStatus.WORK_REMAINS),
    (LeaseLost, RunStatus.LEASE_LOST),
    (Mismatch, RunStatus.MISMATCH),
    (Refused, RunStatus.REFUSED),
    (BaseException, RunStatus.FAILED),
)


def ended_by(error: BaseException) -> RunStatus:
    """The status of a run that this error has ended."""
    return next(status for kind, status in ENDS if isinstance(error, kind))


@dataclass(slots=True)
class Announced:
    """One run as others hear of it. The end is told only of what was begun: not of a run that found the lock taken."""

    context: Context
    account: Account
    listen: Listener
    verb: str
    command: str
    monotonic: Callable[[], float] = time.monotonic
    _began: float | None = None

    def begin(self) -> None:
        """Tell the start. Raises Refused where a listener does not want it."""
        self._began = self.monotonic()
        self.listen(Report("start", Work(self.verb), facts=self._facts()))

    @contextmanager
    def to_its_end(self) -> Iterator[None]:
        """Around all of the run, its lock and its record: tells how it ended."""
        outcome, error = RunStatus.DONE, ""
        try:
            yield
        except BaseException as caught:
            outcome, error = ended_by(caught), hidden(str(caught))[:2000]
            raise
        finally:
            if self._began is not None:
                took = round(self.monotonic() - self._began, 3)
                ended = {"outcome": outcome.value, "error": error, "seconds": took, "last_work": self.account.title}
                facts = {**self._facts(), **self.account.sums(), **ended}
                look = partial(status.status, self.context)
                self.listen(Report("finish", Work(self.verb), facts=facts, look=look))

    def _facts(self) -> Document:
        database = self.context.config.database.name
        known = {"run": self.context.run, "verb": self.verb, "command": self.command}
        return {**known, "database": database, "by": operator()}
