"""Whether a run notes what it adds, so that its roll-up need not read all that there is (`ledger.fold_by_index`)."""

from __future__ import annotations

from lbmigrate.ledger.usual import is_usual
from lbmigrate.passes.scored_by import is_settled
from lbmigrate.run.additions import Additions
from lbmigrate.run.context import Context
from lbmigrate.state import layouts


def additions(context: Context) -> Additions | None:
    """Where a run is to note what it adds; None where that is of no use to it.

    That is so where somebody is asked for by name, or everybody is computed again, and where the entries may have been
    made by other rules than those in force.
    """
    scope = context.scope
    everyone = scope.full or scope.bounded or scope.share < 1
    if everyone or context.live or not is_usual(context, layouts.layout(context.state)) or not is_settled(context):
        return None
    return Additions()
