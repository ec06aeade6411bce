"""What two numbers that differ may mean, for single users and on the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lbmigrate.board.profiles import profiles_of
from lbmigrate.counter.agreement import CLOSE, Agreement, Differs
from lbmigrate.passes.beginning import beginning
from lbmigrate.records import amount
from lbmigrate.run.context import Context
from lbmigrate.values.limits import named

UNLIKE = 0.5  # a rank correlation below which two orders have little in common


class Reasons:
    """Says of single users why their two numbers may differ."""

    def __init__(self, context: Context, ratio: float | None) -> None:
        self._context, self._ratio = context, ratio

    def of(self, users: Sequence[tuple[Any, float | None, int | None]]) -> tuple[Differs, ...]:
        shown = [user for user, _, _ in users]
        profiles = profiles_of(self._context.sources, self._context.config, shown) if shown else {}
        return tuple(
            Differs(
                named(user), profiles[user]["displayNameSnapshot"], value, score,
                self._why(value, score),
            )
            for user, value, score in users
        )  # fmt: skip

    def _why(self, value: float | None, score: int | None) -> str:
        if value is None:
            return "no counter was kept"
        if score is None:
            return "no action in scope now"
        if self._ratio and abs(value - self._ratio * score) <= CLOSE * value:
            return f"other points: {self._ratio:.3g} for 1"
        if score < value:
            return "deleted history, or older rules"
        return "missed by the counter, or older rules"


def meaning(context: Context, found: Agreement) -> Iterator[str]:
    """What the figures as a whole may mean, a sentence each."""
    if not found.counters:
        yield f"no document of {found.counter} has a number and a user"
    if found.ratio:
        yield f"nearly every counter is about {found.ratio:.3g} times its score: the same actions under other points"
    if here := beginning(context):
        yield f"{here}; the counter may hold them"
    if found.lower > found.higher:
        yield "most who differ have fewer points on the board: the old number also counts what was deleted since"
    elif found.higher > found.lower:
        yield "most who differ have more points on the board: it counts actions that the old number missed"
    if found.spearman is not None and found.spearman < UNLIKE:
        yield "the two order people so differently that the old number counts something else than these sources"
    if found.only_counter:
        yield "who has a counter and no entry has another id there, or no action that a source takes in now"
    if found.left:
        are = "is" if found.left == 1 else "are"
        yield f"{amount(found.left, 'user')} of the counter left by forget and {are} not compared"
    if found.repeated:
        yield "some users have several counters; the largest of each counts"
