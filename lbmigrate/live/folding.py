"""Whether new events may be folded into the entries that there are: only those made by the rules in force go on.

That changes when somebody changes the rules, so it is asked every LOOK_AGAIN seconds and not for each action.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lbmigrate.ledger.looked_at import LookedAt
from lbmigrate.ledger.usual import is_usual
from lbmigrate.live.flag_cache import LOOK_AGAIN
from lbmigrate.passes.scored_by import is_settled
from lbmigrate.run.context import Context
from lbmigrate.state import layouts


class Folding:
    """Says for those who record live what is to be looked at. Safe to share by threads: at worst two of them look."""

    def __init__(self, context: Context, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._context, self._monotonic = context, monotonic
        self._settled, self._next = False, float("-inf")

    def begun(self) -> LookedAt | None:
        """What looks at the next events; None where entries have to be rolled up from the ledger."""
        if self._monotonic() >= self._next:
            self._settled = is_settled(self._context)
            self._next = self._monotonic() + LOOK_AGAIN
        usual = self._settled and is_usual(self._context, layouts.layout(self._context.state))
        return LookedAt(self._context) if usual else None
