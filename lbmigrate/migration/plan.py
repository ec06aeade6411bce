"""What a run would do, and how far everything is. Only looks; never writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lbmigrate.checks import rows
from lbmigrate.checks.data import check_data
from lbmigrate.checks.finding import Finding
from lbmigrate.ledger.begin_anew import ahead
from lbmigrate.migration import steps as migration
from lbmigrate.migration.standing import StepOutlook, standing
from lbmigrate.passes.beginning import beginning
from lbmigrate.passes.changed import changes
from lbmigrate.passes.outlook import SourceOutlook, outlook
from lbmigrate.passes.watermark import SETTLE, to_be_read_again
from lbmigrate.run.context import Context

if TYPE_CHECKING:
    from lbmigrate.reconcile.drift import Drift


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `plan` shows. `pending` decides its exit code; `drift` is what a changed configuration moves."""

    steps: tuple[StepOutlook, ...]
    sources: tuple[SourceOutlook, ...]
    findings: tuple[Finding, ...]
    drift: Drift | None = None

    @property
    def pending(self) -> bool:
        return any(step.todo for step in self.steps)


def look(context: Context) -> Plan:
    """Raises nothing for a database that the migration never touched, and leaves it untouched."""
    context.state.check_layout()
    context = ahead(context)
    findings = tuple(finding for finding in check_data(context) if finding.level != "ok")
    refused = {finding.subject for finding in findings if finding.level == "refusal"}
    moved = None if refused or not changes(context) else _moved(context)
    findings += () if refused else tuple(_rules(context, moved))
    sources = tuple(outlook(context, source) for source in context.config.sources if source.name not in refused)
    findings += tuple(rows.findings(context))
    steps = tuple(standing(context, step, tuple(step.pending(context, sources))) for step in migration.STEPS)
    return Plan(steps, sources, findings, moved)


def _moved(context: Context) -> Drift | None:
    from lbmigrate.reconcile.drift import drift  # noqa: PLC0415  it scores and adds up, where something has changed

    return drift(context)


def _rules(context: Context, moved: Drift | None) -> Iterator[Finding]:
    """What changed rules leave out, and what they would do to what is counted already; where the board begins.

    Reading again adds what the old rules left out; only a reconciliation changes or takes back what they have counted.
    """
    way = moved.next if moved else SETTLE
    for told in to_be_read_again(context):
        yield Finding("warning", "history", told, f"{way} reads it again; nothing counts twice")
    if here := beginning(context):
        yield Finding("ok", "history", str(here), f"to reach further back: {here.earlier}")
    if moved:
        yield from (Finding("warning", "drift", line) for line in moved.lines())
        yield Finding("warning", "rules", moved.summary, moved.next)
