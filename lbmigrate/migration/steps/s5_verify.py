"""Step 5: entries against the ledger, by code that shares nothing with the roll-up; the verdict is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate.errors import Mismatch
from lbmigrate.ledger import binding
from lbmigrate.ledger.scored_by import changed_rules
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.records import Checkpoint, Compared, Piece, RowsRemoved, amount
from lbmigrate.run.context import Context, VerifyOptions
from lbmigrate.verify import compare, misfits, sample, verdict

NUMBER = 5
NAME = "verify"
ROW = "verdict"
# Under another time zone the entries of other days and weeks are in the way, which no rebuilding takes out.
ANEW = "the rules or the time zone have changed since: lbmigrate rollback --to 3, then lbmigrate run makes all anew"
REBUILD = "lbmigrate backfill --full; if that does not end it: lbmigrate rollback --to 3, then lbmigrate run"


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
    come_apart = binding.apart(context)
    wrong = [come_apart.sentence] if come_apart else []
    wrong += [str(each) for each in compare.confirmed(context, differences)] + verdict.complaints(context)
    wrong += misfits.misfits(context, users)
    judged = verdict.verdict(options, covers, len(users), entries, wrong, context.clock())
    message = f"{entries:,} entries of {amount(len(users), 'user')} {'were compared' if wrong else 'agree'}"
    for told in verdict.warnings(context):
        yield Piece("verify", warning=told)
    yield Piece("verify", len(users), len(users), unit="users", note=message, checkpoint=Checkpoint(ROW, judged))
    if wrong:
        raise Mismatch(
            f"verification found {amount(len(wrong), 'mismatch')}, such as: {wrong[0]}",
            hint=come_apart.way if come_apart else ANEW if changed_rules(context) else REBUILD,
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
