"""Step 5: entries against the ledger, by code that shares nothing with the roll-up; the verdict is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate.errors import Mismatch
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.records import Checkpoint, Compared, Piece, RowsRemoved, amount
from lbmigrate.run.context import Context, VerifyOptions
from lbmigrate.verify import compare, sample, verdict

NUMBER = 5
NAME = "verify"
ROW = "verdict"


def apply(context: Context) -> Iterator[Piece]:
    covers = context.state.last_emission()
    if context.verify is None and verdict.is_current(context):
        return
    options = context.verify or VerifyOptions()
    users = sample.choose(context, options)
    differences: list[compare.Difference] = []
    entries = done = 0
    for reached, found, size in compare.compare_all(context, users):
        differences += found
        entries += size
        yield Piece("verify", reached, len(users), unit="users", counts=Compared(reached - done, size))
        done = reached
        if context.stopping():
            return
    wrong = [str(each) for each in compare.confirmed(context, differences)] + verdict.complaints(context)
    judged = verdict.verdict(options, covers, len(users), entries, wrong, context.clock())
    message = f"{entries:,} entries of {amount(len(users), 'user')} {'were compared' if wrong else 'agree'}"
    for told in verdict.warnings(context):
        yield Piece("verify", warning=told)
    yield Piece("verify", len(users), len(users), unit="users", note=message, checkpoint=Checkpoint(ROW, judged))
    if wrong:
        raise Mismatch(
            f"verification found {amount(len(wrong), 'mismatch')}, such as: {wrong[0]}",
            hint="lbmigrate verify --full --json, then lbmigrate backfill --full to rebuild the entries",
        )


def revert(context: Context) -> Iterator[Piece]:
    if context.state.get(ROW):
        yield Piece("verify", note="forgot the verdict", checkpoint=RowsRemoved(("verdict",)))


def pending(context: Context, _: Sequence[SourceOutlook]) -> Iterator[str]:
    if not verdict.is_current(context):
        yield "compare entries with the ledger"


def preview(context: Context) -> Iterator[str]:
    if context.state.get(ROW):
        yield "forget the verdict"
