"""Whether a run notes what it adds, so that its roll-up need not read what was there before (`ledger.folding`)."""

from __future__ import annotations

from lbmigrate.passes.scored_by import is_settled
from lbmigrate.run.additions import Additions
from lbmigrate.run.context import Context
from lbmigrate.state import layouts

GLOBAL = "global"  # the period whose entry says how many events there are of a user


def additions(context: Context) -> Additions | None:
    """Where a run is to note what it adds; None where that is of no use to it.

    That is so where somebody is asked for by name, or everybody is computed again, and where the entries may have been
    made by other rules than those in force.
    """
    scope, config = context.scope, context.config
    everyone = scope.full or scope.bounded or scope.share < 1
    layout = layouts.layout(context.state)
    if everyone or context.live or GLOBAL not in config.periods or layout.orders or not is_settled(context):
        return None
    return Additions()
