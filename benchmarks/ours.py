"""The product: step 4 of the migration as the command line applies it, without the drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from benchmarks.stage import WORKERS, Figures, Stage, Work, config
from lbmigrate.migration import runner
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import STEPS, Step
from lbmigrate.records import Counts
from lbmigrate.run.connection import Connection, connect


@contextmanager
def first_run(stage: Stage) -> Iterator[Work]:
    """Steps 1 to 3 before the clock starts, step 4 while it runs."""
    with connect(config(stage)) as opened:
        _apply(opened, STEPS[:3])
        yield partial(_apply, opened, STEPS[3:4])


@contextmanager
def later_run(stage: Stage) -> Iterator[Work]:
    """Step 4 again, after a first run."""
    with connect(config(stage)) as opened:
        yield partial(_apply, opened, STEPS[3:4])


def _apply(opened: Connection, steps: Sequence[Step]) -> Figures:
    with runner.started(opened, "backfill", Terms(workers=WORKERS, command="make bench")) as driver:
        counts = driver.apply(steps).get("backfill")
    return {"read": counts.read, "emitted": counts.emitted} if isinstance(counts, Counts) else {}
