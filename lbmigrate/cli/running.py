"""A run as the command line starts it: under the lease, on record, heeding signals and limits."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

from lbmigrate.cli.desk import Desk
from lbmigrate.migration import runner
from lbmigrate.migration.steps import Step
from lbmigrate.records import Document
from lbmigrate.run.connection import Session
from lbmigrate.run.context import Context
from lbmigrate.run.stop import Brake, Limits

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a run is started: its lease, how long it waits for that (seconds), and its limits."""

    lock_ttl: float = 60.0
    wait_lock: float = 0.0
    limits: Limits = field(default_factory=Limits)
    workers: int | None = None


REHEARSAL = Terms(lock_ttl=DAY, workers=1)  # nobody else can reach an in-memory database


def unchecked() -> None:
    """The lease is all that guards a real run."""


def climb(
    desk: Desk,
    session: Session,
    steps: Sequence[Step],
    context: Context,
    word: str,
    terms: Terms,
    check: runner.Guard = unchecked,
) -> Document:
    """Take the lease, apply the steps, and tell what became of the documents. `check` guards beside the lease."""
    context = replace(context, workers=terms.workers or session.config.backfill.workers)
    with running(desk, session, context, word, terms) as (started, guard):

        def both() -> None:
            guard()
            check()

        counts = desk.console.follow(runner.climb(started, steps, both))
    return asdict(counts)


@contextmanager
def running(
    desk: Desk, session: Session, context: Context, word: str, terms: Terms, command: str = ""
) -> Iterator[tuple[Context, runner.Guard]]:
    """A recorded run under the lease; ends in Stopped or WorkRemains when something ended it early.

    `command` is what the records say was typed, where they must not say what was.
    """
    again = command or shlex.join(["lbmigrate", *sys.argv[1:]])
    lease = session.lease(again, terms.lock_ttl, terms.wait_lock)
    brake = Brake(terms.limits)
    with desk.heeding_signals(brake):
        started = replace(context, run=runner.new_run(), brake=brake)
        with runner.recorded(started, lease, word, {"command": again}):
            yield started, lease.check
            brake.release(again)
