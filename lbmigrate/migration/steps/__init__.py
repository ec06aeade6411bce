"""The migration's six steps, in the order in which they are applied.

A step is a module with a NUMBER, a NAME and four functions; all that is said of a step stands in its module. `apply`
and `revert` are iterators of pieces: they make a piece of work durable, yield it, and whoever iterates saves its
checkpoint before asking for the next. Both may be stopped after any piece, killed at any instant, and called again:
they do only what is still to be done. When `context.stopping()` turns true they finish what they have begun and return.
`pending` and `preview` only look: what a run would do, and what a rollback would do, a sentence each.

A new step is a module here and a line in STEPS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from lbmigrate.migration.steps import (
    s1_create_collections,
    s2_create_indexes,
    s3_dual_write,
    s4_backfill,
    s5_verify,
    s6_cut_over,
)
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.records import Piece, Work
from lbmigrate.run.context import Context


class Step(Protocol):
    """What every step module has."""

    @property
    def NUMBER(self) -> int: ...  # noqa: N802  a module's constant

    @property
    def NAME(self) -> str: ...  # noqa: N802  a module's constant

    def apply(self, context: Context) -> Iterator[Piece]: ...

    def revert(self, context: Context) -> Iterator[Piece]: ...

    def pending(self, context: Context, sources: Sequence[SourceOutlook]) -> Iterator[str]: ...

    def preview(self, context: Context) -> Iterator[str]: ...


STEPS: tuple[Step, ...] = (
    s1_create_collections,
    s2_create_indexes,
    s3_dual_write,
    s4_backfill,
    s5_verify,
    s6_cut_over,
)


def turned_off(context: Context, steps: Sequence[Step]) -> list[str]:
    """Who turned off what these steps turn on, a sentence for each: a run asks before it applies them again."""
    switches = (getattr(step, "SWITCH", None) for step in steps)
    found = (switch.turned_off(context) for switch in switches if switch)
    return [sentence for sentence in found if sentence]


def see_to_it(steps: Sequence[Step]) -> bool:
    """Whether one of these steps looks whether the state and the ledger have come apart, and settles it or refuses."""
    return s1_create_collections in steps or s4_backfill in steps


def work_of(step: Step) -> Work:
    """A step as it is reported."""
    return Work(step.NAME, step.NUMBER)
