"""What step 5 does: look at everything that was asked for, take in what came late, and come to a verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from lbmigrate import errors
from lbmigrate.backfill import latecomers
from lbmigrate.config.digest import applied_digest
from lbmigrate.ledger import binding
from lbmigrate.ledger.binding import Apart
from lbmigrate.passes.changed import SETTLE as DRIFT
from lbmigrate.passes.changed import way
from lbmigrate.passes.watermark import SETTLE
from lbmigrate.records import Checkpoint, Piece, amount
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS
from lbmigrate.verify import complaints, misfits, sampled, verdict, whole
from lbmigrate.verify.kinds import Heal, Kind
from lbmigrate.verify.look import Look
from lbmigrate.verify.result import Mismatch, Verification

NAME = "verify"
ROW = "verdict"
REBUILD = "lbmigrate backfill --full; if that does not end it: lbmigrate rollback --to 3, then lbmigrate run"
RECONCILE = "lbmigrate reconcile, then: lbmigrate verify"
REPAIR = "lbmigrate verify --full --repair"
AGAIN = (
    "that repairs it once, but {} has no `updated`, so what changes later no backfill sees: name the field that grows,"
    " let lbmigrate tail follow, or schedule lbmigrate reconcile and after it lbmigrate recount every night"
)


def verified(context: Context) -> Iterator[Piece]:
    """Compare, and keep the verdict. Raises errors.Mismatch where something is wrong, or could not be looked at."""
    look = _look(context)
    yield from _looked(look)
    if look.taken and not look.options.full and not context.stopping():
        yield from latecomers.take_others(context)
        look = _look(context, look.taken)
        yield from _looked(look)
    if context.stopping():
        return
    yield from look.shape()
    come_apart = binding.apart(context)
    history = list(_history(context, come_apart))
    look.totals.add(history, ahead=True)
    if history:
        yield Piece(NAME, found=tuple(history))
    yield from _ended(context, look, come_apart)


def _look(context: Context, taken: int = 0) -> Look:
    """A verification that begins; one that belongs to a run takes in what came in while that read the sources."""
    takes = context.verify is None and bool(latecomers.read_since(context))
    late = partial(latecomers.take, context) if takes else None
    options = context.verify or verdict.asked(context)
    return Look(context, options, context.state.last_emission(), late=late, taken=taken)


def _looked(look: Look) -> Iterator[Piece]:
    yield from look.begin()
    yield from (whole if look.options.full else sampled).pieces(look)


def _history(context: Context, come_apart: Apart | None) -> Iterator[Mismatch]:
    """What the state and the ledger as a whole say against it."""
    told = [come_apart.sentence] if come_apart else []
    for sentence in [*told, *complaints.complaints(context)]:
        yield Mismatch(Kind.HISTORY, EVENTS, reason=sentence)
    for sentence in misfits.of_nothing(context):
        yield Mismatch(Kind.ORPHAN_EVENT, EVENTS, reason=sentence, heals=Heal.RECONCILE)
    if reason := misfits.of_other_periods(context):
        yield Mismatch(Kind.EXTRA, ENTRIES, reason=reason, heals=Heal.RECONCILE)


def _ended(context: Context, look: Look, come_apart: Apart | None) -> Iterator[Piece]:
    found = _verification(context, look)
    verb = ("agrees", "was compared") if found.entries == 1 else ("agree", "were compared")
    done = f"{amount(found.entries, 'entry')} of {amount(found.users, 'user')} {verb[not found.passed]}"
    done += f"; {found.bound.words}" if found.bound else ""
    for told in [*complaints.warnings(context, look.options.full), *_to_be_settled(look), *found.skipped]:
        yield Piece(NAME, warning=told)
    if look.options.full:
        yield Piece(NAME, checkpoint=whole.ended(look))
    yield Piece(NAME, found.users, found.users, unit="users", note=done, checkpoint=Checkpoint(ROW, found.row()))
    if found.wrong:
        message = f"verification found {amount(found.wrong, 'mismatch')}, such as: {found.mismatches[0]}"
        raise errors.Mismatch(message, hint=come_apart.way if come_apart else _settling(context, look))
    if found.skipped:
        raise errors.Mismatch(f"verification could not look at everything: {found.skipped[0]}", hint="lbmigrate doctor")


def _verification(context: Context, look: Look) -> Verification:
    seen, options = look.totals, look.options
    return Verification(
        level=verdict.FULL if options.full else "sample",
        passed=not seen.wrong and not seen.skipped,
        at=context.clock(),
        covers=look.covers,
        rules=applied_digest(context.config),
        seconds=round(time.monotonic() - look.began, 3),
        users=seen.users,
        entries=seen.entries,
        bound=look.bound(),
        parts=tuple(seen.parts.values()),
        periods=seen.periods(options.full),
        kinds=dict(seen.kinds),
        mismatches=tuple(seen.first),
        pace=tuple(seen.pace),
        skipped=tuple(seen.skipped),
        findings=seen.findings,
        later=tuple(seen.later),
        pending=seen.pending,
        options=asdict(options),
    )


def _to_be_settled(look: Look) -> Iterator[str]:
    """What is no mismatch and not at its end either, each with the command that ends it."""
    if look.taken:
        told = f"{amount(look.taken, 'document')} in scope had no event yet: they came in while their source was read"
        yield f"{told}, and are on the board now"
    if number := len(look.coming):
        have = "has" if number == 1 else "have"
        who = f"{amount(number, 'user')} {have} events that came in since the last backfill"
        yield f"{who}, which the next one puts on the board; next: lbmigrate backfill"
    if number := look.totals.findings[Heal.RECONCILE.value]:
        what = "counts for a document that has" if number == 1 else "count for documents that have"
        first = next((f", such as: {each}" for each in look.totals.later if each.startswith(EVENTS)), "")
        yield f"{amount(number, 'action')} {what} changed or gone since{first}; next: lbmigrate reconcile"
    if number := len(look.outdated):
        who = f"{amount(number, 'user')} {'is' if number == 1 else 'are'} shown with a name, a picture or an opt-out"
        yield f"{who} that their own documents do not have; next: lbmigrate backfill --full"


def _settling(context: Context, look: Look) -> str:
    """What makes the next verification pass; where only one thing is wrong, what settles just that."""
    seen = look.totals
    if way(context, "") == DRIFT:
        return f"{DRIFT}, then: lbmigrate verify"
    unread = complaints.unread(context)
    if unread and seen.wrong == len(unread) + seen.heals[Heal.BACKFILL.value]:
        return f"{SETTLE}, then: lbmigrate verify"
    if set(seen.heals) == {Heal.RECONCILE.value}:
        return RECONCILE
    if complaints.is_empty(context) and (ends := complaints.why_none_counts(context)[1]):
        return ends
    told = _by_command(set(seen.heals))
    names = _never_seen(context, look) if told == REPAIR else ""
    return f"{told}; {AGAIN.format(names)}" if names else told


def _never_seen(context: Context, look: Look) -> str:
    """The sources with wrong actions whose changes no incremental backfill sees: no field of theirs tells of one."""
    wrong = [each for each in look.totals.first if each.heals in (Heal.BACKFILL, Heal.RECONCILE)]
    places = {each.subject for each in wrong} | {str(each.id).partition(":")[0] for each in wrong}
    mute = [source for source in context.config.sources if source.updated is None]
    return " and ".join(source.name for source in mute if places & {source.collection, source.action})


def _by_command(heals: set[str]) -> str:
    if heals <= {Heal.ROLL_UP.value}:
        return REBUILD
    return "see to what is named, then: lbmigrate verify" if heals == {Heal.PERSON.value} else REPAIR
