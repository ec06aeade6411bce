"""Entries of kinds of periods that the configuration does not name any more: nobody brings them up to the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate.board.comparison import periods_of
from lbmigrate.ledger import boards_anew
from lbmigrate.ledger.bound import removing
from lbmigrate.ledger.histograms import Histograms
from lbmigrate.records import Piece, amount
from lbmigrate.rules.periods import kind_of
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, MADE_BY_A_MIGRATION, PERIODS
from lbmigrate.schema.layout import own_periods
from lbmigrate.state import layouts
from lbmigrate.values.ids import in_parts, portions, room

SUBJECT = "entries"
AT_ONCE = 5_000


def dropped_periods(context: Context) -> list[str]:
    """The periods of such kinds that have entries, in order; what others have made up is none of them."""
    layout = layouts.layout(context.state)
    there = {*periods_of(context.target[ENTRIES]), *own_periods(context.target, layout)}
    kinds = PERIODS.keys() - set(context.config.periods)
    return sorted(period for period in there if kind_of(period) in kinds)


def remove(context: Context) -> Iterator[Piece]:
    """Remove the entries of those periods, and their boards in Redis; ends early when a stop is asked for."""
    periods = dropped_periods(context)
    if not periods:
        return
    yield Piece(SUBJECT, checkpoint=removing(context))
    Histograms(context).void(periods)
    removed = 0
    for period in periods:
        while not context.stopping() and (gone := _some(context, period)):
            removed += gone
            yield Piece(SUBJECT, removed)
    if boards := boards_anew.boards_of(context):
        boards.drop(periods)
    told = f"removed {amount(removed, 'document')} from {ENTRIES}"
    yield Piece(
        SUBJECT, removed, removed, note=f"{told}, of {amount(len(periods), 'period')} that `periods` does not name"
    )


def _some(context: Context, period: str) -> int:
    """Remove some entries of a period; how many."""
    ours = {"period": period, **MADE_BY_A_MIGRATION[ENTRIES]}
    removed = 0
    for name in dict.fromkeys([layouts.layout(context.state).home(period), ENTRIES]):
        found = (row["_id"] for row in context.target[name].find(ours, {"_id": 1}).limit(AT_ONCE))
        for ids in in_parts(next(portions(found, room), [])):
            context.state.put()  # raises LeaseLost where another run took over meanwhile
            removed += context.target[name].delete_many({"_id": {"$in": ids}, **ours}).deleted_count
    return removed
