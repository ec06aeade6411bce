"""Step 5: entries against the ledger, by code that shares nothing with the roll-up; the verdict is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate.errors import Mismatch
from lbmigrate.ledger import binding
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.passes.watermark import SETTLE
from lbmigrate.records import Checkpoint, Compared, Piece, RowsRemoved, amount
from lbmigrate.run.context import Context, VerifyOptions
from lbmigrate.verify import compare, misfits, sample, snapshots, streaks, under_way, verdict

NUMBER = 5
NAME = "verify"
ROW = "verdict"
HELD = 10_000  # differences that are looked at again together
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
    wrong, waiting = verdict.Wrong(), under_way.Waiting()
    entries = done = 0
    for reached, found, size in compare.compare_all(context, users):
        differences += found
        if len(differences) > HELD:
            wrong.add(waiting.sift(context, differences))
            differences = []
        entries += size
        yield Piece("verify", reached, len(users), unit="users", counts=Compared(reached - done, size))
        done = reached
        if context.stopping():
            return
    wrong.add(waiting.sift(context, differences))
    for told in streaks.wrong(context, [user for user in users if user not in waiting.differing]):
        wrong.add(told)
        if context.stopping():
            return
    come_apart = binding.apart(context)
    wrong.add([come_apart.sentence] if come_apart else [])
    wrong.add(verdict.complaints(context))
    numbers = wrong.count
    wrong.add(misfits.misfits(context, users))
    judged = verdict.verdict(context, options, covers, len(users), entries, wrong)
    message = f"{entries:,} entries of {amount(len(users), 'user')} {'were compared' if wrong.count else 'agree'}"
    looks = snapshots.outdated(context, users) if options.full else ""
    for warning in filter(None, [*verdict.warnings(context), waiting.told, looks]):
        yield Piece("verify", warning=warning)
    yield Piece("verify", len(users), len(users), unit="users", note=message, checkpoint=Checkpoint(ROW, judged))
    if wrong.count:
        worst = come_apart.sentence if come_apart else wrong.first[0]
        message = f"verification found {amount(wrong.count, 'mismatch')}, such as: {worst}"
        hint = come_apart.way if come_apart else _settling(context, wrong, strays_alone=not numbers)
        raise Mismatch(message, hint=hint)


def _settling(context: Context, wrong: verdict.Wrong, strays_alone: bool) -> str:
    """What makes the next verification pass; where only one thing is wrong, what settles just that."""
    if wrong.count == len(wrong.first):
        if not set(wrong.first) - set(verdict.unread(context)):
            return f"{SETTLE}, then: lbmigrate verify"
        strays_alone = strays_alone or all("lbmigrate reconcile" in each for each in wrong.first)
    if strays_alone:
        return "lbmigrate reconcile, then: lbmigrate verify"
    if verdict.is_empty(context) and (ends := verdict.why_none_counts(context)[1]):
        return ends
    return ANEW if changed_rules(context) else REBUILD


def revert(context: Context) -> Iterator[Piece]:
    if context.state.get(ROW):
        yield Piece("verify", note="forgot the verdict", checkpoint=RowsRemoved(("verdict",)))


def pending(context: Context, _: Sequence[SourceOutlook]) -> Iterator[str]:
    if not verdict.is_current(context):
        changed = verdict.is_of_other_rules(context, context.state.get(ROW))
        why = ": the configuration has changed since the last verdict" if changed else ""
        yield f"compare entries with the ledger{why}"


def preview(context: Context) -> Iterator[str]:
    if context.state.get(ROW):
        yield "forget the verdict"
