"""Where a step stands, by the state's own account."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from lbmigrate.migration.steps import Step
from lbmigrate.run.context import Context
from lbmigrate.state.statuses import StepStatus

UNDER_WAY = (StepStatus.APPLYING, StepStatus.REVERTING)


@dataclass(frozen=True, slots=True)
class StepOutlook:
    """A step, where it stands, and what is still to do. One that is under way is not finished."""

    number: int
    name: str
    status: StepStatus
    finished_at: dt.datetime | None
    todo: tuple[str, ...]


def standing(context: Context, step: Step, todo: tuple[str, ...] = ()) -> StepOutlook:
    """A step as it is on record, and what is still `todo`."""
    row = context.state.step(step.NUMBER)
    status = StepStatus(row.get("status", StepStatus.NEW))
    finished = None if status in UNDER_WAY else row.get("finishedAt")  # the row has when it was before
    return StepOutlook(step.NUMBER, step.NAME, status, finished, todo)
