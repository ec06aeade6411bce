"""Step 5: entries against the ledger, by code that shares nothing with the roll-up; the verdict is kept."""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate.errors import Mismatch
from lbmigrate.records import Checkpoint, Forgotten, Piece, amount
from lbmigrate.run.context import Context, Looking
from lbmigrate.verify import sample, verdict, verify

NUMBER = 5
NAME = "verify"
ROW = "verdict"


def apply(context: Context) -> Iterator[Piece]:
    covers = context.state.last_emission()
    if context.looking is None and verdict.is_current(context):
        return
    looking = context.looking or Looking()
    users = sample.choose(context, looking)
    differences: list[verify.Difference] = []
    compared = 0
    for done, found, size in verify.compare_all(context, users):
        differences += found
        compared += size
        yield Piece("verify", done, len(users), unit="users")
        if context.stopping():
            return
    complaints = [str(each) for each in verify.confirmed(context, differences)] + verdict.complaints(context)
    judged = verdict.verdict(looking, covers, len(users), compared, complaints, context.clock())
    told = f"{compared:,} entries of {amount(len(users), 'user')} {'were compared' if complaints else 'agree'}"
    yield Piece("verify", len(users), len(users), unit="users", note=told, checkpoint=Checkpoint(ROW, judged))
    if complaints:
        raise Mismatch(
            f"verification found {amount(len(complaints), 'mismatch')}, such as: {complaints[0]}",
            hint="lbmigrate verify --full --json, then lbmigrate backfill --full to make the entries anew",
        )


def revert(context: Context) -> Iterator[Piece]:
    if context.state.get(ROW):
        yield Piece("verify", note="forgot the verdict", checkpoint=Forgotten(("verdict",)))
