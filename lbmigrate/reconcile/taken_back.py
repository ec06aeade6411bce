"""What a reconciliation would take back, looked at before it writes: much of a source is a mistake oftener than a wish.

A cleared collection, a mistyped `where`, a rule that was changed by accident: beyond a share of a source, which
`reconcile.at_most` says, it must be agreed to by its number. Of an action with up to LOOKED_AT events everything is
looked at; of a larger one so many, in PIECES that are spread evenly, and all of it is counted only where these say that
it is too much. What these have missed a `Budget` stops while the reconciliation goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from lbmigrate.errors import Refused
from lbmigrate.ledger.budget import FEW
from lbmigrate.ledger.settle import Action
from lbmigrate.ledger.user_ids import OneUserType
from lbmigrate.passes import chunks, likely
from lbmigrate.passes.changed import GONE, changes, sentence
from lbmigrate.passes.chunks import Bounds, Span
from lbmigrate.reconcile import places
from lbmigrate.reconcile.chunk import look
from lbmigrate.records import Document, amount, beside
from lbmigrate.rules.adjustments import takes_back
from lbmigrate.run.context import Context
from lbmigrate.schema import EVENTS
from lbmigrate.telling.secrets import hidden
from lbmigrate.values.limits import short

COMMAND = "lbmigrate reconcile"
ONE_BOARD = "a database has one leaderboard: put all sources that count there into one configuration"
LOOKED_AT, PIECES = 100_000, 50
EXAMPLES, SHOWN = 3, 80  # and characters of each


@dataclass(slots=True)
class Taken:
    """What would be taken back of an action: how many, of how many that stand, and the points of both.

    Of a source that is `emptied`, or that the configuration does not have any more (`gone`), nothing goes unasked: it
    may be another configuration's.
    """

    action: Action
    emptied: bool
    gone: bool = False
    number: int = 0
    points: int = 0
    standing: int = 0
    worth: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def is_too_much(self, at_most: float) -> bool:
        """Whether that needs to be agreed to."""
        if self.emptied or self.gone:
            return self.number > 0
        many = self.number > at_most * self.standing or self.points > at_most * self.worth
        return many and self.number > FEW

    @property
    def fix(self) -> str:
        """What is more likely to be meant than to take it back; empty where that has to be looked at."""
        if self.emptied:
            return "correct `where`, or bring the documents back"
        return ONE_BOARD if self.gone else ""

    def told(self, context: Context) -> str:
        """How much, and why if that is seen."""
        sources = self.action.sources
        if self.emptied:
            missed = " and ".join(f"no document of {s.collection} meets {hidden(str(s.where))}" for s in sources)
            why = "; ".join(filter(None, (likely.reason(context, each) for each in sources)))
            return f"{missed}{f' ({why})' if why else ''}, so all of {self.action.name} would be taken back"
        if self.gone:
            return (
                f"{amount(self.points, 'point')} of {self.action.name} would be taken back, since their source is gone"
            )
        share = max(self.number / max(self.standing, 1), self.points / max(self.worth, 1))
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(self.reasons.items()))
        told = f"{share:.1%} of {self.action.name} would be taken back, {amount(self.points, 'point')} ({reasons})"
        return f"{told}, and reconcile.at_most allows {context.config.reconcile.at_most:.1%}"


def refuse_too_much(context: Context, allowed: int, way: str = COMMAND) -> None:
    """Raise Refused where more than `allowed` actions would be taken back, and that is much of their source.

    `way` is the command that goes on with `--allow`.
    """
    found = [taken for action in places.all_actions(context) if (taken := _looked_at(context, action))]
    total = sum(each.number for each in found)
    if total <= allowed:
        return
    told = "; ".join(each.told(context) for each in found)
    if changed := sentence(changes(context)):
        told += f"; {changed}"
    fix = next((each.fix for each in found if each.fix), _LOOK)
    hint = f"{fix}; if they are meant to go: {way} --allow {total}"
    raise Refused(f"{told}: {amount(total, 'action')}", hint, [each for taken in found for each in taken.examples])


_LOOK = "lbmigrate reconcile --dry-run lists them; correct the rule or the documents"


def number_to_allow(context: Context) -> int:
    """The number that has to be agreed to; 0 where nothing has, or where it is rather a mistake than a wish."""
    found = [taken for action in places.all_actions(context) if (taken := _looked_at(context, action))]
    return 0 if any(taken.emptied for taken in found) else sum(taken.number for taken in found)


def _looked_at(context: Context, action: Action) -> Taken | None:
    """What would be taken back of an action; None where that is not too much."""
    spans, collection = places.spans(context, action), context.target[EVENTS]
    emptied = bool(action.sources) and not any(
        context.sources[each.collection].find_one(each.where, {"_id": 1}) for each in action.sources
    )
    total = sum(collection.count_documents({span.key: {"$gte": span.low, "$lte": span.high}}) for span in spans)
    some = _all(context, spans) if emptied or total <= LOOKED_AT else _pieces(context, spans, total)
    gone = not action.sources and any(each.kind == GONE for each in changes(context))
    taken = _added_up(context, Taken(action, emptied, gone), some)
    if not taken.is_too_much(context.config.reconcile.at_most):
        return None
    whole = emptied or total <= LOOKED_AT
    return taken if whole else _added_up(context, Taken(action, emptied, gone), _all(context, spans))


def _all(context: Context, spans: Iterable[Span]) -> Iterator[Bounds]:
    size = context.config.backfill.chunk_size
    for span in spans:
        yield from chunks.cut(context.target[EVENTS], span, lambda: size, None)


def _pieces(context: Context, spans: Iterable[Span], total: int) -> Iterator[Bounds]:
    """The beginnings of ranges of equal size: LOOKED_AT events in all."""
    ledger = context.target[EVENTS]
    for span in spans:
        for each in chunks.cut(ledger, span, lambda: -(-total // PIECES), None):
            within = Span(each.key, each.low, each.high)
            yield from islice(chunks.cut(ledger, within, lambda: LOOKED_AT // PIECES, None), 1)


def _added_up(context: Context, taken: Taken, ranges: Iterable[Bounds]) -> Taken:
    one_type = OneUserType(context)
    for bounds in ranges:
        for found in look(context, taken.action, bounds, one_type):
            going = list(filter(takes_back, found.due))
            taken.number += len(going)
            taken.points -= sum(int(event["points"]) for event in going)
            taken.standing += found.standing
            taken.worth += found.worth
            taken.reasons.update(event["meta"]["reason"] for event in going)
            taken.examples += map(_example, going[: EXAMPLES - len(taken.examples)])
    return taken


def _example(event: Document) -> str:
    name, user = short(str(event["_id"]), SHOWN), short(str(event["userId"]), SHOWN)
    return f"{name} of user {user}: {event['points']:+} {beside(event['points'], 'point')}, {event['meta']['reason']}"
