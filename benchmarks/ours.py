"""The product: step 4 of the migration as the command line climbs it, without the drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from benchmarks.stage import WORKERS, Figures, Stage, Work, config
from lbmigrate.migration import runner
from lbmigrate.migration.steps import STEPS, Step
from lbmigrate.run.connection import Session, connect


@contextmanager
def first_run(stage: Stage) -> Iterator[Work]:
    """Steps 1 to 3 before the clock starts, step 4 while it runs."""
    with connect(config(stage)) as opened:
        _climb(opened, STEPS[:3])
        yield partial(_climb, opened, STEPS[3:4])


@contextmanager
def later_run(stage: Stage) -> Iterator[Work]:
    """Step 4 again, after a first run."""
    with connect(config(stage)) as opened:
        yield partial(_climb, opened, STEPS[3:4])


def _climb(opened: Session, steps: Sequence[Step]) -> Figures:
    context = opened.context(run=runner.new_run(), workers=WORKERS)
    lease = opened.lease("make bench")
    with runner.recorded(context, lease, "backfill", {}):
        reports = [report for report in runner.climb(context, steps, lease.check) if report.event == "end"]
    return {"read": reports[-1].counts.read, "emitted": reports[-1].counts.emitted}
