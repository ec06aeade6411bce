"""Where the chunks of a run are worked on, as it is typed."""

from __future__ import annotations

from enum import StrEnum

from lbmigrate.errors import UsageError
from lbmigrate.mongo import errors_told
from lbmigrate.mongo.faults import explain
from lbmigrate.records import Document
from lbmigrate.run.crew import NotReady

ALONE = "leave out --executor: threads do that work"


class Executor(StrEnum):
    """What works on the chunks of a run."""

    THREADS = "threads"
    PROCESSES = "processes"
    DASK = "dask"


def cannot_start(told: Document, uri: str, hint: str = "", who: str = "a worker") -> NotReady:
    """That a worker says it cannot work, for a reason that is not in what it was handed; `told` is its error.

    The hint of that is for whoever has typed the command of the run: without one it is that of the error.
    """
    error = explain(errors_told.as_error(told), uri)
    found = NotReady(f"{who} cannot work for this run: {error.message}", hint or error.hint or ALONE, error.details)
    found.exit_code = error.exit_code
    return found


def in_memory(executor: Executor) -> UsageError:
    """That a database in memory is for one process."""
    told = "the database in memory is that of one process, and no other one can reach it"
    return UsageError(f"--executor {executor}: {told}", ALONE)
