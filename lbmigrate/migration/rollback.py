"""What a rollback would do, before it does it. Only looks; never writes. What each step says of itself stands there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lbmigrate.migration.steps import DUAL_WRITE, Step, has
from lbmigrate.run.context import Context


@dataclass(frozen=True, slots=True)
class StepPreview:
    """One step of the way back, and what reverting it would do, a sentence each."""

    number: int
    name: str
    lines: tuple[str, ...]


def preview(context: Context, steps: Sequence[Step]) -> tuple[StepPreview, ...]:
    """The steps in the order in which they would be reverted."""
    lines = {step: list(step.preview(context)) for step in reversed(steps)}
    if has(steps, DUAL_WRITE) and DUAL_WRITE.SWITCH.is_on(context):
        next(iter(lines.values())).append("turn write off: the app stops recording")
    return tuple(StepPreview(step.NUMBER, step.NAME, tuple(said)) for step, said in lines.items())
