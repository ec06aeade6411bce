"""The verb for what no incremental pass sees: recount."""

from __future__ import annotations

from functools import partial

from lbmigrate.backfill import recount as walk
from lbmigrate.checks.finding import refuse
from lbmigrate.checks.server import check_everything
from lbmigrate.config.model import Config
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.records import Recounted
from lbmigrate.run.connection import Connection, opened


def recount(where: Config | Connection, *, terms: Terms = Terms()) -> Recounted:
    """Count every range of the sources against the ledger, and read it again where the numbers differ, then roll up.

    Raises UsageError before the first backfill, and Refused, Locked, WorkRemains or Stopped as `backfill` does.
    """
    with opened(where) as connection:
        connection.refuse_untouched()
        refuse(check_everything(connection.context(), "recount"))
        with runner.started(connection, "recount", terms) as driver:
            found = driver.carry_out(walk.WORK, partial(walk.pieces, driver.context))
    return found if isinstance(found, Recounted) else Recounted()
