"""The product: step 4 of the migration as the command line applies it, without the drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

from benchmarks.stage import WORKERS, Figures, Stage, Work, config
from lbmigrate import commands
from lbmigrate.ledger import by_shape, emit, fold_by_index, rollup  # noqa: F401  a run loads these when it wants them;
from lbmigrate.migration import runner, verifying  # noqa: F401  imports are outside the clock, for ours as for the floor
from lbmigrate.migration.runner import Terms
from lbmigrate.migration.steps import STEPS, Step, s4_backfill, s5_verify  # noqa: F401  as above
from lbmigrate.records import Counts
from lbmigrate.run.connection import Connection, connect
from lbmigrate.run.context import Scope, VerifyOptions

SAMPLED = 20_000  # tasks of a dry run


@contextmanager
def first_run(stage: Stage) -> Iterator[Work]:
    """Steps 1 to 3 before the clock starts, step 4 while it runs."""
    with connect(config(stage)) as opened:
        apply(opened, STEPS[:3])
        yield partial(apply, opened, STEPS[3:4])


@contextmanager
def one_by_one(stage: Stage) -> Iterator[Work]:
    """The same where every document goes by itself, as those do that have no shape in common with others."""
    never = patch.object(by_shape, "applies", lambda *_: False), patch.object(rollup, "first_entries", lambda *_: None)
    with never[0], never[1], first_run(stage) as work:
        yield work


@contextmanager
def later_run(stage: Stage) -> Iterator[Work]:
    """Step 4 again, after a first run."""
    with connect(config(stage)) as opened:
        yield partial(apply, opened, STEPS[3:4])


@contextmanager
def verify_everything(stage: Stage) -> Iterator[Work]:
    """`verify --full`: every entry, event and task against each other."""
    with connect(config(stage)) as opened:
        yield partial(apply, opened, STEPS[4:5], VerifyOptions(full=True))


@contextmanager
def reconcile(stage: Stage) -> Iterator[Work]:
    """`reconcile` where every source agrees with the ledger: it reads all, and adds nothing."""
    with connect(config(stage)) as opened:

        def work() -> Figures:
            found = commands.reconcile(opened, terms=Terms(workers=WORKERS, command="make bench"))
            return {"read": found.counts.read, "adjusted": found.counts.adjusted}

        yield work


@contextmanager
def dry_run(stage: Stage) -> Iterator[Work]:
    """`run --dry-run` of a part of the tasks, which it keeps in memory; scaled up afterwards."""

    def work() -> Figures:
        share = min(1.0, SAMPLED / stage.docs)
        report = commands.dry_run(config(stage), to=4, scope=Scope(share=share), terms=Terms(workers=WORKERS)).report
        return {"emitted": report["counts"]["emitted"]}

    yield work


def apply(opened: Connection, steps: Sequence[Step], verify: VerifyOptions | None = None) -> Figures:
    terms = Terms(workers=WORKERS, command="make bench")
    with runner.started(opened, "backfill", terms, verify=verify) as driver:
        counts = driver.apply(steps).get("backfill")
    return {"read": counts.read, "emitted": counts.emitted} if isinstance(counts, Counts) else {}
