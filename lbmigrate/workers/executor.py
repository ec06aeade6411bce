"""Where the chunks of a run are worked on, as it is typed."""

from __future__ import annotations

from enum import StrEnum

from lbmigrate.errors import UsageError


class Executor(StrEnum):
    """What works on the chunks of a run."""

    THREADS = "threads"
    PROCESSES = "processes"
    DASK = "dask"


def in_memory(executor: Executor) -> UsageError:
    """That a database in memory is for one process."""
    told = "the database in memory is that of one process, and no other one can reach it"
    return UsageError(f"--executor {executor}: {told}", "leave out --executor: threads do that work")
