"""Step 5: entries, ledger and sources against each other, by code of its own; the verdict is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.records import Piece, RowsRemoved
from lbmigrate.run.context import Context
from lbmigrate.verify import UNDER_WAY, verdict

NUMBER = 5
NAME = "verify"
ROW = "verdict"


def apply(context: Context) -> Iterator[Piece]:
    if context.verify is None and verdict.is_current(context):
        return
    from lbmigrate.migration import verifying  # noqa: PLC0415  the larger part of the program, for which only this waits

    yield from verifying.verified(context)


def revert(context: Context) -> Iterator[Piece]:
    if context.state.get(ROW):
        yield Piece("verify", note="forgot the verdict", checkpoint=RowsRemoved(("verdict", UNDER_WAY)))


def pending(context: Context, _: Sequence[SourceOutlook]) -> Iterator[str]:
    if not verdict.is_current(context):
        changed = verdict.is_of_other_rules(context, context.state.get(ROW))
        why = ": the configuration has changed since the last verdict" if changed else ""
        yield f"compare entries with the ledger{why}"


def preview(context: Context) -> Iterator[str]:
    if context.state.get(ROW):
        yield "forget the verdict"
