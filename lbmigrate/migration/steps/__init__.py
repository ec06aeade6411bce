"""The migration's six steps, in the order in which they are climbed.

A step is a module with a NUMBER, a NAME and two functions, `apply(context)` and `revert(context)`. Both are iterators
of pieces: they make a piece of work durable, yield it, and whoever iterates saves its checkpoint before asking for the
next. Both may be stopped after any piece, killed at any instant, and called again: they do only what is still to be
done. When `context.stopping()` turns true they finish what they have begun and return.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from lbmigrate.migration.steps import (
    s1_create_collections,
    s2_create_indexes,
    s3_dual_write,
    s4_backfill,
    s5_verify,
    s6_cut_over,
)
from lbmigrate.records import Piece
from lbmigrate.run.context import Context


class Step(Protocol):
    """What every step module has."""

    @property
    def NUMBER(self) -> int: ...  # noqa: N802  a module's constant

    @property
    def NAME(self) -> str: ...  # noqa: N802  a module's constant

    def apply(self, context: Context) -> Iterator[Piece]: ...

    def revert(self, context: Context) -> Iterator[Piece]: ...


STEPS: tuple[Step, ...] = (
    s1_create_collections,
    s2_create_indexes,
    s3_dual_write,
    s4_backfill,
    s5_verify,
    s6_cut_over,
)
