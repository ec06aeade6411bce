"""What the verification at the end of a run looks at: everything, or whom a sample draws and whoever is first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from lbmigrate.estimate import leaders
from lbmigrate.estimate.leaders import Looked
from lbmigrate.estimate.reading import Reading
from lbmigrate.estimate.users import Spread
from lbmigrate.run.context import Context
from lbmigrate.verify import verdict
from lbmigrate.verify.bound import sample_size
from lbmigrate.verify.conserve import MOST_SUMMED


class Verification(TypedDict, total=False):
    """What of a run's work is that of its verification."""

    verified: float
    compared: float
    summed: float
    summed_entries: float
    checked: float
    periods: float
    called: float
    rescoring: float


def verification(
    context: Context, found: Sequence[Reading], events: float, share: Spread, *, reads: bool
) -> Verification:
    """Nothing where there is a verdict on all of it; `reads` is whether a run has documents to read."""
    if not events or not share.users or (not reads and verdict.is_current(context)):
        return {}
    called, each = _called(found)
    users = max(1.0, events * share.users)
    numbers = {kind: leaders.periods(share.seen, kind, users) for kind in context.config.periods}
    if context.config.verify.level == verdict.FULL:
        return Verification(
            checked=events,
            periods=sum(numbers.values()),
            compared=events * share.entries,
            called=events * called,
            rescoring=events * called * each,
        )
    summed = summed_of(events)
    looked = _looked(context, share, events, users, numbers)
    return Verification(
        verified=looked.events,
        compared=looked.entries,
        summed=summed,
        summed_entries=summed * share.entries,
        periods=sum(numbers.values()),
        called=looked.events * called,
        rescoring=looked.events * called * each,
    )


def _looked(context: Context, share: Spread, events: float, users: float, numbers: dict[str, float]) -> Looked:
    rules = context.config.verify
    drawn = min(users, sample_size(round(users), rules.confidence, rules.max_error))
    if share.people:
        return leaders.looked_at(share.people, events, users, numbers, drawn)
    return Looked(drawn, drawn / share.users, drawn / share.users * share.entries)


def summed_of(events: float) -> float:
    """Of how many events a verification of a sample asks the server for the sums."""
    return events if events <= MOST_SUMMED else 0.0


def _called(found: Sequence[Reading]) -> tuple[float, float]:
    """The share of the events that a Python function is asked for, and the processor seconds for each of them."""
    asked = [each for each in found if each.calls]
    events = sum(each.added for each in asked)
    return events / max(1.0, sum(each.added for each in found)), sum(each.scoring for each in asked) / max(1.0, events)
