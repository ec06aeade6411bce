"""The verb that looks ahead: plan."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from lbmigrate import commands
from lbmigrate.cli import options
from lbmigrate.cli.app import new_app
from lbmigrate.cli.invocation import Invocation, verb
from lbmigrate.errors import UsageError, WorkRemains
from lbmigrate.records import Document
from lbmigrate.workers.executor import Executor

if TYPE_CHECKING:
    from lbmigrate.estimate.estimate import Estimate

app = new_app()


@verb(
    app,
    "lbmigrate plan",
    "lbmigrate plan --estimate --executor processes --workers 4",
    "lbmigrate plan --json",
)
def plan(
    this: Invocation,
    estimate: options.Estimated = False,
    workers: options.Workers = None,
    executor: options.ExecutorOption = Executor.THREADS,
) -> None:
    """Show the steps, where they stand, and what a run would do.

    With --estimate also what it will take with such workers: time, disk, oplog and load. That looks at some thousand
    documents for some seconds, and writes nothing. Exits 3 when anything is pending.
    """
    _refuse_alone(this, estimate, workers, executor)
    with this.connected(tell=False) as connection:
        found = commands.plan(connection)
        expected = commands.estimate(connection, executor=executor, workers=workers) if estimate else None
    this.console.plan(found)
    more = _shown(this, expected) if expected else {}
    this.console.result({"verb": "plan", "pending": found.pending, **asdict(found), **more})
    if found.pending:
        fixes = [finding.fix for finding in found.findings if finding.level == "refusal"]
        fixes += [found.drift.next] if found.drift else []
        raise WorkRemains("work is pending", hint=fixes[0] if fixes else "lbmigrate run")


def _refuse_alone(this: Invocation, estimate: bool, workers: int | None, executor: Executor) -> None:
    """Raise UsageError for options that only an estimate heeds; variables may be meant for runs."""
    typed = {"--workers": workers is not None, "--executor": executor is not Executor.THREADS}
    for name, given in typed.items():
        if given and not estimate and f"LBMIGRATE_{name[2:].upper()}" not in this.variables:
            raise UsageError(
                f"{name} belongs to --estimate: a plan is the same for all", f"add --estimate, or leave out {name}"
            )


def _shown(this: Invocation, found: Estimate) -> Document:
    """Show an estimate; the same for `--json`."""
    from lbmigrate.estimate import advice  # noqa: PLC0415  a plan without one is shown sooner

    told = advice.findings(found)
    this.console.estimate(found, told)
    hours = advice.hours_at_this_rate(found)
    return {
        "estimate": {**asdict(found), "limit": found.limit, "oplog_hours": hours, "advice": [asdict(e) for e in told]}
    }
