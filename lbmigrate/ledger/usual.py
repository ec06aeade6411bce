"""Whether entries are kept as usual, so that new events may be folded into them (`fold`)."""

from __future__ import annotations

from lbmigrate.rules.vouching import OVERALL
from lbmigrate.run.context import Context
from lbmigrate.schema.layout import Layout


def is_usual(context: Context, layout: Layout) -> bool:
    """Whether entries are where they stay, say no more than they always do, and include the overall ones."""
    return not (layout.moving or layout.orders) and OVERALL in context.config.periods
