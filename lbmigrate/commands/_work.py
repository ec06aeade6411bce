"""The verb that helps a run from another host: worker."""

from __future__ import annotations

from collections.abc import Callable

from lbmigrate.checks import rights
from lbmigrate.config.model import Config
from lbmigrate.ledger import binding
from lbmigrate.migration.runner import Terms
from lbmigrate.run.connection import Connection, opened
from lbmigrate.run.stop import Stop
from lbmigrate.workers.joining import Done, join


def _silence(_: str) -> None:
    """Whoever calls this from Python may want to hear nothing."""


def work(where: Config | Connection, *, terms: Terms = Terms(), tell: Callable[[str], None] = _silence) -> Done:
    """Work for the run that is going on until it ends, or `terms.stop` is asked; what was done.

    Raises UsageError where no run is going on, Refused where it is by another version or configuration, Stopped.
    """
    stop = terms.stop or Stop()
    with opened(where) as connection:
        rights.check(connection.context(), "worker")
        binding.refuse_foreign(connection.context())
        done = join(connection, stop, tell)
    stop.raise_if_asked("lbmigrate worker")
    return done
