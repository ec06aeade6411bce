"""Rows of the state that were edited or damaged: each named, with what ends it."""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate.checks.finding import Finding
from lbmigrate.run.context import Context

NEXT = "next: "


def findings(context: Context, everything: bool = False) -> Iterator[Finding]:
    """What is wrong with rows; with `everything` also with the many that are only records of what is done."""
    for flaw in context.state.examine(everything):
        fact, _, fix = str(flaw).partition(NEXT)
        yield Finding("warning", "state", fact.rstrip("; "), fix)
    context.state.flaws.clear()  # whoever reads the findings is told by them
