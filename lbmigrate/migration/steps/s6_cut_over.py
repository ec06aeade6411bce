"""Step 6: the flag's `read` goes on, so that the app shows the board. Refused unless verification vouches for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lbmigrate import feature_flag
from lbmigrate.errors import Refused
from lbmigrate.ledger import one_kind
from lbmigrate.migration.steps.switches import Switch
from lbmigrate.passes import likely, watermark
from lbmigrate.passes.changed import SETTLE as DRIFT
from lbmigrate.passes.changed import changes, sentence, way
from lbmigrate.passes.outlook import SourceOutlook
from lbmigrate.passes.scored_by import changed_rules
from lbmigrate.records import Piece, amount
from lbmigrate.rules import unwind
from lbmigrate.run.context import Context
from lbmigrate.schema import present_collections
from lbmigrate.telling.secrets import hidden
from lbmigrate.verify import verdict

NUMBER = 6
NAME = "cut-over"
EMPTY = "correct the source's `where` (lbmigrate doctor), then: lbmigrate backfill --full, then: lbmigrate run"
UNUSED = "correct its `where`, or leave the source out until some does, then: lbmigrate reconcile, then: lbmigrate run"
SWITCH = Switch(NUMBER, NAME, "read")


def apply(context: Context) -> Iterator[Piece]:
    if not feature_flag.read(context.target, context.config).read:
        yield from _shown(context)
    one_kind.narrow(context)  # a run ends here; by now the ledger says of which type users are, if it was empty before


def _shown(context: Context) -> Iterator[Piece]:
    _refuse_half_a_board(context)
    if reason := verdict.objection(context):
        raise Refused(f"cut-over needs a fresh passing verification: {reason}", hint="lbmigrate verify")
    from lbmigrate.verify.complaints import empty_board  # noqa: PLC0415  most runs find the step applied

    if empty := empty_board(context):
        raise Refused(f"cut-over would show an empty board: {empty}", hint=EMPTY)
    if missing := _out_of_scope(context):
        raise Refused(f"cut-over would show a board on which nothing of a source counts: {missing}", hint=UNUSED)
    feature_flag.turn(context.target, context.config, "read", True, context.clock())
    would = "would turn read on: the app would show the board"
    yield Piece("flag", note="read is on: the app shows the board", would=would)


def _refuse_half_a_board(context: Context) -> None:
    """Raise Refused where entries agree with a ledger that is not what the rules in force make of the sources."""
    if missing := watermark.unread(context):
        told = f"cut-over would show a board without all of its history: {missing[0]}"
        raise Refused(told, hint=f"{way(context, watermark.SETTLE)}, then: lbmigrate run", details=missing[1:])
    if not changed_rules(context):
        return
    from lbmigrate.reconcile import reconcile  # noqa: PLC0415  as above

    due = reconcile.preview(context)
    if due.reasons or not due.exact:
        moved = f"{'' if due.exact else 'at least '}{amount(sum(due.reasons.values()), 'adjustment')}"
        told = f"cut-over would show points of other rules, {moved} due: {sentence(changes(context))}"
        raise Refused(told, hint=f"{DRIFT}, then: lbmigrate run")


def _out_of_scope(context: Context) -> str:
    """Which source has documents, and none that counts; empty where there is none, or only a part is rehearsed."""
    present = present_collections(context.sources)
    for source in context.config.sources if context.scope.share == 1 else ():
        collection = context.sources[source.collection]
        if source.collection not in present or collection.find_one({}, {"_id": 1}) is None:
            continue
        if next(iter(collection.aggregate([*unwind.elements(source), {"$limit": 1}])), None) is None:
            what = f"no {'element' if source.unwind else 'document'} of {source.collection} meets {source.where}"
            return f"{source.name}: " + "; ".join(filter(None, [hidden(what), likely.reason(context, source)]))
    return ""


def revert(context: Context) -> Iterator[Piece]:
    if feature_flag.turn(context.target, context.config, "read", False, context.clock()):
        yield Piece("flag", note="read is off")


def pending(context: Context, _: Sequence[SourceOutlook]) -> Iterator[str]:
    return SWITCH.pending(context)


def preview(context: Context) -> Iterator[str]:
    if SWITCH.is_on(context):
        yield "turn read off: the app stops showing the board"
