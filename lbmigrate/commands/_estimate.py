"""The verb that says what a run will take. It writes nothing."""

from __future__ import annotations

from lbmigrate.config.model import Config
from lbmigrate.estimate import estimate as estimating
from lbmigrate.estimate.estimate import Estimate
from lbmigrate.ledger.begin_anew import ahead
from lbmigrate.mongo.client import retrying
from lbmigrate.run.connection import Connection, opened
from lbmigrate.workers.executor import Executor


def estimate(
    where: Config | Connection, *, executor: Executor = Executor.THREADS, workers: int | None = None
) -> Estimate:
    """What a run will take with such workers: time, disk, oplog and load, each with its error.

    Looks at some thousand documents for some seconds at most, and writes nothing. Raises UsageError for a database in
    memory.
    """
    with opened(where) as connection:
        context = connection.context(workers=workers or connection.config.backfill.workers)
        return retrying(lambda: estimating.estimate(ahead(context), executor))
