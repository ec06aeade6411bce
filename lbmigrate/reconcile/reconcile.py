"""Reconciliation: adjustments for sources that changed their mind, action by action, and then the entries.

The ledger is walked like a source: a pass of its own for each action, cut into chunks, resumed where it stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice

from lbmigrate.backfill import touched
from lbmigrate.config.digest import applied_digest
from lbmigrate.config.model import Source
from lbmigrate.ledger import dropped
from lbmigrate.ledger.bound import removing
from lbmigrate.ledger.budget import Budget
from lbmigrate.ledger.odd import ROW, odd_events, seen_to
from lbmigrate.ledger.settle import Action, Found, actions
from lbmigrate.ledger.user_ids import OneUserType, kind_of_users
from lbmigrate.mongo.client import server_time
from lbmigrate.passes import chunks, pass_size, passes
from lbmigrate.passes.chunk_size import ChunkSize
from lbmigrate.passes.chunks import Span
from lbmigrate.passes.passes import Pass
from lbmigrate.passes.scored_by import in_force, is_settled
from lbmigrate.reconcile import places
from lbmigrate.reconcile.chunk import STRANGERS, Doubt, Due, look
from lbmigrate.reconcile.places import NAME
from lbmigrate.reconcile.tasks import Outcome, Settlement
from lbmigrate.records import Checkpoint, Document, Piece, Work, amount
from lbmigrate.run import throttle
from lbmigrate.run.context import Context
from lbmigrate.run.jobs import shared_out
from lbmigrate.run.throttle import Gate
from lbmigrate.run.workers import Held, News
from lbmigrate.schema import EVENTS
from lbmigrate.state import RULES
from lbmigrate.state.statuses import ChunkStatus

WORK = Work(NAME)
DOUBTS = frozenset(doubt.value for doubt in Doubt)
UNSEEN = "an earlier run began this at {}, and what changed since then in the part that it read was not looked at"
NAMED, SHOWN = 5, 100  # events that a warning names, and characters of each


# --- before it is done ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """What a reconciliation would add: events by reason, and the points that they move up or down, added up.

    `exact` is False when only the first sources were looked at.
    """

    reasons: dict[str, int]
    points: int
    exact: bool


def differences(context: Context) -> Iterator[Due]:
    """What is due, range by range of the ledger. Writes nothing."""
    size, one_type = context.config.backfill.chunk_size, OneUserType(context)
    for action in places.all_actions(context):
        for span in places.spans(context, action):
            for bounds in chunks.cut(context.target[EVENTS], span, lambda: size, None):
                yield from look(context, action, bounds, one_type)


def preview(context: Context, most: int = 20_000) -> Preview:
    """What a reconciliation would add, told from about the first `most` sources."""
    reasons: Counter[str] = Counter()
    points = sources = 0
    for found in differences(context):
        if sources >= most:
            return Preview(dict(reasons), points, exact=False)
        sources += found.sources
        reasons.update(event["meta"]["reason"] for event in found.due)
        points += sum(abs(event["points"]) for event in found.due)
    return Preview(dict(reasons), points, exact=True)


# --- doing it ------------------------------------------------------------------------------------------------------


def pieces(context: Context, budget: Budget | None = None) -> Iterator[Piece]:
    """Reconcile every action, roll up whom that touched, and close the passes. Durable pieces, like those of a step.

    A `budget` may refuse what would be taken back.
    """
    one_type, gate = OneUserType(context), throttle.gate(context)
    for reason in gate.unreadable():
        yield Piece("throttle", warning=f"{reason}; the run does not wait for it")
    found = places.all_actions(context)
    for action in found:
        yield from _walk(context, action, one_type, gate, budget)
        if context.stopping():
            return
    yield from _rolled_up(context, gate)
    if context.stopping():
        return
    since = places.began_before(context)
    if since:
        yield Piece(NAME, warning=f"{UNSEEN.format(f'{since:%Y-%m-%dT%H:%M:%SZ}')}; next: lbmigrate reconcile")
    for action in found:
        row = passes.row_of(context, places.as_source(context, action))
        began = context.state.get(row)["pass"].get("began")
        ended = {"pass.done": True, "pass.endedBy": context.run} | ({} if began is None else {passes.WHOLE: began})
        yield Piece(action.name, checkpoint=Checkpoint(row, ended))
    if not is_settled(context) or not context.state.get(RULES):
        yield Piece(NAME, checkpoint=in_force(context))
    yield from _odd(context)


def _rolled_up(context: Context, gate: Gate) -> Iterator[Piece]:
    """The users that were touched; where rules have changed, with what they have in periods that are over by them."""
    if not is_settled(context):
        yield Piece("entries", checkpoint=removing(context))
        context = replace(context, scope=replace(context.scope, full=True))
    yield from touched.roll_up(context, gate)
    if not context.stopping():
        yield from dropped.remove(context)


def _odd(context: Context) -> Iterator[Piece]:
    """Name what counts for nobody, and remember that what its sources are worth stands beside it now."""
    found = odd_events(context.target, kind_of_users(context))
    if found.count:
        yield Piece(NAME, warning=f"{found}; they count for nobody, and what their sources are worth was added")
    if found.count != context.state.get(ROW).get("count", 0):
        yield Piece(NAME, checkpoint=seen_to(found))


def adjustments_made(context: Context) -> dict[str, int]:
    """How many adjustments the newest passes made, by reason."""
    reasons: Counter[str] = Counter()
    for ledger in (places.as_source(context, action) for action in [*actions(context.config), STRANGERS]):
        number = context.state.get(passes.row_of(context, ledger)).get("pass", {}).get("number")
        for chunk in context.state.chunks(source=ledger.name, **{"pass": number}):
            reasons.update(chunk.get("reasons", {}))
    return dict(reasons)


def _walk(
    context: Context, action: Action, one_type: OneUserType, gate: Gate, budget: Budget | None
) -> Iterator[Piece]:
    """The pass over one action, up to its last chunk; ends early when a stop is asked for."""
    ledger, beside = places.as_source(context, action), replace(context, sources=context.target)
    current, opened, doubt = _open(beside, ledger, places.spans(context, action))
    if opened:
        yield Piece(action.name, unit="sources", checkpoint=opened)
    total, _ = pass_size.size(beside, ledger, current.spans)
    done = context.state.read_in_pass(ledger.name, current.number)
    target = context.config.backfill.target
    size = ChunkSize(context.config.backfill.chunk_size, target.total_seconds() if target else None)
    todo = gate.through(passes.todo(beside, ledger, current, lambda: context.pace.chunk(size())))
    for outcome in shared_out(Settlement(context, action, one_type, doubt, budget), todo):
        if isinstance(outcome, Held | News):
            yield outcome.on(Piece(action.name, done, max(total, done), "sources", True))
            continue
        size.note(outcome.seconds, outcome.found.sources)
        gate.note(outcome.seconds, outcome.found.sources)
        done += outcome.found.sources
        closed, told = _closing(context, outcome), _warning(outcome.found)
        yield Piece(action.name, done, max(total, done), "sources", True, outcome.counts, closed, warning=told)


def _open(context: Context, ledger: Source, spans: tuple[Span, ...]) -> tuple[Pass, Checkpoint | None, Doubt]:
    """The unfinished pass, or a new one with what must be remembered before its first chunk.

    Under other rules than it was begun with, a pass starts over.
    """
    row, rules = passes.row_of(context, ledger), applied_digest(context.config)
    kept, last = passes.unfinished(context, ledger), context.state.get(row).get("pass", {})
    if kept and kept.get("rules") == rules and kept.get("doubt") in DOUBTS:
        spans = tuple(map(Span.from_row, kept["spans"]))
        return Pass(row, kept["number"], spans, fresh=False), None, Doubt(kept["doubt"])
    doubt = Doubt.EVERYTHING if not is_settled(context) or not last.get("done", True) else Doubt.NOTHING
    opened: Document = {
        "number": (last.get("number", 0) or context.state.last_pass(ledger.name)) + 1,
        "scope": context.scope.row(),
        "spans": [span.row() for span in spans],
        "done": False,
        "next": None,
        "rules": rules,
        "doubt": doubt.value,
        "began": server_time(context.target),
        "run": context.run,
    }
    return Pass(row, opened["number"], spans, fresh=True), Checkpoint(row, {"pass": opened}), doubt


def _warning(found: Found) -> str:
    told = []
    if found.strays:
        what = f"{amount(len(found.strays), 'event')} of {EVENTS} whose _id does not fit, or whose action no source has"
        told.append(f"{what}: {_named(map(repr, found.strays))}; what no source is behind is taken back")
    if found.refused:
        told.append(f"{amount(len(found.refused), 'adjustment')} that the server refuses: {_named(found.refused)}")
    return "; ".join(told)


def _named(items: Iterable[str]) -> str:
    shown = [item[:SHOWN] for item in islice(items, NAMED + 1)]
    return ", ".join(shown[:NAMED]) + (", …" if len(shown) > NAMED else "")


def _closing(context: Context, outcome: Outcome) -> Checkpoint:
    closed = {
        "status": ChunkStatus.CLAIMED.to(ChunkStatus.EMITTED),
        "seconds": round(outcome.seconds, 3),
        "closedAt": context.clock(),
        "attempts": outcome.attempts,
        "counts": asdict(outcome.counts),
        "reasons": dict(outcome.found.reasons),
        "users": list(outcome.found.users),
        "error": None,
    }
    return Checkpoint(outcome.chunk.row, closed)
