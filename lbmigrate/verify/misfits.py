"""Events that count and are about nothing that a source could have, and entries of periods that nobody asks for.

No source has the action of such events.
A reconciliation takes back what they are worth; what it has taken back is no longer told. Where a document has the very
id that such an `_id` names, it leaves there what the document is worth, for nothing else can stand for it: that is not
told either.
"""

from __future__ import annotations

from collections.abc import Iterator

from lbmigrate.board.comparison import periods_of
from lbmigrate.ledger.strays import of_no_source
from lbmigrate.records import amount
from lbmigrate.run.context import Context
from lbmigrate.schema import ENTRIES, EVENTS, PERIODS
from lbmigrate.schema.layout import own_periods
from lbmigrate.state import layouts
from lbmigrate.verify.expected import is_a_period

SETTLED = "; lbmigrate reconcile takes back what no source is behind"


def of_nothing(context: Context) -> Iterator[str]:
    """A sentence for each action that no source has and that still counts for something."""
    for name in of_no_source(context):
        yield f"{EVENTS} has {name!r}, whose action no source has{SETTLED}"


def of_other_periods(context: Context) -> str:
    """A sentence for entries of kinds of periods that the configuration does not name; empty where there are none."""
    layout = layouts.layout(context.state)
    there = {*periods_of(context.target[ENTRIES]), *own_periods(context.target, layout)} - layout.archived
    found = sorted(filter(is_a_period(PERIODS.keys() - set(context.config.periods)), there))
    if not found:
        return ""
    more = f" and {amount(len(found) - 1, 'more period')}" if len(found) > 1 else ""
    return f"{ENTRIES} has entries of {found[0]}{more}, and `periods` of the configuration does not name that kind"
