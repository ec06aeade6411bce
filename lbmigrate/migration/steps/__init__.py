"""The migration's six steps, in the order in which they are applied.

A step is a module with a NUMBER, a NAME and four functions; all that is said of a step stands in its module. `apply`
and `revert` are iterators of pieces: they make a piece of work durable, yield it, and whoever iterates saves its
checkpoint before asking for the next. Both may be stopped after any piece, killed at any instant, and called again:
they do only what is still to be done. When `context.stopping()` turns true they finish what they have begun and return.
`pending` and `preview` only look: what a run would do, and what a rollback would do, a sentence each.

The name of the module has the step's number and name. A module is imported when its step is to do or to say something:
most verbs need one of them, or none.

A new step is a module here and a line in STEPS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from lbmigrate.records import Piece, Work
from lbmigrate.run.context import Context

if TYPE_CHECKING:
    from lbmigrate.passes.outlook import SourceOutlook


class Step(Protocol):
    """What every step has, and its module."""

    @property
    def NUMBER(self) -> int: ...  # noqa: N802  a module's constant

    @property
    def NAME(self) -> str: ...  # noqa: N802  a module's constant

    def apply(self, context: Context) -> Iterator[Piece]: ...

    def revert(self, context: Context) -> Iterator[Piece]: ...

    def pending(self, context: Context, sources: Sequence[SourceOutlook]) -> Iterator[str]: ...

    def preview(self, context: Context) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class Named:
    """A step by the name of its module."""

    module: str

    @property
    def NUMBER(self) -> int:  # noqa: N802  a module's constant
        return int(self.module.removeprefix("s").partition("_")[0])

    @property
    def NAME(self) -> str:  # noqa: N802  a module's constant
        return self.module.partition("_")[2].replace("_", "-")

    def apply(self, context: Context) -> Iterator[Piece]:
        return self.itself.apply(context)

    def revert(self, context: Context) -> Iterator[Piece]:
        return self.itself.revert(context)

    def pending(self, context: Context, sources: Sequence[SourceOutlook]) -> Iterator[str]:
        return self.itself.pending(context, sources)

    def preview(self, context: Context) -> Iterator[str]:
        return self.itself.preview(context)

    @property
    def SWITCH(self) -> Any:  # noqa: N802  a module's constant
        """The side of the flag that the step turns on; None for a step that is no switch."""
        return getattr(self.itself, "SWITCH", None)

    @property
    def itself(self) -> Step:
        """The module."""
        return import_module(f"{__name__}.{self.module}")


CREATE_COLLECTIONS = Named("s1_create_collections")
CREATE_INDEXES = Named("s2_create_indexes")
DUAL_WRITE = Named("s3_dual_write")
BACKFILL = Named("s4_backfill")
VERIFY = Named("s5_verify")
CUT_OVER = Named("s6_cut_over")
STEPS: tuple[Step, ...] = (CREATE_COLLECTIONS, CREATE_INDEXES, DUAL_WRITE, BACKFILL, VERIFY, CUT_OVER)


def has(steps: Sequence[Step], *asked: Step) -> bool:
    """Whether one of the steps that are asked about is among `steps`."""
    return not {step.NUMBER for step in steps}.isdisjoint(step.NUMBER for step in asked)


def turned_off(context: Context, steps: Sequence[Step]) -> list[str]:
    """Who turned off what these steps turn on, a sentence for each: a run asks before it applies them again."""
    switches = (getattr(step, "SWITCH", None) for step in steps)
    found = (switch.turned_off(context) for switch in switches if switch)
    return [sentence for sentence in found if sentence]


def see_to_it(steps: Sequence[Step]) -> bool:
    """Whether one of these steps looks whether the state and the ledger have come apart, and settles it or refuses."""
    return has(steps, CREATE_COLLECTIONS, BACKFILL)


def work_of(step: Step) -> Work:
    """A step as it is reported."""
    return Work(step.NAME, step.NUMBER)
